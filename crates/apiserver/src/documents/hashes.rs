//! The hashes in the index of OpenAPI documents: one for each group and version, made anew only when its own kinds
//! changed, however often and why ever the index is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use skiff_api::{catalogue::Catalogue, custom::CustomResource};

/// The custom kinds that a hash is of. They are not kept alive, but nothing else gets their place in memory.
type Of = Vec<Weak<CustomResource>>;

/// The hashes that were made so far.
#[derive(Default)]
pub(super) struct Hashes {
    known: Mutex<HashMap<(String, String), (Of, u64)>>,
}

impl Hashes {
    /// The hash of a group and version; `make` makes it when it is not known.
    pub(super) fn of(&self, kinds: &Catalogue, group: &str, version: &str, make: impl FnOnce() -> u64) -> u64 {
        let custom = kinds.custom().iter().filter(|one| one.group == group && one.version == version);
        let of: Of = custom.map(Arc::downgrade).collect();
        let key = (group.to_owned(), version.to_owned());
        let same = |known: &Of| known.len() == of.len() && known.iter().zip(&of).all(|(a, b)| a.ptr_eq(b));
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some((_, hash)) = known.filter(|(known, _)| same(known)) {
            return hash;
        }
        let hash = make();
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (of, hash));
        hash
    }

    /// Forgets groups that are not served any more.
    pub(super) fn keep_only(&self, served: &[(&str, &str)]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(group, version), _| served.contains(&(group.as_str(), version.as_str())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use skiff_api::custom::definition;

    fn kind(field: &str) -> Arc<CustomResource> {
        let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {field: {"type": "string"}}}});
        let version = json!({"name": "v1", "served": true, "storage": true, "schema": schema});
        let names = json!({"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"});
        let spec = json!({"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]});
        let object = json!({"metadata": {"name": "widgets.example.com", "uid": "u", "generation": 1}, "spec": spec});
        Arc::new(definition::kinds(&object).remove(0))
    }

    #[test]
    fn only_what_changed_is_made_anew() {
        let (hashes, mut made) = (Hashes::default(), Vec::new());
        let mut index = |kinds: &Catalogue| {
            made.clear();
            for (group, version) in kinds.group_versions() {
                hashes.of(kinds, group, version, || {
                    made.push(group.to_owned());
                    made.len() as u64
                });
            }
            hashes.keep_only(&kinds.group_versions());
            made.clone()
        };
        let (none, widgets) = (Catalogue::default(), Catalogue::new(vec![kind("a")]));
        assert_eq!(index(&none).len(), none.group_versions().len());
        assert!(index(&none).is_empty());
        assert_eq!(index(&widgets), ["example.com"]);
        assert!(index(&widgets).is_empty());
        assert_eq!(index(&Catalogue::new(vec![kind("b")])), ["example.com"]);
        assert!(index(&none).is_empty());
        assert_eq!(index(&widgets), ["example.com"], "it was forgotten");
    }
}
