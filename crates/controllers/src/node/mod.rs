//! Node lifecycle: a node that is not ready or silent is tainted; pods leave when their tolerations end.

mod plan;

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Node, Pod},
    },
    jiff::Timestamp,
};
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;
use skiff_client::{Informer, Next, Queue, Recorder, reconcile};

use crate::{
    context::Context,
    error::{During as _, Error, gone_is_fine},
    pods,
};
use plan::Health;

const LEASES: &str = "kube-node-lease";

#[derive(Clone)]
struct Controller {
    context: Context,
    nodes: Informer<Node>,
    leases: Informer<Lease>,
    pods: Informer<Pod>,
    events: Recorder,
    started: Timestamp,
    grace: Duration,
}

/// Runs until the context's `stop`.
pub(crate) async fn run(context: Context, grace: Duration) {
    let queue: Queue<String> = Queue::new();
    let controller = Controller {
        nodes: context.informers.of(),
        leases: context.informers.of(),
        pods: context.informers.of(),
        events: context.recorder("node-controller"),
        started: Timestamp::now(),
        grace,
        context: context.clone(),
    };
    controller.nodes.synced().await;
    controller.leases.synced().await;
    controller.pods.synced().await;
    context.feed(&controller.nodes, &queue, |node, _| vec![node.name_any()]);
    // A renewed Lease only matters where none was there: the deadline of a healthy node moves by
    // itself, and is looked at when it is reached.
    context.feed(&controller.leases, &queue, |lease, was| {
        let new = lease.namespace().as_deref() == Some(LEASES) && was.is_none();
        new.then(|| lease.name_any()).into_iter().collect()
    });
    let stop = context.stop.clone();
    reconcile("node", queue, 1, stop, move |name| {
        let controller = controller.clone();
        async move { controller.sync(&name).await }
    })
    .await;
}

impl Controller {
    async fn sync(&self, name: &str) -> Result<Next, Error> {
        let Some(node) = self.nodes.get("", name) else {
            self.abandon(name).await?;
            return Ok(Next::OnChange);
        };
        let now = Timestamp::now();
        let lease = self.leases.get(LEASES, name);
        let (health, deadline) = plan::health(&node, lease.as_deref(), self.started, self.grace, now);
        if health == Health::Unreachable {
            self.mark_unknown(&node, now).await?;
        }
        if let Some(taints) = plan::taints(&node, health, now) {
            let patch =
                json!({ "metadata": {"resourceVersion": node.resource_version()}, "spec": { "taints": taints } });
            let api: Api<Node> = Api::all(self.context.client());
            let written = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
            let written = written.during(|| format!("taint node {name}"))?;
            self.nodes.caught_up(written.resource_version()).await;
            return self.evict(&written, deadline).await;
        }
        self.evict(&node, deadline).await
    }

    async fn mark_unknown(&self, node: &Node, now: Timestamp) -> Result<(), Error> {
        let Some(conditions) = plan::unknown(node, now) else { return Ok(()) };
        let (api, name): (Api<Node>, _) = (Api::all(self.context.client()), node.name_any());
        let patch = json!({ "status": { "conditions": conditions } });
        let written = api.patch_status(&name, &PatchParams::default(), &Patch::Strategic(patch)).await;
        let written = written.during(|| format!("mark node {name} unknown"))?;
        self.events.normal(&node.object_ref(&()), "NodeNotReady", format!("Node {name} status is now: NodeNotReady"));
        self.nodes.caught_up(written.resource_version()).await;
        Ok(())
    }

    /// Deletes the pods whose time on the node is over; returns when to look again.
    async fn evict(&self, node: &Node, mut next: Timestamp) -> Result<Next, Error> {
        let now = Timestamp::now();
        for pod in self.on(&node.name_any()) {
            let Some(at) = plan::eviction(&pod, node) else { continue };
            if at > now {
                next = next.min(at);
                continue;
            }
            self.events.normal(
                &pod.object_ref(&()),
                "TaintManagerEviction",
                format!("Marking for deletion Pod {}", pod.name_any()),
            );
            self.delete(&pod, None).await?;
        }
        let wait = Duration::try_from(next.duration_since(now)).unwrap_or_default();
        // A node that will only ever be looked at on change has no deadline.
        Ok(if next == Timestamp::MAX { Next::OnChange } else { Next::After(wait + Duration::from_millis(10)) })
    }

    fn on(&self, node: &str) -> Vec<Arc<Pod>> {
        let here = |pod: &Arc<Pod>| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node);
        let all = self.pods.list().into_iter();
        all.filter(|pod| here(pod) && pod.metadata.deletion_timestamp.is_none() && !pods::is_finished(pod)).collect()
    }

    /// The pods of a node that is gone for good go at once: nobody is there to end them.
    async fn abandon(&self, node: &str) -> Result<(), Error> {
        for pod in self.on(node) {
            self.delete(&pod, Some(0)).await?;
        }
        Ok(())
    }

    async fn delete(&self, pod: &Pod, grace: Option<u32>) -> Result<(), Error> {
        let api: Api<Pod> = self.context.api(&pod.namespace().unwrap_or_default());
        let only_this = Preconditions { uid: pod.uid(), ..Preconditions::default() };
        let params =
            DeleteParams { grace_period_seconds: grace, preconditions: Some(only_this), ..DeleteParams::default() };
        gone_is_fine(api.delete(&pod.name_any(), &params).await).during(|| format!("evict pod {}", pod.name_any()))
    }
}
