//! Deployments: a ReplicaSet per template, rolled from the old to the new.

mod conditions;
mod plan;
mod sets;

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentStatus, ReplicaSet},
        core::v1::Pod,
    },
    jiff::Timestamp,
};
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{Patch, PatchParams},
};
use skiff_client::{Informer, Next, Queue, Recorder, reconcile};

use crate::{
    context::{Context, Key, controller_key, key},
    error::{During as _, Error, gone_is_fine, is_status},
    pods,
};
use conditions::Newest;
use plan::Resize;

const WORKERS: usize = 5;

#[derive(Clone)]
struct Controller {
    context: Context,
    deployments: Informer<Deployment>,
    sets: Informer<ReplicaSet>,
    pods: Informer<Pod>,
    events: Recorder,
}

/// Runs until the context's `stop`.
pub(crate) async fn run(context: Context) {
    let queue: Queue<Key> = Queue::new();
    let controller = Controller {
        deployments: context.informers.of(),
        sets: context.informers.of(),
        pods: context.informers.of(),
        events: context.recorder("deployment-controller"),
        context: context.clone(),
    };
    controller.deployments.synced().await;
    controller.sets.synced().await;
    controller.pods.synced().await;
    context.feed(&controller.deployments, &queue, |deployment, _| vec![key(deployment)]);
    context.feed(&controller.sets, &queue, |set, was| {
        let owners = [controller_key(set, "Deployment"), was.and_then(|was| controller_key(was, "Deployment"))];
        owners.into_iter().flatten().collect()
    });
    // Only Recreate waits for single pods; everything else is seen through the sets' status.
    let sets = controller.sets.clone();
    context.feed(&controller.pods, &queue, move |pod, _| {
        let set = controller_key(pod, "ReplicaSet").and_then(|(namespace, name)| sets.get(&namespace, &name));
        let over = pods::is_finished(pod) || pod.metadata.deletion_timestamp.is_some();
        set.filter(|_| over).and_then(|set| controller_key(&*set, "Deployment")).into_iter().collect()
    });
    let stop = context.stop.clone();
    reconcile("deployment", queue, WORKERS, stop, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

impl Controller {
    async fn sync(&self, (namespace, name): &Key) -> Result<Next, Error> {
        let Some(deployment) = self.deployments.get(namespace, name) else { return Ok(Next::OnChange) };
        let owned = self.claim(&deployment).await?;
        let (mut new, mut old) = sets::split(&deployment, &owned);
        let mut newest = Newest::Found;
        let going = deployment.metadata.deletion_timestamp.is_some();
        let paused = deployment.spec.as_ref().is_some_and(|spec| spec.paused == Some(true));
        if !going {
            let scaling = plan::is_scaling(&deployment, &new.iter().chain(&old).collect::<Vec<_>>());
            if !paused {
                new = match self.newest(&deployment, new, &old).await? {
                    (Some(set), made) => {
                        newest = made;
                        Some(set)
                    }
                    (None, _) => None,
                };
            }
            let steps = self.steps(&deployment, new.as_ref(), &old, paused || scaling);
            self.resize(&deployment, &mut new, &mut old, steps).await?;
            self.clean_up(&deployment, &old).await?;
        }
        let (status, deadline) = conditions::status(&deployment, new.as_ref(), &old, newest, Timestamp::now());
        self.write_status(&deployment, &status).await?;
        Ok(deadline.map_or(Next::OnChange, |at| {
            let left = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
            Next::After(left + Duration::from_millis(100))
        }))
    }

    fn steps(&self, deployment: &Deployment, new: Option<&ReplicaSet>, old: &[ReplicaSet], share: bool) -> Vec<Resize> {
        match new {
            _ if share => plan::share(deployment, new, old),
            None => sets::all_to_zero(old),
            Some(_) if plan::recreates(deployment) && old.iter().any(|set| plan::size(set) > 0) => {
                sets::all_to_zero(old)
            }
            Some(new) => plan::roll(deployment, new, old),
        }
    }

    /// The set of the current template, made where it is missing; `None` while Recreate still waits
    /// for old pods.
    async fn newest(
        &self,
        deployment: &Deployment,
        new: Option<ReplicaSet>,
        old: &[ReplicaSet],
    ) -> Result<(Option<ReplicaSet>, Newest), Error> {
        if let Some(new) = new {
            return Ok((Some(self.keep_annotated(deployment, new, old).await?), Newest::Found));
        }
        if plan::recreates(deployment) && self.old_pods_remain(old) {
            return Ok((None, Newest::Found));
        }
        let made = self.create_set(deployment, old).await?;
        let (from, to) = (0, plan::size(&made));
        if to > from {
            self.tell_scaled(deployment, &Resize { name: made.name_any(), from, to });
        }
        Ok((Some(made), Newest::Created))
    }

    fn old_pods_remain(&self, old: &[ReplicaSet]) -> bool {
        old.iter().any(|set| {
            let uid = set.uid().unwrap_or_default();
            let mine = |pod: &Arc<Pod>| crate::context::controller_of(&**pod).is_some_and(|owner| owner.uid == uid);
            self.pods
                .list_in(&set.namespace().unwrap_or_default())
                .iter()
                .any(|pod| mine(pod) && !pods::is_finished(pod))
        })
    }

    async fn resize(
        &self,
        deployment: &Deployment,
        new: &mut Option<ReplicaSet>,
        old: &mut [ReplicaSet],
        steps: Vec<Resize>,
    ) -> Result<(), Error> {
        for step in steps {
            let Some(set) = new.iter_mut().chain(old.iter_mut()).find(|set| set.name_any() == step.name) else {
                continue;
            };
            let patch = serde_json::json!({
                "metadata": {"uid": set.uid(), "annotations": sets::size_annotations(deployment)},
                "spec": {"replicas": step.to}
            });
            *set = self.patch_set(deployment, &step.name, patch).await?;
            if step.from != step.to {
                self.tell_scaled(deployment, &step);
            }
        }
        Ok(())
    }

    fn tell_scaled(&self, deployment: &Deployment, step: &Resize) {
        let direction = if step.to > step.from { "up" } else { "down" };
        let message = format!("Scaled {direction} replica set {} from {} to {}", step.name, step.from, step.to);
        self.events.normal(&deployment.object_ref(&()), "ScalingReplicaSet", message);
    }

    async fn patch_set(
        &self,
        deployment: &Deployment,
        name: &str,
        patch: serde_json::Value,
    ) -> Result<ReplicaSet, Error> {
        let api: Api<ReplicaSet> = self.context.api(&deployment.namespace().unwrap_or_default());
        let written = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        let set = written.during(|| format!("change ReplicaSet {name}"))?;
        self.sets.caught_up(set.resource_version()).await;
        Ok(set)
    }

    /// Deletes old sets without pods beyond `revisionHistoryLimit`, oldest first.
    async fn clean_up(&self, deployment: &Deployment, old: &[ReplicaSet]) -> Result<(), Error> {
        let api: Api<ReplicaSet> = self.context.api(&deployment.namespace().unwrap_or_default());
        for name in sets::beyond_history(deployment, old) {
            gone_is_fine(api.delete(&name, &kube::api::DeleteParams::background()).await)
                .during(|| format!("delete old ReplicaSet {name}"))?;
        }
        Ok(())
    }

    async fn write_status(&self, deployment: &Deployment, status: &DeploymentStatus) -> Result<(), Error> {
        if deployment.status.as_ref() == Some(status) {
            return Ok(());
        }
        let api: Api<Deployment> = self.context.api(&deployment.namespace().unwrap_or_default());
        let name = deployment.name_any();
        let patch = serde_json::json!({ "status": status });
        match api.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(written) => self.deployments.caught_up(written.resource_version()).await,
            Err(error) if is_status(&error, 404) => {}
            Err(error) => return Err(error).during(|| format!("write the status of Deployment {name}")),
        }
        Ok(())
    }
}
