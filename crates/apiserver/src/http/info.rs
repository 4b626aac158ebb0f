//! What a request is about, read from its method and path alone.

use std::sync::Arc;

use http::Method;

/// A path below `/api/<version>` or `/apis/<group>/<version>`, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) resource: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    /// The old form `/api/v1/watch/…`.
    pub(crate) watch_prefix: bool,
}

/// A request's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Info {
    /// About objects.
    Resource(Arc<Target>),
    /// Anything else, such as `/version`.
    Other,
}

/// Takes a path apart. `None` if it holds something that is no UTF-8 once decoded.
pub(crate) fn parse(path: &str) -> Option<Info> {
    let mut parts = Vec::with_capacity(8);
    for part in path.trim_matches('/').split('/') {
        parts.push(percent_decode(part)?);
    }
    let mut parts = parts.into_iter();
    let (group, version) = match parts.next().as_deref() {
        Some("api") => (Some(String::new()), parts.next()),
        Some("apis") => (parts.next(), parts.next()),
        _ => return Some(Info::Other),
    };
    let (Some(group), Some(version)) = (group, version) else { return Some(Info::Other) };
    let rest: Vec<String> = parts.collect();
    Some(resource(group, version, &rest).map_or(Info::Other, |target| Info::Resource(Arc::new(target))))
}

fn resource(group: String, version: String, rest: &[String]) -> Option<Target> {
    let (watch_prefix, rest) = match rest {
        [first, rest @ ..] if first == "watch" => (true, rest),
        rest => (false, rest),
    };
    let mut target = Target { group, version, watch_prefix, ..Target::default() };
    let rest = match rest {
        // `namespaces/x`, `namespaces/x/status` and `namespaces/x/finalize` are about the namespace itself.
        [first, name, third, more @ ..] if first == "namespaces" && !is_about_namespace(&target, third, more) => {
            target.namespace = Some(name.clone());
            &rest[2..]
        }
        [first, name, ..] if first == "namespaces" && target.group.is_empty() => {
            // RBAC judges what is done to a namespace within that namespace.
            target.namespace = Some(name.clone());
            rest
        }
        rest => rest,
    };
    let mut rest = rest.iter();
    target.resource = rest.next().filter(|resource| !resource.is_empty())?.clone();
    target.name = rest.next().cloned();
    let more: Vec<&str> = rest.map(String::as_str).collect();
    target.subresource = match more.as_slice() {
        [] => None,
        // What follows is somebody else's path.
        ["proxy", ..] => Some("proxy".to_owned()),
        more => Some(more.join("/")),
    };
    Some(target)
}

fn is_about_namespace(target: &Target, third: &str, more: &[String]) -> bool {
    target.group.is_empty() && more.is_empty() && matches!(third, "status" | "finalize")
}

/// The verb that authorisation judges.
pub(crate) fn verb(method: &Method, target: &Target, watch: bool) -> Option<&'static str> {
    Some(match (method.as_str(), target.name.is_some()) {
        ("GET" | "HEAD", _) if target.watch_prefix || (watch && target.name.is_none()) => "watch",
        ("GET" | "HEAD", true) => "get",
        ("GET" | "HEAD", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => return None,
    })
}

/// Decodes `%41`; `None` for what is no UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Arc<Target> {
        match parse(path).unwrap() {
            Info::Resource(target) => target,
            Info::Other => panic!("{path} is about no resource"),
        }
    }

    fn shown(path: &str) -> String {
        let target = target(path);
        format!(
            "{}/{} {} {} {} {}",
            target.group,
            target.version,
            target.namespace.as_deref().unwrap_or("-"),
            target.resource,
            target.name.as_deref().unwrap_or("-"),
            target.subresource.as_deref().unwrap_or("-"),
        )
    }

    #[test]
    fn paths_are_taken_apart() {
        assert_eq!(shown("/api/v1/pods"), "/v1 - pods - -");
        assert_eq!(shown("/api/v1/namespaces"), "/v1 - namespaces - -");
        assert_eq!(shown("/api/v1/namespaces/a"), "/v1 a namespaces a -");
        assert_eq!(shown("/api/v1/namespaces/a/status"), "/v1 a namespaces a status");
        assert_eq!(shown("/api/v1/namespaces/a/pods/p/log"), "/v1 a pods p log");
        assert_eq!(shown("/apis/apps/v1/namespaces/a/deployments/d/scale"), "apps/v1 a deployments d scale");
        assert_eq!(shown("/api/v1/nodes/a%2Db"), "/v1 - nodes a-b -");
        assert_eq!(shown("/api/v1/namespaces/a/services/s/proxy/x/y"), "/v1 a services s proxy");
    }

    #[test]
    fn what_is_no_resource_is_other() {
        for path in ["/", "/version", "/api", "/api/v1", "/apis/apps", "/apis/apps/v1/", "/healthz/ping"] {
            assert_eq!(parse(path), Some(Info::Other), "{path}");
        }
        assert_eq!(parse("/api/v1/pods/%FF"), None);
    }

    #[test]
    fn the_verb_follows_method_and_name() {
        let (one, all) = (target("/api/v1/nodes/a"), target("/api/v1/nodes"));
        assert_eq!(verb(&Method::GET, &one, false), Some("get"));
        assert_eq!(verb(&Method::GET, &all, true), Some("watch"));
        assert_eq!(verb(&Method::GET, &target("/api/v1/watch/nodes"), false), Some("watch"));
        assert_eq!(verb(&Method::DELETE, &all, false), Some("deletecollection"));
        assert_eq!(verb(&Method::OPTIONS, &all, false), None);
    }
}
