//! Which groups, versions, kinds and verbs there are: the documents under `/api` and `/apis`.
//!
//! Both forms are pure functions of the catalogue: one document per group and version, and the
//! aggregated form that says everything in two.

use serde_json::{Value, json};

use crate::catalogue::Catalogue;
use crate::resource::{AnyResource, Part};
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
pub fn groups(kinds: &Catalogue) -> Value {
    let groups: Vec<Value> = kinds.groups().into_iter().map(|name| group_body(kinds, name)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`
#[must_use]
pub fn group(kinds: &Catalogue, name: &str) -> Option<Value> {
    let name = kinds.groups().into_iter().find(|known| *known == name)?;
    let mut body = group_body(kinds, name);
    put(&mut body, "kind", "APIGroup");
    put(&mut body, "apiVersion", "v1");
    Some(body)
}

fn group_body(kinds: &Catalogue, name: &str) -> Value {
    let versions: Vec<Value> = kinds
        .group_versions()
        .into_iter()
        .filter(|(group, _)| *group == name)
        .map(|(group, version)| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

/// `/api/v1` and `/apis/<group>/<version>`
#[must_use]
pub fn resources(kinds: &Catalogue, group: &str, version: &str) -> Option<Value> {
    let members = kinds.members(group, version);
    let api_version = members.first()?.api_version();
    let mut list = Vec::new();
    for resource in &members {
        list.push(api_resource(resource));
        list.extend(resource.parts().iter().map(|part| api_subresource(resource, part)));
    }
    let mut document = json!({"kind": "APIResourceList", "groupVersion": api_version, "resources": list});
    if !group.is_empty() {
        put(&mut document, "apiVersion", "v1");
    }
    Some(document)
}

fn api_resource(resource: &AnyResource) -> Value {
    let mut entry = json!({
        "name": resource.plural(),
        "singularName": resource.singular(),
        "namespaced": resource.is_namespaced(),
        "kind": resource.kind(),
        "verbs": resource.verbs(),
    });
    add_names(&mut entry, resource);
    entry
}

fn add_names(entry: &mut Value, resource: &AnyResource) {
    if !resource.short_names().is_empty() {
        put(entry, "shortNames", resource.short_names());
    }
    if !resource.categories().is_empty() {
        put(entry, "categories", resource.categories());
    }
}

fn api_subresource(resource: &AnyResource, part: &Part<'_>) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", resource.plural(), part.name),
        "singularName": "",
        "namespaced": resource.is_namespaced(),
        "kind": part.kind,
        "verbs": part.verbs,
    });
    if (part.group, part.version) != (resource.group(), resource.version()) {
        put(&mut entry, "group", part.group);
        put(&mut entry, "version", part.version);
    }
    entry
}

/// `/api`, aggregated.
#[must_use]
pub fn aggregated_core(kinds: &Catalogue) -> Value {
    aggregated(kinds, &[""])
}

/// `/apis`, aggregated.
#[must_use]
pub fn aggregated_groups(kinds: &Catalogue) -> Value {
    aggregated(kinds, &kinds.groups())
}

fn aggregated(kinds: &Catalogue, names: &[&str]) -> Value {
    let items: Vec<Value> = names
        .iter()
        .map(|name| {
            let versions: Vec<Value> = kinds
                .group_versions()
                .into_iter()
                .filter(|(group, _)| group == name)
                .map(|(group, version)| {
                    let resources: Vec<Value> = kinds.members(group, version).iter().map(aggregated_resource).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if name.is_empty() { json!({}) } else { json!({"name": name}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_resource(resource: &AnyResource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let parts: Vec<Value> = resource
        .parts()
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
        "resource": resource.plural(),
        "responseKind": kind(resource.group(), resource.version(), resource.kind()),
        "scope": if resource.is_namespaced() { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular(),
        "verbs": resource.verbs(),
    });
    add_names(&mut entry, resource);
    if !parts.is_empty() {
        put(&mut entry, "subresources", parts);
    }
    entry
}
