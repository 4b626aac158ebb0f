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
        "SelfSubjectAccessReview" => access(call, &object, &call.user)?,
        "SubjectAccessReview" => access(call, &object, &subject(&object["spec"]))?,
        "SelfSubjectRulesReview" => rules(call, &object),
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

fn subject(spec: &Value) -> User {
    let groups = spec["groups"].as_array().into_iter().flatten();
    User {
        name: spec["user"].as_str().unwrap_or_default().to_owned(),
        uid: spec["uid"].as_str().map(str::to_owned),
        groups: groups.filter_map(|group| Some(group.as_str()?.to_owned())).collect(),
        extra: std::collections::BTreeMap::new(),
    }
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

fn rules(call: &Call, review: &Value) -> Value {
    let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
    let mut rules = call.state.authorizer.rbac.rules(&call.user, namespace);
    if call.user.is_in(crate::user::MASTERS) {
        rules.push(crate::authz::Rule::everything());
        rules.push(crate::authz::Rule::every_path());
    }
    let (paths, resources): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| !rule.non_resource_urls.is_empty());
    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
}
