//! The `Status` object: how the API says that something went wrong, or that something is done.
//!
//! Clients branch on `code` and `reason` and show `message`, so all three are those of Kubernetes.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::field_error::FieldError;

/// A `meta/v1` Status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `Success` or `Failure`.
    #[serde(default)]
    pub status: String,
    /// What people read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What programs read; empty where Kubernetes has no word for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<Details>>,
    /// The HTTP status code; 0 in a success.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub code: u16,
}

/// What a [`Status`] is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// The object's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The API group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The resource (plural), or the kind where the object itself was at fault.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's identity.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Each single mistake.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// When to try again; 0 where that would not help.
    #[serde(default, skip_serializing_if = "is_zero_u32")]
    pub retry_after_seconds: u32,
}

/// One mistake among several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// The sort of mistake, such as `FieldValueInvalid`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

// serde asks for a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &u16) -> bool {
    *n == 0
}

// serde asks for a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero_u32(n: &u32) -> bool {
    *n == 0
}

/// A resource, or a kind, and its group: `deployments` in `apps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qualified<'a> {
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The plural, or the kind.
    pub name: &'a str,
}

impl<'a> Qualified<'a> {
    /// `name` in `group`.
    #[must_use]
    pub const fn new(group: &'a str, name: &'a str) -> Self {
        Self { group, name }
    }

    fn details(self, name: &str) -> Details {
        Details {
            name: name.to_owned(),
            group: self.group.to_owned(),
            kind: self.name.to_owned(),
            ..Details::default()
        }
    }
}

impl fmt::Display for Qualified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

impl Status {
    fn failure(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self { status: "Failure".to_owned(), message: message.into(), reason: reason.to_owned(), details: None, code }
    }

    /// The same with other details.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// Something about an object is done: what a delete answers.
    #[must_use]
    pub fn success(resource: Qualified<'_>, name: &str, uid: &str) -> Self {
        let details = Details { uid: uid.to_owned(), ..resource.details(name) };
        Self { status: "Success".to_owned(), message: String::new(), reason: String::new(), details: None, code: 0 }
            .with_details(details)
    }

    /// 404: no such object.
    #[must_use]
    pub fn not_found(resource: Qualified<'_>, name: &str) -> Self {
        Self::failure(404, "NotFound", format!("{resource} {name:?} not found")).with_details(resource.details(name))
    }

    /// 404: no such path.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::failure(404, "NotFound", "the server could not find the requested resource")
            .with_details(Details::default())
    }

    /// 409: the name is taken.
    #[must_use]
    pub fn already_exists(resource: Qualified<'_>, name: &str) -> Self {
        Self::failure(409, "AlreadyExists", format!("{resource} {name:?} already exists"))
            .with_details(resource.details(name))
    }

    /// 409: every generated name was taken.
    #[must_use]
    pub fn generate_name_conflict(resource: Qualified<'_>, name: &str) -> Self {
        let message = format!(
            "{resource} {name:?} already exists, the server was not able to generate a unique name for the object"
        );
        let details = Details { retry_after_seconds: 1, ..resource.details(name) };
        Self::failure(409, "AlreadyExists", message).with_details(details)
    }

    /// 409: the operation does not fit the object as it is now.
    #[must_use]
    pub fn conflict(resource: Qualified<'_>, name: &str, why: &str) -> Self {
        Self::failure(409, "Conflict", format!("Operation cannot be fulfilled on {resource} {name:?}: {why}"))
            .with_details(resource.details(name))
    }

    /// 409: the resource version sent is not the latest one.
    #[must_use]
    pub fn stale(resource: Qualified<'_>, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 422: the object's fields are wrong. `kind` is the object's kind, not its plural.
    #[must_use]
    pub fn invalid(kind: Qualified<'_>, name: &str, errors: &[FieldError]) -> Self {
        let mut seen: Vec<String> = Vec::new();
        for error in errors {
            let text = error.to_string();
            if !seen.contains(&text) {
                seen.push(text);
            }
        }
        let message = match seen.as_slice() {
            [] => format!("{kind} {name:?} is invalid"),
            [one] => format!("{kind} {name:?} is invalid: {one}"),
            many => format!("{kind} {name:?} is invalid: [{}]", many.join(", ")),
        };
        let causes = errors.iter().map(|e| Cause {
            reason: e.kind.reason().to_owned(),
            message: e.body(),
            field: e.field.clone(),
        });
        let details = Details { causes: causes.collect(), ..kind.details(name) };
        Self::failure(422, "Invalid", message).with_details(details)
    }

    /// 400: the request makes no sense.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(400, "BadRequest", message)
    }

    /// 401: who is asking is not known.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::failure(401, "Unauthorized", "Unauthorized")
    }

    /// 403: who is asking may not.
    #[must_use]
    pub fn forbidden(resource: Qualified<'_>, name: &str, why: &str) -> Self {
        let message = match (resource.name, name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{resource} is forbidden: {why}"),
            _ => format!("{resource} {name:?} is forbidden: {why}"),
        };
        Self::failure(403, "Forbidden", message).with_details(resource.details(name))
    }

    /// 405: the resource does not know this verb.
    #[must_use]
    pub fn method_not_allowed(resource: Qualified<'_>, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind {:?}", resource.to_string());
        Self::failure(405, "MethodNotAllowed", message).with_details(resource.details(""))
    }

    /// 405: the path does not know this method.
    #[must_use]
    pub fn method_not_allowed_here() -> Self {
        Self::failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .with_details(Details::default())
    }

    /// 406: none of the accepted media types can be had.
    #[must_use]
    pub fn not_acceptable(media_types: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", media_types.join(", "));
        Self::failure(406, "NotAcceptable", message)
    }

    /// 415: the body's media type is not known.
    #[must_use]
    pub fn unsupported_media_type(media_types: &[&str]) -> Self {
        let list = media_types.join(", ");
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {list}");
        Self::failure(415, "UnsupportedMediaType", message)
    }

    /// 410: the history asked for is gone.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::failure(410, "Expired", message)
    }

    /// 410: a watch from `requested` is too late, the oldest known revision is `oldest`.
    #[must_use]
    pub fn too_old_resource_version(requested: u64, oldest: u64) -> Self {
        Self::expired(format!("too old resource version: {requested} ({oldest})"))
    }

    /// 504: a revision that does not exist yet.
    #[must_use]
    pub fn too_large_resource_version(requested: u64, current: u64) -> Self {
        let cause = Cause {
            reason: "ResourceVersionTooLarge".to_owned(),
            message: "Too large resource version".to_owned(),
            ..Cause::default()
        };
        let details = Details { causes: vec![cause], retry_after_seconds: 1, ..Details::default() };
        let message = format!("Timeout: Too large resource version: {requested}, current: {current}");
        Self::failure(504, "Timeout", message).with_details(details)
    }

    /// 413: the body has more than `limit` bytes.
    #[must_use]
    pub fn request_entity_too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::failure(413, "RequestEntityTooLarge", message)
    }

    /// 500: a failure of the server.
    #[must_use]
    pub fn internal(what: impl fmt::Display) -> Self {
        let what = what.to_string();
        let message = format!("Internal error occurred: {what}");
        let details = Details { causes: vec![Cause { message: what, ..Cause::default() }], ..Details::default() };
        Self::failure(500, "InternalError", message).with_details(details)
    }

    /// 504: it took too long.
    #[must_use]
    pub fn timeout(what: &str) -> Self {
        Self::failure(504, "Timeout", format!("Timeout: {what}")).with_details(Details::default())
    }

    /// 429: try again later.
    #[must_use]
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let details = Details { retry_after_seconds, ..Details::default() };
        Self::failure(429, "TooManyRequests", message).with_details(details)
    }

    /// 503: not now.
    #[must_use]
    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::failure(503, "ServiceUnavailable", message)
    }

    /// 501: skiff does not do this.
    #[must_use]
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::failure(501, "NotImplemented", message)
    }

    /// The object as it goes over the wire.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}});
        if let (Value::Object(all), Ok(Value::Object(own))) = (&mut value, serde_json::to_value(self)) {
            all.extend(own);
        }
        value
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field_error::Path;

    #[test]
    fn messages_are_those_of_kubernetes() {
        let deployments = Qualified::new("apps", "deployments");
        assert_eq!(Status::not_found(deployments, "web").message, r#"deployments.apps "web" not found"#);
        let pod = Qualified::new("", "Pod");
        let spec = Path::new("spec");
        let one = [FieldError::required(&spec.child("containers"), "")];
        assert_eq!(Status::invalid(pod, "a", &one).message, r#"Pod "a" is invalid: spec.containers: Required value"#);
        let two = [one[0].clone(), FieldError::required(&spec.child("x"), "why"), one[0].clone()];
        let status = Status::invalid(pod, "a", &two);
        assert_eq!(
            status.message,
            r#"Pod "a" is invalid: [spec.containers: Required value, spec.x: Required value: why]"#
        );
        assert_eq!(status.details.as_ref().unwrap().causes.len(), 3);
        assert_eq!(Status::forbidden(deployments, "", "no").message, "deployments.apps is forbidden: no");
    }

    #[test]
    fn a_status_survives_the_wire() {
        let status = Status::success(Qualified::new("apps", "deployments"), "web", "u1");
        let json = status.to_json();
        assert_eq!(json["kind"], "Status");
        assert_eq!(json["details"]["kind"], "deployments");
        assert!(json.get("code").is_none());
        assert_eq!(serde_json::from_value::<Status>(json).unwrap(), status);
    }
}
