//! Keeps the published index equal to what the informers hold, one snapshot per batch of changes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use k8s_openapi::api::{
    core::v1::{Namespace, Pod, Service},
    discovery::v1::EndpointSlice,
};
use skiff_client::{Delta, Informers, Subscription};

use crate::index::{Index, Writer};

/// More changes than this are published in several steps, so that answers don't lag behind a flood.
const BATCH: usize = 512;

pub(crate) struct Feed {
    namespaces: Subscription<Namespace>,
    services: Subscription<Service>,
    slices: Subscription<EndpointSlice>,
    pods: Subscription<Pod>,
    writer: Writer,
    waiting: usize,
    index: Arc<ArcSwap<Index>>,
}

impl Feed {
    pub(crate) fn new(informers: &Informers, index: Arc<ArcSwap<Index>>) -> Self {
        Self {
            namespaces: informers.of::<Namespace>().subscribe(),
            services: informers.of::<Service>().subscribe(),
            slices: informers.of::<EndpointSlice>().subscribe(),
            pods: informers.of::<Pod>().subscribe(),
            writer: Writer::default(),
            waiting: 4,
            index,
        }
    }

    /// Publishes the first index, once all four kinds are known.
    pub(crate) async fn synced(&mut self) {
        while self.waiting > 0 {
            if !self.batch().await {
                return;
            }
        }
        self.publish();
    }

    /// Publishes every later change; ends with the informers.
    pub(crate) async fn follow(mut self) {
        while self.batch().await {
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.index.store(Arc::new(self.writer.snapshot()));
    }

    /// Waits for a change and applies it with all that came along; `false` when no more can come.
    async fn batch(&mut self) -> bool {
        let (mut namespaces, mut services, mut slices, mut pods) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let some = tokio::select! {
            some = self.namespaces.recv_many(&mut namespaces, BATCH) => some,
            some = self.services.recv_many(&mut services, BATCH) => some,
            some = self.slices.recv_many(&mut slices, BATCH) => some,
            some = self.pods.recv_many(&mut pods, BATCH) => some,
        };
        let writer = &mut self.writer;
        for delta in namespaces {
            each(delta, &mut self.waiting, writer, |w, new| w.namespace(&new), |w, old| w.remove_namespace(&old));
        }
        for delta in services {
            each(delta, &mut self.waiting, writer, |w, new| w.service(new), |w, old| w.remove_service(&old));
        }
        for delta in slices {
            if let Delta::Applied { previous: Some(previous), .. } = &delta {
                writer.remove_slice(previous);
            }
            each(delta, &mut self.waiting, writer, Writer::slice, |w, old| w.remove_slice(&old));
        }
        for delta in pods {
            if let Delta::Applied { previous: Some(previous), .. } = &delta {
                writer.remove_pod(previous);
            }
            each(delta, &mut self.waiting, writer, |w, new| w.pod(&new), |w, old| w.remove_pod(&old));
        }
        some > 0
    }
}

fn each<K>(
    delta: Delta<K>,
    waiting: &mut usize,
    writer: &mut Writer,
    apply: impl FnOnce(&mut Writer, Arc<K>),
    remove: impl FnOnce(&mut Writer, Arc<K>),
) {
    match delta {
        Delta::Applied { object, .. } => apply(writer, object),
        Delta::Deleted(object) => remove(writer, object),
        Delta::Synced => *waiting = waiting.saturating_sub(1),
    }
}
