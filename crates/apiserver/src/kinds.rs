//! The kinds that this server serves at the moment: the built-in ones, which never change, and those of
//! CustomResourceDefinitions. Readers never wait; a change swaps the whole and shares what stays.

use std::sync::Arc;

use arc_swap::ArcSwap;
use skiff_api::catalogue::Catalogue;

use crate::kind::{self, Kind, KindRef};

/// The kinds of one moment.
#[derive(Default)]
pub(crate) struct Served {
    pub(crate) catalogue: Catalogue,
    /// Different for every set of kinds.
    pub(crate) generation: u64,
    custom: Vec<Arc<Kind>>,
}

/// The kinds that are served.
#[derive(Default)]
pub(crate) struct Kinds {
    current: ArcSwap<Served>,
}

impl Kinds {
    /// The kinds of this moment.
    pub(crate) fn now(&self) -> Arc<Served> {
        self.current.load_full()
    }

    /// Serves these custom kinds from now on. Changes are made one after the other.
    pub(crate) fn serve(&self, custom: Vec<Arc<Kind>>) {
        let current = self.current.load();
        let same = |(old, new): (&Arc<Kind>, &Arc<Kind>)| Arc::ptr_eq(old, new);
        if current.custom.len() == custom.len() && current.custom.iter().zip(&custom).all(same) {
            return;
        }
        let generation = current.generation + 1;
        let described = custom.iter().filter_map(|kind| kind.resource.custom().cloned()).collect();
        self.current.store(Arc::new(Served { catalogue: Catalogue::new(described), generation, custom }));
    }

    /// The kinds of one definition: its versions.
    pub(crate) fn of_definition(&self, name: &str) -> Vec<KindRef> {
        let current = self.current.load();
        let is_it = |kind: &&Arc<Kind>| kind.resource.custom().is_some_and(|of| of.definition == name);
        current.custom.iter().filter(is_it).cloned().map(KindRef::Custom).collect()
    }

    /// The kind with this group, version and plural.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<KindRef> {
        if let Some(builtin) = kind::find(group, version, plural) {
            return Some(KindRef::Builtin(builtin));
        }
        let current = self.current.load();
        let found = current.custom.iter().find(|kind| kind.is(group, plural) && kind.resource.version() == version);
        found.cloned().map(KindRef::Custom)
    }
}
