//! Questions that are answered and not stored: who am I, may I do this, what may I do here?

use axum::body::Body;
use serde_json::{Value, json};
use skiff_api::{
    field_error::{FieldError, Path},
    meta,
    status::Status,
    time,
};

use crate::{
    authz::{Attributes, Object},
    http::respond::{self, Answer},
    layers::claims_of,
    resource::{Call, bind, read_json, read_object, unstored},
    state::now,
    user::User,
};

/// Answers a create of a kind that is never stored.
pub(crate) async fn answer(call: &Call, body: Body) -> Answer {
    if call.kind.resource.plural() == "bindings" {
        return bind_named(call, body).await;
    }
    let (mut object, warnings) = read_object(call, body).await?;
    meta::set(&mut object, "creationTimestamp", time::format(now()));
    object["status"] = match call.kind.resource.kind() {
        "SelfSubjectReview" => json!({"userInfo": user_info(&call.user)}),
        "TokenReview" => token(call, &object["spec"])?,
        "SelfSubjectAccessReview" => access(call, &object, &call.user)?,
        "SubjectAccessReview" => access(call, &object, &subject(call, &object["spec"])?)?,
        "LocalSubjectAccessReview" => local_access(call, &mut object)?,
        "SelfSubjectRulesReview" => rules(call, &object)?,
        kind => return Err(Status::not_implemented(format!("{kind} is not implemented"))),
    };
    let mut response = unstored(call, &object)?;
    respond::warn(&mut response, &warnings);
    Ok(response)
}

/// The old way to bind: the pod is named by the binding itself.
async fn bind_named(call: &Call, body: Body) -> Answer {
    let bytes = read_json(call, body, call.kind.resource.type_name()).await?;
    let parsed: Value = serde_json::from_slice(&bytes).map_err(|error| Status::bad_request(error.to_string()))?;
    let name = meta::name(&parsed).to_owned();
    if name.is_empty() {
        let metadata = Path::new("metadata");
        let error = FieldError::required(&metadata.child("name"), "");
        return Err(Status::invalid(call.kind.resource.qualified_kind(), "", &[error]));
    }
    let pods = call.about_pod(name)?;
    bind(&pods, Body::from(bytes)).await
}

fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if let Some(uid) = &user.uid {
        info["uid"] = json!(uid);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| Some(item.as_str()?.to_owned())).collect()
}

/// Whose token it is, if it is one of ours, good for one of the audiences, and valid now.
fn token(call: &Call, spec: &Value) -> Result<Value, Status> {
    let token = text(spec, "token");
    if token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let asked = strings(&spec["audiences"]);
    let audiences = if asked.is_empty() { call.state.tokens.audiences().to_vec() } else { asked };
    match claims_of(&call.state, token, &audiences) {
        Ok(claims) => {
            let good: Vec<&String> = audiences.iter().filter(|one| claims.audiences().contains(one)).collect();
            Ok(json!({"authenticated": true, "user": user_info(&claims.user()), "audiences": good}))
        }
        Err(error) => Ok(json!({"user": {}, "error": format!("[invalid bearer token, {error}]")})),
    }
}

/// Whom a review is about.
fn subject(call: &Call, spec: &Value) -> Result<User, Status> {
    let (name, groups) = (text(spec, "user"), strings(&spec["groups"]));
    if name.is_empty() && groups.is_empty() {
        let at = Path::new("spec");
        let error = FieldError::required(&at.child("user"), "at least one of user or group must be specified");
        return Err(Status::invalid(call.kind.resource.qualified_kind(), "", &[error]));
    }
    let extra = spec["extra"].as_object().into_iter().flatten();
    Ok(User {
        name: name.to_owned(),
        uid: spec["uid"].as_str().map(str::to_owned),
        groups,
        extra: extra.map(|(key, values)| (key.clone(), strings(values))).collect(),
    })
}

/// The same question about one namespace, for those who may only ask there.
fn local_access(call: &Call, review: &mut Value) -> Result<Value, Status> {
    let namespace = call.namespace().to_owned();
    let own = meta::namespace(review);
    if !own.is_empty() && own != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    meta::set(review, "namespace", namespace.clone());
    let spec = &review["spec"];
    let at = Path::new("spec");
    if spec["nonResourceAttributes"].is_object() {
        let detail = "disallowed on this kind of request";
        let error = FieldError::invalid(&at.child("nonResourceAttributes"), Value::Null, detail);
        return Err(Status::invalid(call.kind.resource.qualified_kind(), "", &[error]));
    }
    if spec["resourceAttributes"].is_object() && text(&spec["resourceAttributes"], "namespace") != namespace {
        return Err(Status::bad_request(format!(
            "spec.resourceAttributes.namespace must match namespace: {namespace}"
        )));
    }
    let user = subject(call, spec)?;
    access(call, review, &user)
}

fn access(call: &Call, review: &Value, user: &User) -> Result<Value, Status> {
    let (of_resource, of_path) = (&review["spec"]["resourceAttributes"], &review["spec"]["nonResourceAttributes"]);
    let on = match (of_resource.is_object(), of_path.is_object()) {
        (true, false) => Object::Resource {
            namespace: text(of_resource, "namespace"),
            group: text(of_resource, "group"),
            resource: text(of_resource, "resource"),
            subresource: text(of_resource, "subresource"),
            name: text(of_resource, "name"),
        },
        (false, true) => Object::Path(text(of_path, "path")),
        (both, _) => return Err(one_of(call, both)),
    };
    let verb = text(if of_resource.is_object() { of_resource } else { of_path }, "verb");
    let allowed = call.state.authorizer.allows(user, &Attributes { verb, on }, &*call.state);
    Ok(json!({"allowed": allowed}))
}

fn one_of(call: &Call, both: bool) -> Status {
    let spec = Path::new("spec");
    let error = if both {
        let detail = "cannot be specified in combination with resourceAttributes";
        FieldError::invalid(&spec.child("nonResourceAttributes"), Value::Null, detail)
    } else {
        let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        FieldError::invalid(&spec.child("resourceAttributes"), Value::Null, detail)
    };
    Status::invalid(call.kind.resource.qualified_kind(), "", &[error])
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn rules(call: &Call, review: &Value) -> Result<Value, Status> {
    let namespace = text(&review["spec"], "namespace");
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let mut rules = call.state.authorizer.rbac.rules(&call.user, namespace);
    if call.user.is_in(crate::user::MASTERS) {
        rules.push(crate::authz::Rule::everything());
        rules.push(crate::authz::Rule::every_path());
    }
    let (paths, resources): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| !rule.non_resource_urls.is_empty());
    let mut status = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
    if call.user.node_name().is_some() {
        status["incomplete"] = json!(true);
        status["evaluationError"] = json!("node authorizer does not support user rule resolution");
    }
    Ok(status)
}
