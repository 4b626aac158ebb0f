//! Every kind can be found: by discovery of both sorts, by OpenAPI of both versions, and in protobuf.

use serde_json::{Value, json};

use super::{Case, every};
use crate::support::Server;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn find<'a>(list: &'a Value, field: &str, wanted: &str) -> &'a Value {
    let found = list.as_array().and_then(|list| list.iter().find(|one| one[field] == wanted));
    found.unwrap_or_else(|| panic!("no {field} {wanted}"))
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn discovery_tells_of_every_kind() {
    let server = Server::start().await;
    let groups = server.get("/apis").await.expect(200);
    let [core, others] = [server.get_as("/api", AGGREGATED).await, server.get_as("/apis", AGGREGATED).await];
    let [core, others] = [core.expect(200), others.expect(200)];
    for case in every() {
        let kind = case.resource;
        let list = server.get(&case.root()).await.expect(200);
        let entry = find(&list["resources"], "name", kind.plural);
        assert_eq!(entry["kind"], kind.kind, "{}", case.key());
        assert_eq!(entry["singularName"], kind.singular, "{}", case.key());
        assert_eq!(entry["namespaced"], kind.is_namespaced(), "{}", case.key());
        assert_eq!(texts(&entry["verbs"]), kind.verbs, "{}", case.key());
        assert_eq!(texts(&entry["shortNames"]), kind.short_names, "{}", case.key());
        assert_eq!(texts(&entry["categories"]), kind.categories, "{}", case.key());
        for part in kind.subresources {
            let entry = find(&list["resources"], "name", &format!("{}/{}", kind.plural, part.name));
            assert_eq!((&entry["kind"], texts(&entry["verbs"])), (&json!(part.kind), part.verbs.to_vec()));
        }
        let group = if kind.group.is_empty() { &core["items"][0] } else { group_of(&others, kind.group) };
        let version = find(&group["versions"], "version", kind.version);
        let entry = find(&version["resources"], "resource", kind.plural);
        assert_eq!(entry["responseKind"]["kind"], kind.kind, "{}", case.key());
        assert_eq!(entry["scope"], if kind.is_namespaced() { "Namespaced" } else { "Cluster" }, "{}", case.key());
        assert_eq!(texts(&entry["verbs"]), kind.verbs, "{}", case.key());
        let parts = entry["subresources"].as_array().map_or(0, Vec::len);
        assert_eq!(parts, kind.subresources.len(), "{}", case.key());
        if !kind.group.is_empty() {
            let group = find(&groups["groups"], "name", kind.group);
            find(&group["versions"], "version", kind.version);
        }
    }
}

fn group_of<'a>(groups: &'a Value, name: &str) -> &'a Value {
    let items = groups["items"].as_array().unwrap();
    items.iter().find(|group| group["metadata"]["name"] == name).unwrap_or_else(|| panic!("no group {name}"))
}

/// The paths of a kind as OpenAPI writes them.
fn paths(case: &Case) -> Vec<String> {
    let namespace = if case.resource.is_namespaced() { "namespaces/{namespace}/" } else { "" };
    let collection = format!("{}/{namespace}{}", case.root(), case.resource.plural);
    if !case.resource.allows("get") {
        return vec![collection];
    }
    let one = format!("{collection}/{{name}}");
    let parts = case.resource.subresources.iter().map(|part| format!("{one}/{}", part.name));
    parts.chain([collection, one.clone()]).collect()
}

#[tokio::test]
async fn openapi_tells_of_every_kind() {
    let server = Server::start().await;
    let v2 = server.get("/openapi/v2").await.expect(200);
    let index = server.get("/openapi/v3").await.expect(200);
    for case in every() {
        let url = index["paths"][&case.root()[1..]]["serverRelativeURL"].as_str().unwrap();
        let v3 = server.get(url).await.expect(200);
        let named = case.resource.type_name;
        for (document, types) in [(&v2, &v2["definitions"]), (&v3, &v3["components"]["schemas"])] {
            let of = &types[named]["x-kubernetes-group-version-kind"];
            assert!(of.as_array().unwrap().iter().any(|one| one["kind"] == case.resource.kind), "{named}");
            assert!(types[named]["properties"]["metadata"].is_object(), "{named}");
            for path in paths(&case) {
                assert!(document["paths"][&path].is_object(), "{path}");
            }
        }
    }
}
