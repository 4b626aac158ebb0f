//! Images from registries. Who asks for the same image with the same credentials at the same time shares one pull.

mod registry;
mod session;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};

use crate::error::PullError;
use crate::store::{Store, unpoisoned};
use crate::{Auth, Digest, Keyring, OnProgress, Progress, Reference};

type Outcome = Result<Digest, PullError>;
type Key = (Reference, Vec<Auth>);
type Task = BoxFuture<'static, Outcome>;

/// The pulls under way.
#[derive(Default)]
pub(crate) struct Pulls {
    running: Mutex<HashMap<Key, Running>>,
}

struct Running {
    /// Weak, so that a pull nobody waits for any more ends.
    task: WeakShared<Task>,
    listeners: Arc<Listeners>,
}

impl fmt::Debug for Pulls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulls").field("running", &unpoisoned(&self.running).len()).finish()
    }
}

/// Who wants to hear about a pull's progress.
#[derive(Default)]
struct Listeners(Mutex<Vec<OnProgress>>);

impl Listeners {
    fn add(&self, listener: Option<OnProgress>) {
        unpoisoned(&self.0).extend(listener);
    }

    fn report(&self, progress: &Progress) {
        // Called without the lock, since a listener may take its time.
        let listeners = unpoisoned(&self.0).clone();
        listeners.iter().for_each(|listener| listener(progress));
    }
}

impl Pulls {
    /// Pulls the image, or waits for the pull of it that is under way.
    pub(crate) async fn pull(
        &self,
        store: &Arc<Store>,
        reference: &Reference,
        keyring: &Keyring,
        progress: Option<OnProgress>,
    ) -> Outcome {
        let key = (reference.clone(), keyring.lookup(reference));
        let task = self.join(store, &key, progress);
        let outcome = task.await;
        unpoisoned(&self.running).retain(|_, running| running.task.upgrade().is_some());
        outcome
    }

    fn join(&self, store: &Arc<Store>, key: &Key, progress: Option<OnProgress>) -> Shared<Task> {
        let mut running = unpoisoned(&self.running);
        if let Some(pull) = running.get(key)
            && let Some(task) = pull.task.upgrade()
        {
            pull.listeners.add(progress);
            return task;
        }
        let listeners = Arc::new(Listeners::default());
        listeners.add(progress);
        let (reference, auths) = key.clone();
        let task = session::pull(Arc::clone(store), reference, auths, Arc::clone(&listeners)).boxed().shared();
        if let Some(weak) = task.downgrade() {
            running.insert(key.clone(), Running { task: weak, listeners });
        }
        task
    }
}
