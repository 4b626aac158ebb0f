//! Endpoints: for each Service with a selector, the addresses of its pods, as EndpointSlices and as
//! the older Endpoints object.

mod plan;

use std::collections::BTreeSet;

use k8s_openapi::api::{
    core::v1::{Endpoints, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use skiff_client::{Informer, Next, Queue, reconcile};

use crate::{
    context::{Context, Key, key},
    error::{During as _, Error, gone_is_fine, is_status},
};

const WORKERS: usize = 5;

#[derive(Clone)]
struct Controller {
    context: Context,
    services: Informer<Service>,
    pods: Informer<Pod>,
    queue: Queue<Key>,
}

impl Controller {
    async fn new(context: Context) -> Self {
        let controller =
            Self { services: context.informers.of(), pods: context.informers.of(), queue: Queue::new(), context };
        controller.services.synced().await;
        controller.pods.synced().await;
        controller.context.feed(&controller.services, &controller.queue, |service, _| vec![key(service)]);
        let services = controller.services.clone();
        controller.context.feed(&controller.pods, &controller.queue, move |pod, was| served_by(&services, pod, was));
        controller
    }
}

/// The Services that pick the pod, as it is or as it was; none where nothing that counts has changed.
fn served_by(services: &Informer<Service>, pod: &Pod, was: Option<&Pod>) -> Vec<Key> {
    if was.is_some_and(|was| same_for_services(was, pod)) {
        return Vec::new();
    }
    let picked = |service: &Service| {
        plan::selector(service)
            .is_some_and(|selector| plan::picks(selector, pod) || was.is_some_and(|was| plan::picks(selector, was)))
    };
    let all = services.list_in(&pod.namespace().unwrap_or_default());
    all.iter().filter(|service| picked(service)).map(|service| key(&**service)).collect()
}

fn same_for_services(was: &Pod, pod: &Pod) -> bool {
    let address = |pod: &Pod| pod.status.as_ref().and_then(|status| status.pod_ip.clone());
    was.labels() == pod.labels()
        && address(was) == address(pod)
        && crate::pods::is_ready(was) == crate::pods::is_ready(pod)
        && crate::pods::is_finished(was) == crate::pods::is_finished(pod)
        && was.metadata.deletion_timestamp.is_some() == pod.metadata.deletion_timestamp.is_some()
}

/// Runs the EndpointSlice controller until the context's `stop`.
pub(crate) async fn run_slices(context: Context) {
    let slices: Informer<EndpointSlice> = context.informers.of();
    slices.synced().await;
    let controller = Controller::new(context).await;
    controller.context.feed(&slices, &controller.queue, |slice, _| managed_service(slice).into_iter().collect());
    let (queue, stop) = (controller.queue.clone(), controller.context.stop.clone());
    reconcile("endpointslice", queue, WORKERS, stop, move |key| {
        let (controller, slices) = (controller.clone(), slices.clone());
        async move { controller.sync_slices(&slices, &key).await }
    })
    .await;
}

/// The Service of a slice that is ours.
fn managed_service(slice: &EndpointSlice) -> Option<Key> {
    let ours = slice.labels().get(plan::MANAGED_BY).is_some_and(|by| by == plan::CONTROLLER);
    let service = slice.labels().get(plan::SERVICE_NAME).filter(|_| ours)?;
    Some((slice.namespace().unwrap_or_default(), service.clone()))
}

/// Runs the Endpoints controller until the context's `stop`.
pub(crate) async fn run_endpoints(context: Context) {
    let endpoints: Informer<Endpoints> = context.informers.of();
    endpoints.synced().await;
    let controller = Controller::new(context).await;
    controller.context.feed(&endpoints, &controller.queue, |endpoints, _| vec![key(endpoints)]);
    let (queue, stop) = (controller.queue.clone(), controller.context.stop.clone());
    reconcile("endpoints", queue, WORKERS, stop, move |key| {
        let (controller, endpoints) = (controller.clone(), endpoints.clone());
        async move { controller.sync_endpoints(&endpoints, &key).await }
    })
    .await;
}

impl Controller {
    async fn sync_slices(&self, slices: &Informer<EndpointSlice>, key: &Key) -> Result<Next, Error> {
        let (namespace, name) = key;
        let of_service = |slice: &EndpointSlice| managed_service(slice).as_ref() == Some(key);
        let held: Vec<_> = slices.list_in(namespace).into_iter().filter(|slice| of_service(slice)).collect();
        let service =
            self.services.get(namespace, name).filter(|service| service.metadata.deletion_timestamp.is_none());
        let api: Api<EndpointSlice> = self.context.api(namespace);
        let changes = match service.filter(|service| plan::selector(service).is_some()) {
            Some(service) => plan::slices(&service, &plan::selected(&service, &self.pods.list_in(namespace)), &held),
            None => plan::Changes {
                delete: held.iter().map(|slice| EndpointSlice::clone(slice)).collect(),
                ..Default::default()
            },
        };
        let mut written = BTreeSet::new();
        for slice in &changes.create {
            let made = api
                .create(&PostParams::default(), slice)
                .await
                .during(|| format!("create a slice of Service {name}"))?;
            written.extend(made.resource_version());
        }
        for slice in &changes.update {
            let name = slice.name_any();
            let done = api.replace(&name, &PostParams::default(), slice).await;
            written.extend(done.during(|| format!("update EndpointSlice {name}"))?.resource_version());
        }
        for slice in &changes.delete {
            let name = slice.name_any();
            gone_is_fine(api.delete(&name, &DeleteParams::default()).await)
                .during(|| format!("delete EndpointSlice {name}"))?;
        }
        for version in written {
            slices.caught_up(Some(version)).await;
        }
        Ok(Next::OnChange)
    }

    async fn sync_endpoints(&self, endpoints: &Informer<Endpoints>, (namespace, name): &Key) -> Result<Next, Error> {
        let api: Api<Endpoints> = self.context.api(namespace);
        let held = endpoints.get(namespace, name);
        let Some(service) = self.services.get(namespace, name) else {
            if held.is_some() {
                gone_is_fine(api.delete(name, &DeleteParams::default()).await)
                    .during(|| format!("delete Endpoints {name}"))?;
            }
            return Ok(Next::OnChange);
        };
        if plan::selector(&service).is_none() || service.metadata.deletion_timestamp.is_some() {
            return Ok(Next::OnChange);
        }
        let (subsets, over) = plan::subsets(&service, &plan::selected(&service, &self.pods.list_in(namespace)));
        let (labels, annotations) = plan::endpoints_meta(&service, over);
        let mut wanted = held.as_deref().cloned().unwrap_or_default();
        wanted.subsets = (!subsets.is_empty()).then_some(subsets);
        wanted.metadata.name = Some(name.clone());
        wanted.metadata.namespace = Some(namespace.clone());
        wanted.metadata.labels = Some(labels);
        wanted.metadata.annotations = (!annotations.is_empty()).then_some(annotations);
        let what = || format!("write Endpoints {name}");
        let written = match &held {
            Some(held) if **held == wanted => return Ok(Next::OnChange),
            Some(_) => api.replace(name, &PostParams::default(), &wanted).await,
            None => api.create(&PostParams::default(), &wanted).await,
        };
        match written {
            Ok(written) => endpoints.caught_up(written.resource_version()).await,
            Err(error) if is_status(&error, 409) => return Err(Error::NotYet(format!("the newest Endpoints {name}"))),
            Err(error) => return Err(error).during(what),
        }
        Ok(Next::OnChange)
    }
}
