//! CertificateSigningRequests say who made them, and only those approve or sign who may do so for the
//! signer that is asked.

use serde_json::{Value, json};
use skiff_api::{
    meta,
    status::{Qualified, Status},
};

use crate::{
    authz::{Attributes, Object},
    state::State,
    user::User,
};

/// The requestor is who asks, whatever the request says.
pub(super) fn create(user: &User, request: &mut Value) {
    let Some(spec) = request["spec"].as_object_mut() else { return };
    for field in ["username", "uid", "groups", "extra"] {
        spec.remove(field);
    }
    spec.insert("username".to_owned(), json!(user.name));
    spec.insert("groups".to_owned(), json!(user.groups));
    if let Some(uid) = &user.uid {
        spec.insert("uid".to_owned(), json!(uid));
    }
    if !user.extra.is_empty() {
        spec.insert("extra".to_owned(), json!(user.extra));
    }
}

/// Whether the user may approve (or sign) what that signer signs.
pub(super) fn update(state: &State, user: &User, part: &str, request: &Value) -> Result<(), Status> {
    let (verb, done) = if part == "approval" { ("approve", "approve requests") } else { ("sign", "sign requests") };
    let signer = request["spec"]["signerName"].as_str().unwrap_or_default();
    let domain = signer.split_once('/').map_or(signer, |(domain, _)| domain);
    let may = |name: &str| {
        let on = Object::Resource {
            namespace: "",
            group: "certificates.k8s.io",
            resource: "signers",
            subresource: "",
            name,
        };
        state.authorizer.allows(user, &Attributes { verb, on }, state)
    };
    if may(signer) || may(&format!("{domain}/*")) {
        return Ok(());
    }
    let resource = Qualified::new("certificates.k8s.io", "certificatesigningrequests");
    let why = format!("user not permitted to {done} with signerName {signer:?}");
    Err(Status::forbidden(resource, meta::name(request), &why))
}
