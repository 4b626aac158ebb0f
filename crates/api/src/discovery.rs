//! Which groups, versions, kinds and verbs there are: the documents under `/api` and `/apis`.
//!
//! Both forms are pure functions of the registry: one document per group and version, and the
//! aggregated form that says everything in two.

use serde_json::{Value, json};

use crate::resource::{self, Resource, Scope, Subresource};
use crate::value::put;

/// The content type of the aggregated documents.
pub const AGGREGATED_CONTENT_TYPE: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `/api`; `address` is where clients reach the server (`10.0.0.1:6443`).
#[must_use]
pub fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`
#[must_use]
pub fn groups() -> Value {
    let groups: Vec<Value> = group_names().into_iter().map(group_body).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`
#[must_use]
pub fn group(name: &str) -> Option<Value> {
    let name = group_names().into_iter().find(|known| *known == name)?;
    let mut body = group_body(name);
    put(&mut body, "kind", "APIGroup");
    put(&mut body, "apiVersion", "v1");
    Some(body)
}

fn group_names() -> Vec<&'static str> {
    let mut names: Vec<_> = resource::group_versions().into_iter().map(|(group, _)| group).collect();
    names.retain(|name| !name.is_empty());
    names.dedup();
    names
}

fn group_body(name: &str) -> Value {
    let versions: Vec<Value> = resource::group_versions()
        .into_iter()
        .filter(|(group, _)| *group == name)
        .map(|(group, version)| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

fn members(group: &str, version: &str) -> Vec<&'static Resource> {
    resource::all().iter().filter(|r| (r.group, r.version) == (group, version)).copied().collect()
}

/// `/api/v1` and `/apis/<group>/<version>`
#[must_use]
pub fn resources(group: &str, version: &str) -> Option<Value> {
    let members = members(group, version);
    let api_version = members.first()?.api_version();
    let mut list = Vec::new();
    for resource in members {
        list.push(api_resource(resource));
        list.extend(resource.subresources.iter().map(|part| api_subresource(resource, part)));
    }
    let mut document = json!({"kind": "APIResourceList", "groupVersion": api_version, "resources": list});
    if !group.is_empty() {
        put(&mut document, "apiVersion", "v1");
    }
    Some(document)
}

fn api_resource(resource: &Resource) -> Value {
    let mut entry = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.is_namespaced(),
        "kind": resource.kind,
        "verbs": resource.verbs,
    });
    add_names(&mut entry, resource);
    entry
}

fn add_names(entry: &mut Value, resource: &Resource) {
    if !resource.short_names.is_empty() {
        put(entry, "shortNames", resource.short_names);
    }
    if !resource.categories.is_empty() {
        put(entry, "categories", resource.categories);
    }
}

fn api_subresource(resource: &Resource, part: &Subresource) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", resource.plural, part.name),
        "singularName": "",
        "namespaced": resource.is_namespaced(),
        "kind": part.kind,
        "verbs": part.verbs,
    });
    if (part.group, part.version) != (resource.group, resource.version) {
        put(&mut entry, "group", part.group);
        put(&mut entry, "version", part.version);
    }
    entry
}

/// `/api`, aggregated.
#[must_use]
pub fn aggregated_core() -> Value {
    aggregated(&[""])
}

/// `/apis`, aggregated.
#[must_use]
pub fn aggregated_groups() -> Value {
    aggregated(&group_names())
}

fn aggregated(names: &[&str]) -> Value {
    let items: Vec<Value> = names
        .iter()
        .map(|name| {
            let versions: Vec<Value> = resource::group_versions()
                .into_iter()
                .filter(|(group, _)| group == name)
                .map(|(group, version)| {
                    let resources: Vec<Value> = members(group, version).into_iter().map(aggregated_resource).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if name.is_empty() { json!({}) } else { json!({"name": name}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let parts: Vec<Value> = resource
        .subresources
        .iter()
        .map(|part| {
            json!({
                "subresource": part.name,
                "responseKind": kind(part.group, part.version, part.kind),
                "verbs": part.verbs,
            })
        })
        .collect();
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind(resource.group, resource.version, resource.kind),
        "scope": if resource.scope == Scope::Namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    add_names(&mut entry, resource);
    if !parts.is_empty() {
        put(&mut entry, "subresources", parts);
    }
    entry
}
