//! What is looked at and filled in between decoding and validation, because it takes other objects
//! than the one that is written.

mod certificates;
mod classes;
mod node;
mod pod;
mod service_account;

use std::sync::Arc;

use serde_json::Value;
use skiff_api::{
    meta,
    status::{Cause, Details, Qualified, Status},
};

use crate::{kind::Kind, resource::Call, state::State, user::User};

/// Namespaces that the cluster cannot do without.
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

const CERTIFICATES: &str = "certificates.k8s.io";
const REQUESTS: &str = "certificatesigningrequests";

/// Admits a new object, or says why not.
pub(crate) async fn create(state: &Arc<State>, kind: &Kind, user: &User, object: &mut Value) -> Result<(), Status> {
    if kind.namespaced() {
        check_namespace(state, kind, object)?;
    }
    if let Some(node) = user.node_name() {
        node::create(kind, node, object)?;
    }
    match (kind.resource.group(), kind.resource.plural()) {
        ("", "pods") => {
            service_account::admit(state, object).await?;
            pod::admit(state, object)?;
        }
        (CERTIFICATES, REQUESTS) => certificates::create(user, object),
        ("networking.k8s.io", "ingresses") => classes::ingress(state, object),
        ("scheduling.k8s.io", "priorityclasses") => classes::one_default(state, object)?,
        _ => {}
    }
    Ok(())
}

/// Admits an update of a part of `old`.
pub(crate) fn update_part(call: &Call, part: &str, old: &Value) -> Result<(), Status> {
    if call.kind.is(CERTIFICATES, REQUESTS) {
        return certificates::update(&call.state, &call.user, part, old);
    }
    Ok(())
}

/// Admits a delete.
pub(crate) fn delete(kind: &Kind, name: &str) -> Result<(), Status> {
    let is_namespace = kind.is("", "namespaces");
    if is_namespace && IMMORTAL.contains(&name) {
        return Err(Status::forbidden(kind.resource.qualified(), name, "this namespace may not be deleted"));
    }
    Ok(())
}

/// Objects are made only in a namespace that is there and stays.
fn check_namespace(state: &State, kind: &Kind, object: &Value) -> Result<(), Status> {
    let namespace = meta::namespace(object);
    let Some(found) = state.object("", "namespaces", "", namespace) else {
        return Err(Status::not_found(Qualified::new("", "namespaces"), namespace));
    };
    if meta::deletion_timestamp(&found).is_none() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let name = meta::name(object);
    let cause = Cause {
        reason: "NamespaceTerminating".to_owned(),
        message: format!("namespace {namespace} is being terminated"),
        field: "metadata.namespace".to_owned(),
    };
    let details = Details {
        name: name.to_owned(),
        group: kind.resource.group().to_owned(),
        kind: kind.resource.plural().to_owned(),
        causes: vec![cause],
        ..Details::default()
    };
    Err(Status::forbidden(kind.resource.qualified(), name, &why).with_details(details))
}
