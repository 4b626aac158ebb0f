//! Garbage collection: what an owner leaves behind goes with it, at once (background), before it
//! (foreground), or not at all (orphan).

mod graph;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, PropagationPolicy},
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::json;
use skiff_api::resource;
use skiff_client::{Next, Queue, reconcile};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    error::{During as _, Error, gone_is_fine, is_status},
    kinds::{Target, builtin},
};
use graph::{FOREGROUND, Graph, Node, ORPHAN, Place, Verdict, Work};

const WORKERS: usize = 8;

#[derive(Clone)]
struct Collector {
    context: Context,
    graph: Arc<Mutex<Graph>>,
    queue: Queue<Work>,
}

/// Runs until the context's `stop`.
pub(crate) async fn run(context: Context) {
    let collector = Collector { graph: Arc::default(), queue: Queue::new(), context: context.clone() };
    for target in builtin(&["watch", "delete"]) {
        collector.spawn(target, context.stop.clone());
    }
    let customs = collector.clone();
    tokio::spawn(context.stop.clone().run_until_cancelled_owned(async move { customs.follow_customs().await }));
    let stop = context.stop.clone();
    reconcile("garbagecollector", collector.queue.clone(), WORKERS, stop, move |work| {
        let collector = collector.clone();
        async move { collector.work(&work).await.map(|()| Next::OnChange) }
    })
    .await;
}

impl Collector {
    fn lock(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The metadata of one kind: nothing else of an object is ever sent here.
    fn at(&self, place: &Place) -> Api<PartialObjectMeta<DynamicObject>> {
        place.target.objects(self.context.client(), &place.namespace)
    }

    fn spawn(&self, target: Arc<Target>, stop: CancellationToken) {
        let follower = self.clone();
        tokio::spawn(async move {
            let mut held = HashSet::new();
            stop.run_until_cancelled(follower.follow(&target, &mut held)).await;
            held.iter().for_each(|uid| follower.removed(uid));
        });
    }

    /// Follows the kinds of definitions as these come and go.
    async fn follow_customs(&self) {
        let mut customs = self.context.customs.clone();
        let mut followed: BTreeMap<String, (Arc<Target>, CancellationToken)> = BTreeMap::new();
        loop {
            let now = customs.now().await;
            followed.retain(|name, (target, stop)| {
                let stays = now.get(name) == Some(target);
                if !stays {
                    stop.cancel();
                }
                stays
            });
            for (name, target) in now.iter() {
                if !followed.contains_key(name) {
                    let stop = self.context.stop.child_token();
                    self.spawn(Arc::clone(target), stop.clone());
                    followed.insert(name.clone(), (Arc::clone(target), stop));
                }
            }
            if !customs.changed().await {
                return;
            }
        }
    }

    /// Keeps the graph up to date with one kind; only metadata is sent.
    async fn follow(&self, target: &Arc<Target>, held: &mut HashSet<String>) {
        let api: Api<PartialObjectMeta<DynamicObject>> = target.objects(self.context.client(), "");
        let config = watcher::Config::default().any_semantic();
        let mut events = watcher(api, config).default_backoff().boxed();
        let mut listed: HashSet<String> = HashSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitApply(meta)) => {
                    listed.extend(meta.metadata.uid.clone());
                    self.applied(target, &meta);
                }
                Ok(watcher::Event::InitDone) => {
                    held.difference(&listed).for_each(|uid| self.removed(uid));
                    *held = std::mem::take(&mut listed);
                }
                Ok(watcher::Event::Apply(meta)) => {
                    held.extend(meta.metadata.uid.clone());
                    self.applied(target, &meta);
                }
                Ok(watcher::Event::Delete(meta)) => {
                    let uid = meta.metadata.uid.unwrap_or_default();
                    held.remove(&uid);
                    self.removed(&uid);
                }
                Err(error) => tracing::warn!(kind = target.api.kind, %error, "the watch broke and will be made again"),
            }
        }
    }

    fn applied<K>(&self, target: &Arc<Target>, meta: &PartialObjectMeta<K>) {
        let meta =
            PartialObjectMeta { types: None, metadata: meta.metadata.clone(), _phantom: std::marker::PhantomData };
        let work = self.lock().apply(target, &meta);
        work.into_iter().for_each(|work| self.queue.add(work));
    }

    fn removed(&self, uid: &str) {
        let work = self.lock().remove(uid);
        work.into_iter().for_each(|work| self.queue.add(work));
    }

    async fn work(&self, work: &Work) -> Result<(), Error> {
        let (Work::Dependent(uid) | Work::Owner(uid)) = work;
        let Some(node) = self.lock().get(uid).cloned() else { return Ok(()) };
        match work {
            Work::Dependent(_) => self.dependent(&node).await,
            Work::Owner(_) if node.waits_for(ORPHAN) => self.orphan(&node).await,
            Work::Owner(_) if node.waits_for(FOREGROUND) => self.foreground(&node).await,
            Work::Owner(_) => Ok(()),
        }
    }

    async fn dependent(&self, node: &Node) -> Result<(), Error> {
        let mut absent = HashSet::new();
        for owner in &node.owners {
            if !self.lock().is_alive(&owner.uid) && self.is_absent(owner, node).await? {
                absent.insert(owner.uid.clone());
            }
        }
        let verdict = self.lock().judge(node, &absent);
        match verdict {
            Verdict::Keep => Ok(()),
            Verdict::Drop(owners) => self.drop_owners(node, &owners).await,
            Verdict::Delete { foreground } => self.delete(node, foreground).await,
        }
    }

    /// Asks the API server itself: the graph may not have seen the owner yet.
    async fn is_absent(&self, owner: &OwnerReference, node: &Node) -> Result<bool, Error> {
        let (group, version) = owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
        // The owner's kind may be served by nobody now and by somebody later.
        let Some(target) = self.target_of(group, version, &owner.kind).await else { return Ok(false) };
        if target.namespaced && node.place.namespace.is_empty() {
            return Ok(false);
        }
        let api: Api<PartialObjectMeta<DynamicObject>> = target.objects(self.context.client(), &node.place.namespace);
        let found = api.get_opt(&owner.name).await;
        let found = found.during(|| format!("look for owner {} {}", owner.kind, owner.name))?;
        Ok(found.is_none_or(|found| found.metadata.uid.as_deref() != Some(&owner.uid)))
    }

    async fn target_of(&self, group: &str, version: &str, kind: &str) -> Option<Arc<Target>> {
        if let Some(builtin) = resource::find_kind(group, version, kind) {
            return Some(Arc::new(Target::builtin(builtin)));
        }
        let customs = self.context.customs.clone().now().await;
        customs.values().find(|target| target.api.group == group && target.api.kind == kind).cloned()
    }

    async fn drop_owners(&self, node: &Node, uids: &[String]) -> Result<(), Error> {
        let kept: Vec<_> = node.owners.iter().filter(|owner| !uids.contains(&owner.uid)).collect();
        let patch = json!({ "metadata": { "uid": node.uid, "ownerReferences": kept } });
        let name = &node.place.name;
        let done = self.at(&node.place).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        gone_is_fine(done).during(|| format!("take owners from {} {name}", node.place.target.api.kind))
    }

    async fn delete(&self, node: &Node, foreground: bool) -> Result<(), Error> {
        let policy = match () {
            () if node.finalizers.iter().any(|one| one == ORPHAN) => PropagationPolicy::Orphan,
            () if foreground || node.finalizers.iter().any(|one| one == FOREGROUND) => PropagationPolicy::Foreground,
            () => PropagationPolicy::Background,
        };
        let params = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(Preconditions { uid: Some(node.uid.clone()), ..Preconditions::default() }),
            ..DeleteParams::default()
        };
        let name = &node.place.name;
        match self.at(&node.place).delete(name, &params).await {
            Err(error) if !is_status(&error, 404) && !is_status(&error, 409) => {
                Err(error).during(|| format!("delete {} {name}, whose owners are gone", node.place.target.api.kind))
            }
            _ => Ok(()),
        }
    }

    async fn orphan(&self, node: &Node) -> Result<(), Error> {
        let dependents: Vec<Node> = self.lock().dependents_of(&node.uid).cloned().collect();
        for dependent in dependents {
            self.drop_owners(&dependent, std::slice::from_ref(&node.uid)).await?;
        }
        self.let_go(node, ORPHAN).await
    }

    async fn foreground(&self, node: &Node) -> Result<(), Error> {
        if self.lock().is_held(&node.uid) {
            let dependents: Vec<_> = self.lock().dependents_of(&node.uid).map(|node| node.uid.clone()).collect();
            dependents.into_iter().for_each(|uid| self.queue.add(Work::Dependent(uid)));
            return Ok(());
        }
        self.let_go(node, FOREGROUND).await
    }

    /// Takes away the finalizer that kept the object.
    async fn let_go(&self, node: &Node, finalizer: &str) -> Result<(), Error> {
        let name = &node.place.name;
        let what = || format!("let {} {name} go", node.place.target.api.kind);
        let api = self.at(&node.place);
        let Some(now) = api.get_opt(name).await.during(what)? else { return Ok(()) };
        if now.metadata.uid.as_deref() != Some(&node.uid) {
            return Ok(());
        }
        let kept: Vec<_> = now.metadata.finalizers.iter().flatten().filter(|one| *one != finalizer).collect();
        let patch = json!({ "metadata": { "resourceVersion": now.metadata.resource_version, "finalizers": kept } });
        gone_is_fine(api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await).during(what)
    }
}
