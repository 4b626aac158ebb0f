//! What every namespace needs so that pods can run in it: the `default` ServiceAccount and the
//! `kube-root-ca.crt` ConfigMap with the cluster's CA.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::{
    Api, ResourceExt as _,
    api::{ObjectMeta, PostParams},
};
use skiff_client::{Informer, Next, Queue, reconcile};

use crate::{
    context::Context,
    error::{During as _, Error, is_status},
};

const ACCOUNT: &str = "default";
const CA: &str = "kube-root-ca.crt";

#[derive(Clone)]
struct Controller {
    context: Context,
    namespaces: Informer<Namespace>,
    accounts: Informer<ServiceAccount>,
    maps: Informer<ConfigMap>,
    certificate: std::sync::Arc<str>,
}

/// Runs until the context's `stop`.
pub(crate) async fn run(context: Context, certificate: String) {
    let queue: Queue<String> = Queue::new();
    let controller = Controller {
        namespaces: context.informers.of(),
        accounts: context.informers.of(),
        // Only these: a cache of all ConfigMaps would grow with what nobody here reads.
        maps: context.informers.selected(&format!("metadata.name={CA}")),
        certificate: certificate.into(),
        context: context.clone(),
    };
    controller.namespaces.synced().await;
    controller.accounts.synced().await;
    controller.maps.synced().await;
    context.feed(&controller.namespaces, &queue, |namespace, _| vec![namespace.name_any()]);
    context.feed(&controller.accounts, &queue, |account, _| account.namespace().into_iter().collect());
    context.feed(&controller.maps, &queue, |map, _| map.namespace().into_iter().collect());
    let stop = context.stop.clone();
    reconcile("serviceaccount", queue, 1, stop, move |namespace| {
        let controller = controller.clone();
        async move { controller.sync(&namespace).await }
    })
    .await;
}

impl Controller {
    async fn sync(&self, name: &str) -> Result<Next, Error> {
        let namespace = self.namespaces.get("", name).filter(|one| one.metadata.deletion_timestamp.is_none());
        if namespace.is_none() {
            return Ok(Next::OnChange);
        }
        if self.accounts.get(name, ACCOUNT).is_none() {
            let account = ServiceAccount { metadata: meta(ACCOUNT, name), ..ServiceAccount::default() };
            let made = self.context.api(name).create(&PostParams::default(), &account).await;
            unless_there(made).during(|| format!("create the default ServiceAccount of {name}"))?;
        }
        self.publish_ca(name).await?;
        Ok(Next::OnChange)
    }

    async fn publish_ca(&self, namespace: &str) -> Result<(), Error> {
        let data = [("ca.crt".to_owned(), self.certificate.to_string())].into();
        let wanted = ConfigMap { metadata: meta(CA, namespace), data: Some(data), ..ConfigMap::default() };
        let api: Api<ConfigMap> = self.context.api(namespace);
        let what = || format!("publish {CA} to {namespace}");
        match self.maps.get(namespace, CA) {
            Some(held) if held.data == wanted.data => Ok(()),
            Some(_) => api.replace(CA, &PostParams::default(), &wanted).await.map(drop).during(what),
            None => unless_there(api.create(&PostParams::default(), &wanted).await).during(what),
        }
    }
}

fn meta(name: &str, namespace: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() }
}

/// Somebody else may have been faster, and a namespace may have begun to go.
fn unless_there<T>(made: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match made {
        Err(error) if !is_status(&error, 409) && !is_status(&error, 403) && !is_status(&error, 404) => Err(error),
        _ => Ok(()),
    }
}
