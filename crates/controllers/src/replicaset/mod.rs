//! ReplicaSets, and the ReplicationControllers that came before them: as many pods of a template as asked for.

mod kind;
mod plan;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetStatus},
        core::v1::{Pod, ReplicationController},
    },
    jiff::Timestamp,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use skiff_client::{Informer, Next, Queue, Recorder, reconcile};

use crate::{
    context::{Context, Key, controller_key, key},
    error::{During as _, Error, gone_is_fine, is_namespace_going, is_status},
    ownership::{self, Claim},
};
use kind::Replicated;
use plan::Change;

const WORKERS: usize = 5;

/// Of one of the kinds. What is planned is planned for a ReplicaSet.
#[derive(Clone)]
struct Controller<K> {
    context: Context,
    sets: Informer<K>,
    pods: Informer<Pod>,
    events: Recorder,
}

/// Cares for ReplicaSets until the context's `stop`.
pub(crate) async fn run(context: Context) {
    care_for::<ReplicaSet>(context).await;
}

/// Cares for ReplicationControllers until the context's `stop`.
pub(crate) async fn run_replication_controllers(context: Context) {
    care_for::<ReplicationController>(context).await;
}

async fn care_for<K: Replicated>(context: Context) {
    let queue: Queue<Key> = Queue::new();
    let controller = Controller::<K> {
        sets: context.informers.of(),
        pods: context.informers.of(),
        events: context.recorder(K::COMPONENT),
        context: context.clone(),
    };
    controller.sets.synced().await;
    controller.pods.synced().await;
    context.feed(&controller.sets, &queue, |set, _| vec![key(set)]);
    let sets = controller.sets.clone();
    context.feed(&controller.pods, &queue, move |pod, was| {
        let before = was.and_then(|was| controller_key(was, &K::kind(&())));
        let owner = controller_key(pod, &K::kind(&()));
        if owner.is_none() && pod.metadata.deletion_timestamp.is_none() {
            return adopters(&sets, pod).into_iter().chain(before).collect();
        }
        owner.into_iter().chain(before).collect()
    });
    let stop = context.stop.clone();
    reconcile(K::COMPONENT, queue, WORKERS, stop, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

/// The sets that would adopt a pod without a controller.
fn adopters<K: Replicated>(sets: &Informer<K>, pod: &Pod) -> Vec<Key> {
    let in_namespace = sets.list_in(&pod.namespace().unwrap_or_default());
    let fits =
        |set: &&Arc<K>| set.set().spec.as_ref().is_some_and(|spec| ownership::matches(&spec.selector, pod.labels()));
    in_namespace.iter().filter(fits).map(|set| key(&**set)).collect()
}

impl<K: Replicated> Controller<K> {
    async fn sync(&self, (namespace, name): &Key) -> Result<Next, Error> {
        let Some(own) = self.sets.get(namespace, name) else { return Ok(Next::OnChange) };
        let set = own.set();
        let owned = self.claim(&own, &set).await?;
        let outcome = match plan::change(&set, &owned) {
            Change::Nothing => Ok(()),
            Change::Create(count) => self.create(&own, &set, count).await,
            Change::Delete(surplus) => self.delete(&own, &surplus).await,
        };
        let owned = self.owned_now(&own);
        let failure = outcome.as_ref().err().map(ToString::to_string);
        let (status, wake) = plan::status(&set, &owned, failure, Timestamp::now());
        let status = K::shown(status);
        if set.status.as_ref() != Some(&status) {
            self.write_status(&own, &status).await?;
        }
        outcome?;
        Ok(wake.map_or(Next::OnChange, |at| {
            Next::After(Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default())
        }))
    }

    fn owned_now(&self, set: &K) -> Vec<Arc<Pod>> {
        let uid = set.uid().unwrap_or_default();
        let mine = |pod: &Arc<Pod>| crate::context::controller_of(&**pod).is_some_and(|owner| owner.uid == uid);
        self.pods.list_in(&set.namespace().unwrap_or_default()).into_iter().filter(mine).collect()
    }

    /// The set's pods, after adopting and releasing.
    async fn claim(&self, own: &K, set: &ReplicaSet) -> Result<Vec<Arc<Pod>>, Error> {
        let Some(spec) = &set.spec else { return Ok(Vec::new()) };
        let namespace = set.namespace().unwrap_or_default();
        let api: Api<Pod> = self.context.api(&namespace);
        let (uid, dying) = (set.uid().unwrap_or_default(), set.metadata.deletion_timestamp.is_some());
        let mut mine = Vec::new();
        for pod in self.pods.list_in(&namespace) {
            match ownership::claim(&*pod, &uid, &spec.selector, dying) {
                Claim::Mine => mine.push(pod),
                Claim::Adopt => ownership::adopt(&api, &*pod, ownership::reference(own)).await?,
                Claim::Release => ownership::release(&api, &*pod, &uid).await?,
                Claim::Not => {}
            }
        }
        Ok(mine)
    }

    /// Makes pods in batches that double, so that a template that is refused costs one request.
    async fn create(&self, own: &K, set: &ReplicaSet, count: usize) -> Result<(), Error> {
        let api: Api<Pod> = self.context.api(&set.namespace().unwrap_or_default());
        let pod = plan::pod(set, ownership::reference(own));
        let (mut left, mut batch) = (count, 1);
        while left > 0 {
            let now = batch.min(left);
            let params = PostParams::default();
            let made = join_all((0..now).map(|_| api.create(&params, &pod))).await;
            let mut made_last: Option<u64> = None;
            for result in made {
                match result {
                    Ok(pod) => {
                        let message = format!("Created pod: {}", pod.name_any());
                        self.events.normal(&own.object_ref(&()), "SuccessfulCreate", message);
                        made_last = made_last.max(pod.resource_version().and_then(|version| version.parse().ok()));
                    }
                    // Nothing is made any more where all is going.
                    Err(error) if is_namespace_going(&error) => return Ok(()),
                    Err(error) => return Err(self.refused(own, error)),
                }
            }
            self.pods.caught_up(made_last.map(|version| version.to_string())).await;
            left -= now;
            batch *= 2;
        }
        Ok(())
    }

    fn refused(&self, set: &K, error: kube::Error) -> Error {
        self.events.warning(&set.object_ref(&()), "FailedCreate", format!("Error creating: {error}"));
        let what = format!("create a pod of {} {}", K::kind(&()), set.name_any());
        Error::Api { what, source: Box::new(error) }
    }

    async fn delete(&self, set: &K, surplus: &[Arc<Pod>]) -> Result<(), Error> {
        let api: Api<Pod> = self.context.api(&set.namespace().unwrap_or_default());
        let deleted = join_all(surplus.iter().map(|pod| delete_pod(&api, pod))).await;
        for (pod, result) in surplus.iter().zip(deleted) {
            let going = result?;
            self.events.normal(&set.object_ref(&()), "SuccessfulDelete", format!("Deleted pod: {}", pod.name_any()));
            self.pods.caught_up(going).await;
        }
        Ok(())
    }

    async fn write_status(&self, set: &K, status: &ReplicaSetStatus) -> Result<(), Error> {
        let api: Api<K> = self.context.api(&set.namespace().unwrap_or_default());
        // A merge patch takes a list as a whole and null removes: conditions that ended must go.
        let mut patch = serde_json::json!({ "status": status });
        patch["status"]["conditions"] = serde_json::json!(status.conditions);
        let written = api.patch_status(&set.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await;
        let version = written.as_ref().ok().and_then(kube::ResourceExt::resource_version);
        gone_is_fine(written).during(|| format!("write the status of {} {}", K::kind(&()), set.name_any()))?;
        self.sets.caught_up(version).await;
        Ok(())
    }
}

/// Deletes exactly this pod; returns the version of the pod that goes, where it takes its time.
async fn delete_pod(api: &Api<Pod>, pod: &Pod) -> Result<Option<String>, Error> {
    let only_this = Preconditions { uid: pod.uid(), ..Preconditions::default() };
    let params = DeleteParams { preconditions: Some(only_this), ..DeleteParams::default() };
    match api.delete(&pod.name_any(), &params).await {
        Ok(going) => Ok(going.left().and_then(|pod| pod.resource_version())),
        Err(error) if is_status(&error, 404) => Ok(None),
        Err(error) => Err(error).during(|| format!("delete pod {}", pod.name_any())),
    }
}
