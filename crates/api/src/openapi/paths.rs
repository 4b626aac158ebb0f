//! The paths of a group's kinds, with the operations that each knows.

use serde_json::{Map, Value, json};

use super::{Format, prefix, types::list_type};
use crate::catalogue::Catalogue;
use crate::patch;
use crate::resource::{AnyResource, Part};
use crate::value::put;

/// The query parameters of everything that writes.
const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation"];
/// The query parameters of everything that reads many.
const LIST: &[&str] = &[
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
];
/// The query parameters of a delete.
const DELETE: &[&str] = &["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"];
/// The query parameters of what connects to a pod or to a Service, by the kind of its options.
const CONNECT: &[(&str, &[&str])] = &[
    ("PodAttachOptions", &["container", "stderr", "stdin", "stdout", "tty"]),
    ("PodExecOptions", &["command", "container", "stderr", "stdin", "stdout", "tty"]),
    ("PodPortForwardOptions", &["ports"]),
    ("NodeProxyOptions", &["path"]),
    ("PodProxyOptions", &["path"]),
    ("ServiceProxyOptions", &["path"]),
];
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";

/// One operation on a path.
struct Operation<'a> {
    method: &'static str,
    action: &'static str,
    query: &'a [&'static str],
    body: Option<&'a str>,
    /// The type of the answer; empty for what is no object.
    answer: &'a str,
}

/// The paths of one group and version.
pub(super) fn of(kinds: &Catalogue, group: &str, version: &str, format: Format) -> Map<String, Value> {
    let mut paths = Map::new();
    for resource in &kinds.members(group, version) {
        let root = prefix(group, version);
        let base = match resource.is_namespaced() {
            true => format!("{root}/namespaces/{{namespace}}/{}", resource.plural()),
            false => format!("{root}/{}", resource.plural()),
        };
        let page = Page { resource, kind: [resource.group(), resource.version(), resource.kind()], format };
        let list = list_type(resource);
        paths.insert(base.clone(), page.path(&base, &collection(resource, &list)));
        if resource.is_namespaced() && resource.allows("list") {
            let all = format!("{root}/{}", resource.plural());
            let operations: Vec<_> = collection(resource, &list).into_iter().filter(|o| o.method == "get").collect();
            paths.insert(all.clone(), page.path(&all, &operations));
        }
        let item = format!("{base}/{{name}}");
        let operations = single(resource.verbs(), resource.type_name());
        if resource.allows("get") {
            paths.insert(item.clone(), page.path(&item, &operations));
        }
        for part in resource.parts() {
            let path = format!("{item}/{}", part.name);
            let page = Page { kind: [part.group, part.version, part.kind], ..page };
            if part.type_name.is_empty() {
                paths.extend(page.connecting(path, &part));
                continue;
            }
            let mut operations = single(part.verbs, part.type_name);
            if part.verbs.contains(&"create") {
                operations.push(write("post", "post", part.type_name));
            }
            paths.insert(path.clone(), page.path(&path, &operations));
        }
    }
    paths.retain(|_, path| path.as_object().is_some_and(|path| path.keys().any(|key| key != "parameters")));
    paths
}

/// What connects with any of the methods that these verbs stand for.
fn connect(verbs: &[&str], query: &'static [&'static str]) -> Vec<Operation<'static>> {
    const METHODS: [(&str, &str); 7] = [
        ("get", "get"),
        ("create", "post"),
        ("update", "put"),
        ("patch", "patch"),
        ("delete", "delete"),
        ("delete", "head"),
        ("delete", "options"),
    ];
    let known = METHODS.iter().filter(|(verb, _)| verbs.contains(verb));
    known.map(|(_, method)| Operation { method, action: "connect", query, body: None, answer: "" }).collect()
}

fn write<'a>(method: &'static str, action: &'static str, type_name: &'a str) -> Operation<'a> {
    Operation { method, action, query: WRITE, body: Some(type_name), answer: type_name }
}

fn collection<'a>(resource: &'a AnyResource, list: &'a str) -> Vec<Operation<'a>> {
    let mut operations = Vec::new();
    if resource.allows("list") {
        operations.push(Operation { method: "get", action: "list", query: LIST, body: None, answer: list });
    }
    if resource.allows("create") {
        operations.push(write("post", "post", resource.type_name()));
    }
    if resource.allows("deletecollection") {
        let action = "deletecollection";
        operations.push(Operation { method: "delete", action, query: DELETE, body: None, answer: STATUS });
    }
    operations
}

fn single<'a>(verbs: &[&str], type_name: &'a str) -> Vec<Operation<'a>> {
    let mut operations = Vec::new();
    if verbs.contains(&"get") {
        operations.push(Operation { method: "get", action: "get", query: &[], body: None, answer: type_name });
    }
    if verbs.contains(&"update") {
        operations.push(write("put", "put", type_name));
    }
    if verbs.contains(&"patch") {
        let query = &["dryRun", "fieldManager", "fieldValidation", "force"];
        let body = Some("io.k8s.apimachinery.pkg.apis.meta.v1.Patch");
        operations.push(Operation { method: "patch", action: "patch", query, body, answer: type_name });
    }
    if verbs.contains(&"delete") {
        operations.push(Operation { method: "delete", action: "delete", query: DELETE, body: None, answer: STATUS });
    }
    operations
}

#[derive(Clone, Copy)]
struct Page<'a> {
    resource: &'a AnyResource,
    kind: [&'a str; 3],
    format: Format,
}

impl Page<'_> {
    /// What is not about objects has no types to tell of, only ways to it.
    fn connecting(&self, path: String, part: &Part<'_>) -> Vec<(String, Value)> {
        let query = CONNECT.iter().find(|(kind, _)| *kind == part.kind).map_or(&[][..], |(_, query)| query);
        let operations = connect(part.verbs, query);
        let mut paths = vec![(path.clone(), self.path(&path, &operations))];
        if part.name == "proxy" {
            let deeper = format!("{path}/{{path}}");
            let value = self.path(&deeper, &operations);
            paths.push((deeper, value));
        }
        paths
    }

    fn path(&self, path: &str, operations: &[Operation<'_>]) -> Value {
        let mut value = json!({});
        let names: Vec<Value> = ["namespace", "name", "path"]
            .iter()
            .filter(|name| path.contains(&format!("{{{name}}}")))
            .map(|name| self.parameter(name, "path"))
            .collect();
        if !names.is_empty() {
            put(&mut value, "parameters", names);
        }
        for operation in operations {
            put(&mut value, operation.method, self.operation(path, operation));
        }
        value
    }

    fn parameter(&self, name: &str, place: &str) -> Value {
        let kind = match name {
            "limit" | "timeoutSeconds" | "gracePeriodSeconds" => "integer",
            "watch"
            | "allowWatchBookmarks"
            | "sendInitialEvents"
            | "force"
            | "orphanDependents"
            | "stderr"
            | "stdin"
            | "stdout"
            | "tty" => "boolean",
            _ => "string",
        };
        let mut value = json!({"name": name, "in": place, "uniqueItems": true});
        if place == "path" {
            put(&mut value, "required", true);
        }
        match self.format {
            Format::V2 => put(&mut value, "type", kind),
            Format::V3 => put(&mut value, "schema", json!({"type": kind, "uniqueItems": true})),
        }
        if self.format == Format::V3 {
            crate::value::take(&mut value, "uniqueItems");
        }
        value
    }

    fn operation(&self, path: &str, operation: &Operation<'_>) -> Value {
        let [group, version, kind] = self.kind;
        let mut parameters: Vec<Value> = operation.query.iter().map(|name| self.parameter(name, "query")).collect();
        let reference = |name: &str| json!({"$ref": format!("{}{name}", self.format.reference())});
        let is_patch = operation.action == "patch";
        let body = operation.body.map(|name| if is_patch { json!({"type": "object"}) } else { reference(name) });
        let connects = operation.answer.is_empty();
        let answer = if connects { json!({"type": "string"}) } else { reference(operation.answer) };
        let produces = if connects { "*/*" } else { "application/json" };
        let mut value = json!({
            "operationId": self.operation_id(path, operation),
            "x-kubernetes-action": operation.action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        });
        let consumes: &[&str] = if is_patch { patch::CONTENT_TYPES } else { &["application/json"] };
        match self.format {
            Format::V2 => {
                put(&mut value, "produces", json!([produces]));
                put(&mut value, "responses", json!({"200": {"description": "OK", "schema": answer}}));
                if let Some(schema) = body {
                    put(&mut value, "consumes", consumes);
                    parameters.push(json!({"name": "body", "in": "body", "required": true, "schema": schema}));
                }
            }
            Format::V3 => {
                let content = json!({produces: {"schema": answer}});
                put(&mut value, "responses", json!({"200": {"description": "OK", "content": content}}));
                if let Some(schema) = body {
                    let content: Map<String, Value> =
                        consumes.iter().map(|of| ((*of).to_owned(), json!({"schema": schema}))).collect();
                    put(&mut value, "requestBody", json!({"required": true, "content": content}));
                }
            }
        }
        if !parameters.is_empty() {
            put(&mut value, "parameters", parameters);
        }
        value
    }

    fn operation_id(&self, path: &str, operation: &Operation<'_>) -> String {
        let group = self.resource.group().split('.').next().filter(|g| !g.is_empty()).unwrap_or("core");
        let scope = if path.contains("{namespace}") { "Namespaced" } else { "" };
        let capital = |text: &str| {
            let mut chars = text.chars();
            chars.next().map(|c| c.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
        };
        let part = path.split("{name}/").nth(1).map(capital).unwrap_or_default().replace("/{path}", "WithPath");
        let all = if self.resource.is_namespaced() && scope.is_empty() { "ForAllNamespaces" } else { "" };
        let action = match operation.action {
            "get" => "read",
            "post" => "create",
            "put" => "replace",
            "deletecollection" => "deleteCollection",
            other => other,
        };
        let (version, kind) = (capital(self.resource.version()), self.resource.kind());
        let method = if action == "connect" { capital(operation.method) } else { String::new() };
        format!("{action}{}{version}{method}{scope}{kind}{part}{all}", capital(group))
    }
}
