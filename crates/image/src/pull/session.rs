//! One pull from start to end: resolve, fetch what is missing, unpack in order, make visible.

use std::sync::Arc;

use tokio::io::BufWriter;
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::Listeners;
use super::registry::Registry;
use crate::document::{self, Document, Plan};
use crate::error::{ContentError, FileError, PullError, PullFault, StoreError};
use crate::images::blocking;
use crate::import::now;
use crate::store::index::{Layer, Record};
use crate::store::{Draft, LayerTask, Store};
use crate::{Auth, Digest, Progress, Reference};

/// Tries the credentials one after the other, until one is not turned away.
pub(super) async fn pull(
    store: Arc<Store>,
    reference: Reference,
    auths: Vec<Auth>,
    listeners: Arc<Listeners>,
) -> Result<Digest, PullError> {
    let mut denied = None;
    for auth in auths {
        let outcome = pull_with(&store, &reference, &auth, &listeners).await;
        match outcome.map_err(|fault| PullError::new(&reference, fault)) {
            Err(error) if error.is_denied() => denied = Some(error),
            other => return other,
        }
    }
    // A keyring always has something to try.
    Err(denied.unwrap_or_else(|| PullError::new(&reference, PullFault::NotFound(Box::new(reference.clone())))))
}

async fn pull_with(
    store: &Arc<Store>,
    reference: &Reference,
    auth: &Auth,
    listeners: &Arc<Listeners>,
) -> Result<Digest, PullFault> {
    let held = Arc::clone(store);
    let activity = blocking(move || held.activity()).await?;
    let registry = Registry::new(reference, auth, &store.config)?;
    let mut session = Session {
        store: Arc::clone(store),
        registry: Arc::new(registry),
        reference,
        listeners: Arc::clone(listeners),
        documents: Vec::new(),
    };
    // Layers that were unpacked before something went wrong stay: the next try begins with them.
    let outcome = session.run().await;
    drop(activity);
    let held = Arc::clone(store);
    blocking(move || held.sweep_if_due()).await?;
    outcome
}

struct Session<'a> {
    store: Arc<Store>,
    registry: Arc<Registry>,
    reference: &'a Reference,
    listeners: Arc<Listeners>,
    /// Manifests and configuration so far; the first one is what the reference stands for.
    documents: Vec<(Digest, Vec<u8>)>,
}

type Download = AbortOnDropHandle<Result<Draft, PullFault>>;

impl Session<'_> {
    async fn run(&mut self) -> Result<Digest, PullFault> {
        let limit = self.store.config.resolve_timeout;
        let timeout = PullFault::Timeout { reference: Box::new(self.reference.clone()), seconds: limit.as_secs() };
        let plan = tokio::time::timeout(limit, self.resolve()).await.map_err(|_| timeout)??;
        let missing: Vec<bool> = plan.layers.iter().map(|task| self.store.layer(task.chain).is_none()).collect();
        self.announce(&plan, &missing)?;
        let layers = self.bring_in(&plan, &missing).await?;
        self.commit(plan, layers).await
    }

    /// From the reference to the configuration, by way of an index where there is one.
    async fn resolve(&mut self) -> Result<Plan, PullFault> {
        self.registry.authenticate().await?;
        let limits = self.store.config.limits.clone();
        let (mut wanted, mut size) = (self.reference.digest(), None);
        let manifest = loop {
            let bytes = self.registry.manifest(wanted).await?;
            let found = bytes.len() as u64;
            if found > limits.document_bytes {
                let limit = limits.document_bytes;
                return Err(ContentError::TooLarge { what: "manifest", size: found, limit }.into());
            }
            let digest = wanted.unwrap_or_else(|| Digest::of(&bytes));
            document::verify("manifest", digest, size, &bytes)?;
            let parsed = document::parse(&bytes)?;
            self.documents.push((digest, bytes));
            match parsed {
                Document::Manifest(manifest) => break manifest,
                Document::Index(index) if self.documents.len() == 1 => {
                    let chosen = index.choose(&self.store.config.platform)?;
                    (wanted, size) = (Some(chosen.digest("manifest")?), Some(chosen.size));
                }
                Document::Index(_) => {
                    let media_type = document::MANIFEST_TYPES[0].to_owned();
                    return Err(ContentError::MediaType { what: "manifest", media_type }.into());
                }
            }
        };
        manifest.check(&limits)?;
        let id = manifest.config.digest("manifest")?;
        let bytes = self.config(id, manifest.config.size).await?;
        let plan = document::plan(&bytes, Some(&manifest.blobs()?), &limits)?;
        self.documents.push((id, bytes));
        Ok(plan)
    }

    async fn config(&self, id: Digest, size: u64) -> Result<Vec<u8>, PullFault> {
        let limit = self.store.config.limits.document_bytes;
        if size > limit {
            return Err(ContentError::TooLarge { what: "config", size, limit }.into());
        }
        let mut bytes = Vec::new();
        self.registry.blob("config", (id, size), &mut bytes, |_| {}).await?;
        Ok(bytes)
    }

    fn announce(&self, plan: &Plan, missing: &[bool]) -> Result<(), PullFault> {
        let limit = self.store.config.limits.layer_bytes;
        let blobs = plan.layers.iter().zip(missing).filter(|(_, missing)| **missing).filter_map(|(task, _)| task.blob);
        let blobs: Vec<(Digest, u64)> = blobs.collect();
        if let Some((_, size)) = blobs.iter().find(|(_, size)| *size > limit) {
            return Err(ContentError::TooLarge { what: "layer", size: *size, limit }.into());
        }
        self.listeners.report(&Progress::Resolved {
            digest: self.documents.first().map_or(plan.id, |(digest, _)| *digest),
            layers: plan.layers.len(),
            missing: blobs.len(),
            bytes: blobs.iter().map(|(_, size)| size).sum(),
        });
        Ok(())
    }

    /// Downloads go on side by side while layers are unpacked from the bottom up.
    async fn bring_in(&self, plan: &Plan, missing: &[bool]) -> Result<Vec<Layer>, PullFault> {
        let turns = Arc::new(Semaphore::new(self.store.config.parallel_downloads.max(1)));
        let start = |(task, missing): (&LayerTask, &bool)| missing.then(|| self.download(task, &turns)).flatten();
        let downloads: Vec<Option<Download>> = plan.layers.iter().zip(missing).map(start).collect();
        let mut layers = Vec::with_capacity(plan.layers.len());
        for (number, (task, download)) in plan.layers.iter().zip(downloads).enumerate() {
            let draft = match download {
                Some(download) => Some(download.await.map_err(|_| StoreError::Cancelled)??),
                None => None,
            };
            if draft.is_some() {
                let layers = plan.layers.len();
                self.listeners.report(&Progress::Unpacking { layer: task.diff, number: number + 1, layers });
            }
            layers.push(self.unpack(task.clone(), draft).await?);
        }
        Ok(layers)
    }

    fn download(&self, task: &LayerTask, turns: &Arc<Semaphore>) -> Option<Download> {
        let (digest, size) = task.blob?;
        let (registry, listeners) = (Arc::clone(&self.registry), Arc::clone(&self.listeners));
        let (draft, turns) = (self.store.draft(), Arc::clone(turns));
        Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let _turn = turns.acquire().await.map_err(|_| StoreError::Cancelled)?;
            let file = tokio::fs::File::create(draft.path()).await;
            let file = file.map_err(|error| StoreError::from(FileError::new("create", draft.path())(error)))?;
            let mut out = BufWriter::with_capacity(1 << 20, file);
            let came = |done| listeners.report(&Progress::Downloading { layer: digest, done, total: size });
            registry.blob("layer", (digest, size), &mut out, came).await?;
            Ok(draft)
        })))
    }

    async fn unpack(&self, task: LayerTask, draft: Option<Draft>) -> Result<Layer, PullFault> {
        let store = Arc::clone(&self.store);
        blocking(move || {
            let mut open = || match &draft {
                Some(draft) => Ok(Box::new(std::fs::File::open(draft.path())?) as Box<dyn std::io::Read + Send>),
                None => Err(std::io::ErrorKind::NotFound.into()),
            };
            store.add_layer(&task, &mut open).map_err(PullFault::from)
        })
        .await
    }

    async fn commit(&mut self, plan: Plan, layers: Vec<Layer>) -> Result<Digest, PullFault> {
        let (store, documents) = (Arc::clone(&self.store), std::mem::take(&mut self.documents));
        let top = documents.first().map(|(digest, _)| *digest);
        let record = Record {
            names: self.reference.digest().is_none().then(|| self.reference.to_string()).into_iter().collect(),
            digests: top.map(|digest| self.reference.at(digest).to_string()).into_iter().collect(),
            documents: documents.iter().map(|(digest, _)| *digest).collect(),
            layers,
            stored_at: now(),
            config: plan.config,
        };
        blocking(move || {
            for (digest, bytes) in &documents {
                store.put_document(*digest, bytes)?;
            }
            store.commit(plan.id, record).map_err(PullFault::from)
        })
        .await?;
        self.listeners.report(&Progress::Stored { id: plan.id });
        Ok(plan.id)
    }
}
