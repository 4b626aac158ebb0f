//! All volumes of one pod while it lives: made once, filled, and filled again when what they show
//! changes.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::api::resource::Quantity};
use kube::Client;
use tokio::sync::{Mutex, watch};

use super::{
    VolumeError, atomic, place,
    plan::{self, Content, Files, Planned, What},
    render::{self, Inputs},
    token::{self, Token},
};
use crate::{
    config::Config,
    pod::fields::Addresses,
    sources::{Known, Payload, Reference, Source, Sources},
};

/// How long the first answer about an object may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What volumes need of the node.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) config: Arc<Config>,
    pub(crate) client: Client,
    pub(crate) sources: Sources,
    pub(crate) allocatable: Arc<BTreeMap<String, Quantity>>,
}

/// A volume that could not be made or filled.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) volume: String,
    pub(crate) error: VolumeError,
}

/// The volumes of one pod.
pub(crate) struct VolumeSet {
    around: Surroundings,
    planned: Vec<Planned>,
    sources: BTreeMap<Reference, Arc<Source>>,
    tokens: Mutex<BTreeMap<(String, i64), Token>>,
}

impl VolumeSet {
    /// Reads the pod's volumes and begins to watch what they show.
    pub(crate) fn new(around: Surroundings, pod: &Pod) -> Result<Self, VolumeError> {
        let planned = plan::volumes(pod)?;
        let namespace = crate::pod::namespace(pod);
        let mut sources = BTreeMap::new();
        for reference in planned.iter().filter_map(files).flat_map(|files| &files.sources).filter_map(reference) {
            if !sources.contains_key(reference) {
                sources.insert(reference.clone(), around.sources.watch(namespace, reference));
            }
        }
        Ok(Self { around, planned, sources, tokens: Mutex::default() })
    }

    /// Yields whenever something that a volume shows has changed.
    pub(crate) fn changes(&self) -> BoxStream<'static, ()> {
        let each = self.sources.values().map(|source| {
            let known = source.known();
            stream::unfold(known, |mut known| async move { known.changed().await.ok().map(|()| ((), known)) }).boxed()
        });
        stream::select_all(each).chain(stream::pending()).boxed()
    }

    /// Whether a volume shows the pod's own labels or annotations.
    pub(crate) fn shows_the_pod(&self) -> bool {
        let mut contents = self.planned.iter().filter_map(files).flat_map(|files| &files.sources);
        contents.any(|content| matches!(content, Content::Downward(_)))
    }

    /// Makes every volume and fills it. Returns when to do so again for the tokens' sake.
    pub(crate) async fn settle(&self, pod: &Pod) -> Result<Option<Timestamp>, Failure> {
        let objects = self.objects().await;
        // Held throughout: two fillings of one volume must not mix.
        let mut tokens = self.tokens.lock().await;
        for volume in &self.planned {
            let result = self.settle_one(pod, volume, &objects, &mut tokens).await;
            result.map_err(|error| Failure { volume: volume.name.clone(), error })?;
        }
        Ok(tokens.values().map(|token| token.renew_at).min())
    }

    async fn settle_one(
        &self,
        pod: &Pod,
        volume: &Planned,
        objects: &BTreeMap<Reference, Option<Arc<Payload>>>,
        tokens: &mut BTreeMap<(String, i64), Token>,
    ) -> Result<(), VolumeError> {
        let group = group(pod);
        let What::Files(files) = &volume.what else {
            return place::prepare(&self.around.config, crate::pod::uid(pod), volume, group).map(drop);
        };
        self.fetch_tokens(pod, files, tokens).await?;
        let texts = tokens.iter().map(|(key, token)| (key.clone(), token.text.clone())).collect();
        let inputs = Inputs {
            pod,
            objects,
            tokens: &texts,
            addresses: &Addresses::default(),
            allocatable: &self.around.allocatable,
        };
        let tree = render::render(files, &inputs)?;
        let dir = place::prepare(&self.around.config, crate::pod::uid(pod), volume, group)?;
        atomic::write(&dir, &tree, group, Timestamp::now()).map(drop)
    }

    async fn fetch_tokens(
        &self,
        pod: &Pod,
        files: &Files,
        tokens: &mut BTreeMap<(String, i64), Token>,
    ) -> Result<(), VolumeError> {
        for content in &files.sources {
            let Content::Token { audience, seconds, .. } = content else { continue };
            let key = (audience.clone().unwrap_or_default(), *seconds);
            if tokens.get(&key).is_none_or(|token| token.renew_at <= Timestamp::now()) {
                let token = token::request(&self.around.client, pod, &key.0, *seconds).await?;
                tokens.insert(key, token);
            }
        }
        Ok(())
    }

    async fn objects(&self) -> BTreeMap<Reference, Option<Arc<Payload>>> {
        let mut objects = BTreeMap::new();
        for (reference, source) in &self.sources {
            objects.insert(reference.clone(), first_known(source.known()).await);
        }
        objects
    }

    /// Where each volume is, by name.
    pub(crate) fn paths(&self, uid: &str) -> BTreeMap<String, PathBuf> {
        let path = |volume: &Planned| (volume.name.clone(), place::path(&self.around.config, uid, volume));
        self.planned.iter().map(path).collect()
    }

    /// Whether that volume's files are written by us, so that containers only read them.
    pub(crate) fn is_ours(&self, name: &str) -> bool {
        self.planned.iter().any(|volume| volume.name == name && files(volume).is_some())
    }
}

async fn first_known(mut known: watch::Receiver<Known>) -> Option<Arc<Payload>> {
    let first = known.wait_for(|known| *known != Known::NotYet);
    match tokio::time::timeout(PATIENCE, first).await {
        Ok(Ok(known)) => known.payload(),
        _ => None,
    }
}

fn files(volume: &Planned) -> Option<&Files> {
    match &volume.what {
        What::Files(files) => Some(files),
        What::Disk | What::Memory { .. } | What::Host(_) => None,
    }
}

fn reference(content: &Content) -> Option<&Reference> {
    match content {
        Content::Object { reference, .. } => Some(reference),
        Content::Downward(_) | Content::Token { .. } => None,
    }
}

fn group(pod: &Pod) -> Option<u32> {
    let context = crate::pod::spec(pod).security_context.as_ref()?;
    u32::try_from(context.fs_group?).ok()
}
