//! ReplicaSets: as many pods of a template as asked for.

mod plan;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use k8s_openapi::{
    api::{apps::v1::ReplicaSet, core::v1::Pod},
    jiff::Timestamp,
};
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use skiff_client::{Informer, Next, Queue, Recorder, reconcile};

use crate::{
    context::{Context, Key, controller_key, key},
    error::{During as _, Error, gone_is_fine, is_status},
    ownership::{self, Claim},
};
use plan::Change;

const WORKERS: usize = 5;

#[derive(Clone)]
struct Controller {
    context: Context,
    sets: Informer<ReplicaSet>,
    pods: Informer<Pod>,
    events: Recorder,
}

/// Runs until the context's `stop`.
pub(crate) async fn run(context: Context) {
    let queue: Queue<Key> = Queue::new();
    let controller = Controller {
        sets: context.informers.of(),
        pods: context.informers.of(),
        events: context.recorder("replicaset-controller"),
        context: context.clone(),
    };
    controller.sets.synced().await;
    controller.pods.synced().await;
    context.feed(&controller.sets, &queue, |set, _| vec![key(set)]);
    let sets = controller.sets.clone();
    context.feed(&controller.pods, &queue, move |pod, was| {
        let before = was.and_then(|was| controller_key(was, "ReplicaSet"));
        let owner = controller_key(pod, "ReplicaSet");
        if owner.is_none() && pod.metadata.deletion_timestamp.is_none() {
            return adopters(&sets, pod).into_iter().chain(before).collect();
        }
        owner.into_iter().chain(before).collect()
    });
    let stop = context.stop.clone();
    reconcile("replicaset", queue, WORKERS, stop, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

/// The sets that would adopt a pod without a controller.
fn adopters(sets: &Informer<ReplicaSet>, pod: &Pod) -> Vec<Key> {
    let in_namespace = sets.list_in(&pod.namespace().unwrap_or_default());
    let fits =
        |set: &&Arc<ReplicaSet>| set.spec.as_ref().is_some_and(|spec| ownership::matches(&spec.selector, pod.labels()));
    in_namespace.iter().filter(fits).map(|set| key(&**set)).collect()
}

impl Controller {
    async fn sync(&self, (namespace, name): &Key) -> Result<Next, Error> {
        let Some(set) = self.sets.get(namespace, name) else { return Ok(Next::OnChange) };
        let owned = self.claim(&set).await?;
        let outcome = match plan::change(&set, &owned) {
            Change::Nothing => Ok(()),
            Change::Create(count) => self.create(&set, count).await,
            Change::Delete(surplus) => self.delete(&set, &surplus).await,
        };
        let owned = self.owned_now(&set);
        let failure = outcome.as_ref().err().map(ToString::to_string);
        let (status, wake) = plan::status(&set, &owned, failure, Timestamp::now());
        if set.status.as_ref() != Some(&status) {
            self.write_status(&set, &status).await?;
        }
        outcome?;
        Ok(wake.map_or(Next::OnChange, |at| {
            Next::After(Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default())
        }))
    }

    fn owned_now(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let uid = set.uid().unwrap_or_default();
        let mine = |pod: &Arc<Pod>| crate::context::controller_of(&**pod).is_some_and(|owner| owner.uid == uid);
        self.pods.list_in(&set.namespace().unwrap_or_default()).into_iter().filter(mine).collect()
    }

    /// The set's pods, after adopting and releasing.
    async fn claim(&self, set: &ReplicaSet) -> Result<Vec<Arc<Pod>>, Error> {
        let Some(spec) = &set.spec else { return Ok(Vec::new()) };
        let namespace = set.namespace().unwrap_or_default();
        let api: Api<Pod> = self.context.api(&namespace);
        let (uid, dying) = (set.uid().unwrap_or_default(), set.metadata.deletion_timestamp.is_some());
        let mut mine = Vec::new();
        for pod in self.pods.list_in(&namespace) {
            match ownership::claim(&*pod, &uid, &spec.selector, dying) {
                Claim::Mine => mine.push(pod),
                Claim::Adopt => ownership::adopt(&api, &*pod, ownership::reference(set)).await?,
                Claim::Release => ownership::release(&api, &*pod, &uid).await?,
                Claim::Not => {}
            }
        }
        Ok(mine)
    }

    /// Makes pods in batches that double, so that a template that is refused costs one request.
    async fn create(&self, set: &ReplicaSet, count: usize) -> Result<(), Error> {
        let api: Api<Pod> = self.context.api(&set.namespace().unwrap_or_default());
        let pod = plan::pod(set);
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
                        self.events.normal(&set.object_ref(&()), "SuccessfulCreate", message);
                        made_last = made_last.max(pod.resource_version().and_then(|version| version.parse().ok()));
                    }
                    Err(error) => return Err(self.refused(set, error)),
                }
            }
            self.pods.caught_up(made_last.map(|version| version.to_string())).await;
            left -= now;
            batch *= 2;
        }
        Ok(())
    }

    fn refused(&self, set: &ReplicaSet, error: kube::Error) -> Error {
        self.events.warning(&set.object_ref(&()), "FailedCreate", format!("Error creating: {error}"));
        Error::Api { what: format!("create a pod of ReplicaSet {}", set.name_any()), source: Box::new(error) }
    }

    async fn delete(&self, set: &ReplicaSet, surplus: &[Arc<Pod>]) -> Result<(), Error> {
        let api: Api<Pod> = self.context.api(&set.namespace().unwrap_or_default());
        let deleted = join_all(surplus.iter().map(|pod| delete_pod(&api, pod))).await;
        for (pod, result) in surplus.iter().zip(deleted) {
            let going = result?;
            self.events.normal(&set.object_ref(&()), "SuccessfulDelete", format!("Deleted pod: {}", pod.name_any()));
            self.pods.caught_up(going).await;
        }
        Ok(())
    }

    async fn write_status(
        &self,
        set: &ReplicaSet,
        status: &k8s_openapi::api::apps::v1::ReplicaSetStatus,
    ) -> Result<(), Error> {
        let api: Api<ReplicaSet> = self.context.api(&set.namespace().unwrap_or_default());
        // A merge patch takes a list as a whole and null removes: conditions that ended must go.
        let mut patch = serde_json::json!({ "status": status });
        patch["status"]["conditions"] = serde_json::json!(status.conditions);
        let written = api.patch_status(&set.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await;
        let version = written.as_ref().ok().and_then(kube::ResourceExt::resource_version);
        gone_is_fine(written).during(|| format!("write the status of ReplicaSet {}", set.name_any()))?;
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
