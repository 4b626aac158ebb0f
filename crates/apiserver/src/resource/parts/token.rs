//! `serviceaccounts/token`: a token for a service account, bound to a pod if the caller says so.

use std::time::Duration;

use axum::body::Body;
use jiff::SignedDuration;
use serde_json::{Value, json};
use skiff_api::{
    field_error::{FieldError, Path},
    meta, schema,
    status::{Qualified, Status},
    time,
};

use super::super::{create, write};
use super::Call;
use crate::{
    http::respond::Answer,
    kind::decode,
    state::now,
    token::{Bound, Subject},
};

const TYPE: &str = "io.k8s.api.authentication.v1.TokenRequest";
const HOUR: i64 = 3600;
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;

/// Answers a TokenRequest.
pub(super) async fn create(call: &Call, body: Body) -> Answer {
    let bytes = write::read_json(call, body, TYPE).await?;
    let mut source = serde_json::Deserializer::from_slice(&bytes);
    let mut request = schema::decode(TYPE, &mut source)
        .map_err(|error| {
            Status::bad_request(format!("TokenRequest in version \"v1\" cannot be handled as a TokenRequest: {error}"))
        })?
        .object;
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(HOUR);
    check(call, &request, seconds)?;
    let account = decode(&*call.find(&call.state.store.snapshot())?).map_err(Status::internal)?;
    let subject = subject(call, &account, &request["spec"]["boundObjectRef"])?;
    let asked: Vec<String> = request["spec"]["audiences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|audience| Some(audience.as_str()?.to_owned()))
        .collect();
    let audiences = if asked.is_empty() { call.state.tokens.audiences().to_vec() } else { asked };
    let now = now();
    let lifetime = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let expires = now.checked_add(SignedDuration::from_secs(seconds)).map_err(Status::internal)?;
    let token = call.state.tokens.issue(subject, audiences.clone(), now, lifetime);
    request["kind"] = json!("TokenRequest");
    request["apiVersion"] = json!("authentication.k8s.io/v1");
    request["metadata"] = json!({
        "name": call.name(),
        "namespace": call.namespace(),
        "creationTimestamp": time::format(now),
    });
    request["spec"]["audiences"] = json!(audiences);
    request["spec"]["expirationSeconds"] = json!(seconds);
    request["status"] = json!({"token": token, "expirationTimestamp": time::format(expires)});
    create::unstored(call, &request)
}

fn check(call: &Call, request: &Value, seconds: i64) -> Result<(), Status> {
    let spec = Path::new("spec");
    let path = spec.child("expirationSeconds");
    let detail = match seconds {
        ..SHORTEST => "may not specify a duration less than 10 minutes",
        SHORTEST..=LONGEST => {
            let name = meta::name(request);
            if name.is_empty() || name == call.name() {
                return Ok(());
            }
            return Err(Status::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                call.name()
            )));
        }
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let error = FieldError::invalid(&path, seconds, detail);
    Err(Status::invalid(Qualified::new("authentication.k8s.io", "TokenRequest"), call.name(), &[error]))
}

/// What the token is about, with what it is bound to looked up.
fn subject(call: &Call, account: &Value, reference: &Value) -> Result<Subject, Status> {
    let bound = |object: &Value| Bound { name: meta::name(object).to_owned(), uid: meta::uid(object).to_owned() };
    let mut subject = Subject {
        namespace: call.namespace().to_owned(),
        serviceaccount: bound(account),
        pod: None,
        secret: None,
        node: None,
    };
    let Some(kind) = reference["kind"].as_str() else { return Ok(subject) };
    let plural = match kind {
        "Pod" => "pods",
        "Secret" => "secrets",
        "Node" => "nodes",
        other => {
            return Err(Status::bad_request(format!(
                "cannot bind token for serviceaccount to object of kind {other:?}"
            )));
        }
    };
    let name = reference["name"].as_str().unwrap_or_default();
    let namespace = if plural == "nodes" { "" } else { call.namespace() };
    let object = call
        .state
        .object("", plural, namespace, name)
        .ok_or_else(|| Status::not_found(Qualified::new("", plural), name))?;
    if let Some(uid) = reference["uid"].as_str().filter(|uid| !uid.is_empty() && *uid != meta::uid(&object)) {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(Status::conflict(Qualified::new("", plural), name, &why));
    }
    match plural {
        "pods" => {
            if object["spec"]["serviceAccountName"] != account["metadata"]["name"] {
                let why = format!(
                    "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                    call.name()
                );
                return Err(Status::bad_request(why));
            }
            let node = object["spec"]["nodeName"].as_str().unwrap_or_default();
            subject.node = call.state.object("", "nodes", "", node).as_ref().map(bound);
            subject.pod = Some(bound(&object));
        }
        "secrets" => subject.secret = Some(bound(&object)),
        _ => subject.node = Some(bound(&object)),
    }
    Ok(subject)
}
