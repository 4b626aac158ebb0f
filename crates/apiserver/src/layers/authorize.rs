//! Whether the user may do what the request asks for. What a request asks for is read from its line
//! alone, once, and handed on to the handlers.

use axum::extract::Request;
use skiff_api::{
    selector::FieldSelector,
    status::{Qualified, Status},
};

use crate::{
    authz::{Attributes, Object, refusal},
    connect,
    http::{
        info::{self, Info},
        query::Query,
    },
    state::State,
    user::User,
};

/// What a request asks for.
pub(crate) struct Intent {
    pub(crate) info: Info,
    pub(crate) query: Query,
    /// The verb of the API, or the method in lower case.
    pub(crate) verb: String,
}

impl Intent {
    /// Whether the answer is somebody else's.
    pub(crate) fn is_proxied(&self) -> bool {
        matches!(&self.info, Info::Resource(target) if connect::is_meant(target))
    }

    /// Watches and followed logs stay until the client goes.
    pub(crate) fn is_long_running(&self) -> bool {
        match &self.info {
            Info::Resource(target) => {
                self.verb == "watch" || target.subresource.as_deref() == Some("log") || connect::is_meant(target)
            }
            Info::Other => false,
        }
    }
}

/// What the request asks for, if the user may ask for that.
pub(super) fn judge(state: &State, user: &User, request: &Request) -> Result<Intent, Status> {
    let path = request.uri().path();
    let query = Query::parse(request.uri().query());
    let info = info::parse(path).ok_or_else(|| Status::bad_request("the path is no UTF-8"))?;
    let verb = match &info {
        Info::Resource(target) => info::verb(request.method(), target, query.flag("watch")).map(str::to_owned),
        Info::Other => Some(request.method().as_str().to_ascii_lowercase()),
    };
    let verb = verb.ok_or_else(Status::method_not_allowed_here)?;
    let selected = selected_name(&info, &query);
    let wanted = Attributes { verb: &verb, on: object(&info, path, selected.as_deref()) };
    if !state.authorizer.allows(user, &wanted, state) {
        return Err(denied(user, &wanted));
    }
    Ok(Intent { info, query, verb })
}

/// Listing or watching one object by a field selector is judged like getting it.
fn selected_name(info: &Info, query: &Query) -> Option<String> {
    match info {
        Info::Resource(target) if target.name.is_none() => {
            let selector: FieldSelector = query.get("fieldSelector")?.parse().ok()?;
            selector.exact("metadata.name").map(str::to_owned)
        }
        _ => None,
    }
}

fn object<'a>(info: &'a Info, path: &'a str, selected: Option<&'a str>) -> Object<'a> {
    match info {
        Info::Other => Object::Path(path),
        Info::Resource(target) => Object::Resource {
            namespace: target.namespace.as_deref().unwrap_or_default(),
            group: &target.group,
            resource: &target.resource,
            subresource: target.subresource.as_deref().unwrap_or_default(),
            name: target.name.as_deref().or(selected).unwrap_or_default(),
        },
    }
}

fn denied(user: &User, wanted: &Attributes<'_>) -> Status {
    let why = refusal(user, wanted);
    match wanted.on {
        Object::Path(_) => Status::forbidden(Qualified::new("", ""), "", &why),
        Object::Resource { group, resource, name, .. } => {
            Status::forbidden(Qualified::new(group, resource), name, &why)
        }
    }
}
