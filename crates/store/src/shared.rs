//! What the committer publishes and everybody else reads.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::BackendError;
use crate::snapshot::State;
use crate::window::Window;

/// Written by the committer only.
pub(crate) struct Shared {
    state: ArcSwap<State>,
    failure: Mutex<Option<Arc<BackendError>>>,
    pub(crate) window: Arc<Window>,
}

impl Shared {
    pub(crate) fn new(state: State, window: Window) -> Self {
        Self { state: ArcSwap::from_pointee(state), failure: Mutex::new(None), window: Arc::new(window) }
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(Arc::new(state));
    }

    pub(crate) fn failure(&self) -> Option<Arc<BackendError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_failure(&self, failure: Option<Arc<BackendError>>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}
