//! The end of a namespace: everything in it is deleted, then its finalizer is taken away.

mod left;

use std::sync::Arc;

use k8s_openapi::{
    api::core::v1::{Namespace, Pod},
    jiff::Timestamp,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use skiff_client::{Informer, Next, Queue, reconcile};

use crate::{
    context::Context,
    error::{During as _, Error, gone_is_fine, is_status},
    kinds::{Target, builtin},
};
use left::Left;

/// The finalizer that every namespace is made with.
const FINALIZER: &str = "kubernetes";
const WORKERS: usize = 2;

#[derive(Clone)]
struct Controller {
    context: Context,
    namespaces: Informer<Namespace>,
}

/// Runs until the context's `stop`.
pub(crate) async fn run(context: Context) {
    let queue: Queue<String> = Queue::new();
    let controller = Controller { namespaces: context.informers.of(), context: context.clone() };
    let pods: Informer<Pod> = context.informers.of();
    controller.namespaces.synced().await;
    let going = |namespace: &Namespace| namespace.metadata.deletion_timestamp.is_some();
    context.feed(&controller.namespaces, &queue, move |namespace, _| {
        going(namespace).then(|| namespace.name_any()).into_iter().collect()
    });
    // Pods take their time; the last one's end is what the namespace waits for.
    let namespaces = controller.namespaces.clone();
    context.feed(&pods, &queue, move |pod, _| {
        let namespace = pod.namespace().filter(|name| namespaces.get("", name).is_some_and(|one| going(&one)));
        namespace.into_iter().collect()
    });
    let stop = context.stop.clone();
    reconcile("namespace", queue, WORKERS, stop, move |name| {
        let controller = controller.clone();
        async move { controller.sync(&name).await }
    })
    .await;
}

impl Controller {
    async fn sync(&self, name: &str) -> Result<Next, Error> {
        let Some(namespace) = self.namespaces.get("", name) else { return Ok(Next::OnChange) };
        let ours = namespace.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten()).any(|one| one == FINALIZER);
        if namespace.metadata.deletion_timestamp.is_none() || !ours {
            return Ok(Next::OnChange);
        }
        let customs = self.context.customs.clone().now().await;
        let kinds = builtin(&["deletecollection"]).chain(customs.values().cloned());
        // Pods go first: what else is there, such as a network policy, may be there for their sake (KEP-5080).
        let (pods, others): (Vec<_>, Vec<_>) =
            kinds.filter(|target| target.namespaced).partition(|target| target.is_of("", "pods"));
        for kinds in [pods, others] {
            let left = self.empty(&kinds, name).await?;
            if !left.is_none() {
                self.tell(&namespace, &left).await?;
                return Err(Error::NotYet(format!("{left} to go from namespace {name}")));
            }
        }
        self.finalize(&namespace).await
    }

    /// Deletes all objects of these kinds; what is left takes its time.
    async fn empty(&self, kinds: &[Arc<Target>], namespace: &str) -> Result<Left, Error> {
        for target in kinds {
            let api: Api<DynamicObject> = target.objects(self.context.client(), namespace);
            let deleted = api.delete_collection(&DeleteParams::background(), &ListParams::default()).await;
            gone_is_fine(deleted).during(|| format!("delete the {} of namespace {namespace}", target.api.plural))?;
        }
        let mut left = Left::default();
        for target in kinds {
            let api: Api<DynamicObject> = target.objects(self.context.client(), namespace);
            let listed = api.list_metadata(&ListParams::default()).await;
            let listed = listed.during(|| format!("list the {} of namespace {namespace}", target.api.plural))?;
            left.count(&target.api, listed.items.iter().map(|object| &object.metadata));
        }
        Ok(left)
    }

    /// Shows in the namespace's status what it waits for.
    async fn tell(&self, namespace: &Namespace, left: &Left) -> Result<(), Error> {
        let held = namespace.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let conditions = left.conditions(held, Timestamp::now());
        if conditions == held {
            return Ok(());
        }
        let (name, patch) = (namespace.name_any(), serde_json::json!({ "status": { "conditions": conditions } }));
        let api: Api<Namespace> = Api::all(self.context.client());
        let written = api.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
        gone_is_fine(written).during(|| format!("write the status of namespace {name}"))
    }

    async fn finalize(&self, namespace: &Namespace) -> Result<Next, Error> {
        let name = namespace.name_any();
        let mut done = namespace.clone();
        if let Some(finalizers) = done.spec.as_mut().and_then(|spec| spec.finalizers.as_mut()) {
            finalizers.retain(|one| one != FINALIZER);
        }
        let api: Api<Namespace> = Api::all(self.context.client());
        match api.replace_subresource("finalize", &name, &PostParams::default(), &done).await {
            Err(error) if !is_status(&error, 404) => Err(error).during(|| format!("finalize namespace {name}")),
            _ => Ok(Next::OnChange),
        }
    }
}
