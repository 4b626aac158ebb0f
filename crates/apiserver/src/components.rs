//! How the API server learns whether the components of its process are well: each leaves a question to be asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Says whether a component is well, or what is wrong.
type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The components that ComponentStatuses tell about. Clones share one registry.
#[derive(Clone, Default)]
pub struct ComponentRegistry {
    components: Arc<RwLock<BTreeMap<String, Check>>>,
}

impl ComponentRegistry {
    /// From now on `name` is as `check` says.
    pub fn register(&self, name: impl Into<String>, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        let mut components = self.components.write().unwrap_or_else(PoisonError::into_inner);
        components.insert(name.into(), Arc::new(check));
    }

    /// Asks all of them.
    pub(crate) fn check(&self) -> Vec<(String, Result<(), String>)> {
        let components = self.components.read().unwrap_or_else(PoisonError::into_inner);
        components.iter().map(|(name, check)| (name.clone(), check())).collect()
    }
}
