//! The ReplicaSets of a Deployment: which is new, which are old, how a new one is made.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};

use super::{
    Controller,
    plan::{self, DESIRED, MAXIMUM, REVISION, Resize, TEMPLATE_HASH},
};
use crate::{
    error::{During as _, Error, is_status},
    ownership::{self, Claim},
};

/// Annotations of a Deployment that are its own and not for its sets.
const OWN: [&str; 5] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    "deprecated.deployment.rollback.to",
    DESIRED,
    MAXIMUM,
];

/// The set with the current template and the others, oldest first.
pub(super) fn split(deployment: &Deployment, owned: &[Arc<ReplicaSet>]) -> (Option<ReplicaSet>, Vec<ReplicaSet>) {
    let template = deployment.spec.as_ref().map(|spec| bare(Some(&spec.template)));
    let mut sorted: Vec<&Arc<ReplicaSet>> = owned.iter().collect();
    sorted.sort_by_key(|set| (set.creation_timestamp().map(|time| time.0), set.name_any()));
    let fits =
        |set: &&Arc<ReplicaSet>| Some(bare(set.spec.as_ref().and_then(|spec| spec.template.as_ref()))) == template;
    let new = sorted.iter().copied().find(fits).map(|set| ReplicaSet::clone(set));
    let uid = new.as_ref().and_then(kube::ResourceExt::uid);
    let old = sorted.into_iter().filter(|set| set.uid() != uid).map(|set| ReplicaSet::clone(set)).collect();
    (new, old)
}

/// A template without the label that the controller adds.
fn bare(template: Option<&PodTemplateSpec>) -> PodTemplateSpec {
    let mut template = template.cloned().unwrap_or_default();
    if let Some(labels) = template.metadata.as_mut().and_then(|meta| meta.labels.as_mut()) {
        labels.remove(TEMPLATE_HASH);
    }
    template
}

/// Every set that still has a size loses it.
pub(super) fn all_to_zero(sets: &[ReplicaSet]) -> Vec<Resize> {
    let sized = sets.iter().filter(|set| plan::size(set) > 0);
    sized.map(|set| Resize { name: set.name_any(), from: plan::size(set), to: 0 }).collect()
}

/// The annotations that tell a later look for which size the set was sized.
pub(super) fn size_annotations(deployment: &Deployment) -> BTreeMap<String, String> {
    let wanted = plan::wanted(deployment);
    let maximum = wanted + plan::limits(deployment).surge;
    [(DESIRED.to_owned(), wanted.to_string()), (MAXIMUM.to_owned(), maximum.to_string())].into()
}

fn revision(set: &ReplicaSet) -> i64 {
    set.annotations().get(REVISION).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The old sets that no rollback can ask for any more.
pub(super) fn beyond_history(deployment: &Deployment, old: &[ReplicaSet]) -> Vec<String> {
    let limit = deployment.spec.as_ref().and_then(|spec| spec.revision_history_limit).unwrap_or(10);
    let idle = |set: &&ReplicaSet| {
        let running = set.status.as_ref().map_or(0, |status| status.replicas);
        plan::size(set) == 0 && running == 0 && set.metadata.deletion_timestamp.is_none()
    };
    let mut idle: Vec<&ReplicaSet> = old.iter().filter(idle).collect();
    idle.sort_by_key(|set| revision(set));
    let surplus = idle.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
    idle.into_iter().take(surplus).map(kube::ResourceExt::name_any).collect()
}

/// The annotations that a set takes over from its Deployment, with its revision.
fn set_annotations(deployment: &Deployment, revision: i64) -> BTreeMap<String, String> {
    let taken = deployment.annotations().iter().filter(|(key, _)| !OWN.contains(&key.as_str()));
    let mut all: BTreeMap<String, String> = taken.map(|(key, value)| (key.clone(), value.clone())).collect();
    all.extend(size_annotations(deployment));
    all.insert(REVISION.to_owned(), revision.to_string());
    all
}

fn next_revision(old: &[ReplicaSet]) -> i64 {
    old.iter().map(revision).max().unwrap_or_default() + 1
}

/// The set for the current template.
fn new_set(deployment: &Deployment, old: &[ReplicaSet], hash: &str) -> ReplicaSet {
    let spec = deployment.spec.clone().unwrap_or_default();
    let hashed = |labels: Option<BTreeMap<String, String>>| {
        let mut labels = labels.unwrap_or_default();
        labels.insert(TEMPLATE_HASH.to_owned(), hash.to_owned());
        Some(labels)
    };
    let mut template = spec.template;
    let labels = template.metadata.take().unwrap_or_default();
    template.metadata = Some(ObjectMeta { labels: hashed(labels.labels.clone()), ..labels });
    let mut selector = spec.selector;
    selector.match_labels = hashed(selector.match_labels);
    let mut set = ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", deployment.name_any())),
            namespace: deployment.namespace(),
            labels: template.metadata.as_ref().and_then(|meta| meta.labels.clone()),
            annotations: Some(set_annotations(deployment, next_revision(old))),
            owner_references: Some(vec![ownership::reference(deployment)]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(0),
            min_ready_seconds: spec.min_ready_seconds,
            selector,
            template: Some(template),
        }),
        status: None,
    };
    let first = if plan::recreates(deployment) {
        plan::wanted(deployment)
    } else {
        plan::roll(deployment, &set, old).iter().find(|step| step.name == set.name_any()).map_or(0, |step| step.to)
    };
    if let Some(spec) = &mut set.spec {
        spec.replicas = Some(first);
    }
    set
}

impl Controller {
    /// The Deployment's sets, after adopting and releasing.
    pub(super) async fn claim(&self, deployment: &Deployment) -> Result<Vec<Arc<ReplicaSet>>, Error> {
        let Some(spec) = &deployment.spec else { return Ok(Vec::new()) };
        let namespace = deployment.namespace().unwrap_or_default();
        let api: Api<ReplicaSet> = self.context.api(&namespace);
        let uid = deployment.uid().unwrap_or_default();
        let dying = deployment.metadata.deletion_timestamp.is_some();
        let mut mine = Vec::new();
        for set in self.sets.list_in(&namespace) {
            match ownership::claim(&*set, &uid, &spec.selector, dying) {
                Claim::Mine => mine.push(set),
                Claim::Adopt => ownership::adopt(&api, &*set, ownership::reference(deployment)).await?,
                Claim::Release => ownership::release(&api, &*set, &uid).await?,
                Claim::Not => {}
            }
        }
        Ok(mine)
    }

    /// Makes the set of the current template; a name that another set has counts as a collision of
    /// hashes and leads to another name.
    pub(super) async fn create_set(&self, deployment: &Deployment, old: &[ReplicaSet]) -> Result<ReplicaSet, Error> {
        let api: Api<ReplicaSet> = self.context.api(&deployment.namespace().unwrap_or_default());
        let template = serde_json::json!(deployment.spec.as_ref().map(|spec| bare(Some(&spec.template))));
        let collisions = deployment.status.as_ref().and_then(|status| status.collision_count).unwrap_or_default();
        let set = new_set(deployment, old, &plan::template_hash(&template, collisions));
        let made = match api.create(&PostParams::default(), &set).await {
            Err(error) if is_status(&error, 409) => {
                self.count_collision(deployment, collisions + 1).await?;
                return Err(Error::NotYet(format!("another name than {}, which is taken", set.name_any())));
            }
            made => made.during(|| format!("create ReplicaSet {}", set.name_any()))?,
        };
        self.sets.caught_up(made.resource_version()).await;
        self.note_revision(deployment, made.annotations().get(REVISION)).await?;
        Ok(made)
    }

    async fn count_collision(&self, deployment: &Deployment, count: i32) -> Result<(), Error> {
        let api: Api<Deployment> = self.context.api(&deployment.namespace().unwrap_or_default());
        let patch = serde_json::json!({ "status": { "collisionCount": count } });
        let name = deployment.name_any();
        let written = api.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
        let written = written.during(|| format!("count a collision of Deployment {name}"))?;
        self.deployments.caught_up(written.resource_version()).await;
        Ok(())
    }

    /// A set that becomes the newest again (a rollback) takes the next revision; changed annotations
    /// are carried over.
    pub(super) async fn keep_annotated(
        &self,
        deployment: &Deployment,
        new: ReplicaSet,
        old: &[ReplicaSet],
    ) -> Result<ReplicaSet, Error> {
        let revision = revision(&new).max(next_revision(old));
        let mut wanted = set_annotations(deployment, revision);
        for held in [DESIRED, MAXIMUM] {
            // Those change only together with the size.
            match new.annotations().get(held) {
                Some(value) => wanted.insert(held.to_owned(), value.clone()),
                None => wanted.remove(held),
            };
        }
        let min_ready = deployment.spec.as_ref().and_then(|spec| spec.min_ready_seconds);
        let same_wait = new.spec.as_ref().and_then(|spec| spec.min_ready_seconds) == min_ready;
        let same = wanted.iter().all(|(key, value)| new.annotations().get(key) == Some(value)) && same_wait;
        let set = if same {
            new
        } else {
            let patch = serde_json::json!({
                "metadata": {"annotations": wanted}, "spec": {"minReadySeconds": min_ready}
            });
            self.patch_set(deployment, &new.name_any(), patch).await?
        };
        self.note_revision(deployment, set.annotations().get(REVISION)).await?;
        Ok(set)
    }

    async fn note_revision(&self, deployment: &Deployment, revision: Option<&String>) -> Result<(), Error> {
        if deployment.annotations().get(REVISION) == revision {
            return Ok(());
        }
        let api: Api<Deployment> = self.context.api(&deployment.namespace().unwrap_or_default());
        let patch = serde_json::json!({ "metadata": { "annotations": { REVISION: revision } } });
        let name = deployment.name_any();
        let written = api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
        let written = written.during(|| format!("note the revision of Deployment {name}"))?;
        self.deployments.caught_up(written.resource_version()).await;
        Ok(())
    }
}
