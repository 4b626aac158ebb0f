//! Discovery and OpenAPI documents agree with the registry.

use serde_json::{Value, json};
use skiff_api::{catalogue::Catalogue, discovery, openapi, resource, schema};

#[test]
fn every_kind_has_its_types_and_is_found() {
    for resource in resource::all() {
        let of = schema::find(resource.type_name).unwrap();
        assert_eq!(of.kind, Some([resource.group, resource.version, resource.kind]), "{}", resource.kind);
        assert!(std::ptr::eq(resource::find(resource.group, resource.version, resource.plural).unwrap(), *resource));
        let found = resource::find_api_kind(&resource.api_version(), resource.kind).unwrap();
        assert!(std::ptr::eq(found, *resource));
        assert!(resource.verbs.is_sorted());
        assert!(resource.subresources.is_sorted_by_key(|part| part.name));
        for part in resource.subresources.iter().filter(|part| !part.type_name.is_empty()) {
            assert_eq!(schema::find(part.type_name).unwrap().kind.unwrap()[2], part.kind);
        }
        if resource.allows("list") {
            assert!(schema::find(&format!("{}List", resource.type_name)).is_some());
        }
        let cells = resource.cells(&Value::Null, "2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(cells.len(), resource.columns.len(), "{}", resource.kind);
    }
}

#[test]
fn discovery_lists_kinds_and_their_parts() {
    let apps = discovery::resources(&Catalogue::default(), "apps", "v1").unwrap();
    let names: Vec<&str> = apps["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    let expected = [
        "controllerrevisions",
        "daemonsets",
        "daemonsets/status",
        "deployments",
        "deployments/scale",
        "deployments/status",
        "replicasets",
        "replicasets/scale",
        "replicasets/status",
        "statefulsets",
        "statefulsets/scale",
        "statefulsets/status",
    ];
    assert_eq!(names, expected);
    assert_eq!(apps["groupVersion"], "apps/v1");
    assert_eq!(apps["resources"][4]["group"], "autoscaling");
    assert_eq!(apps["resources"][3]["shortNames"], json!(["deploy"]));
    assert!(discovery::resources(&Catalogue::default(), "apps", "v2").is_none());
    assert!(discovery::group(&Catalogue::default(), "nope").is_none());
    assert_eq!(discovery::group(&Catalogue::default(), "apps").unwrap()["preferredVersion"]["groupVersion"], "apps/v1");
    let core = discovery::aggregated_core(&Catalogue::default());
    assert_eq!(core["items"][0]["versions"][0]["version"], "v1");
    let groups = discovery::aggregated_groups(&Catalogue::default());
    let count = groups["items"].as_array().unwrap().len();
    assert_eq!(count, discovery::groups(&Catalogue::default())["groups"].as_array().unwrap().len());
}

#[test]
fn openapi_says_where_field_validation_is_known() {
    for (group, version) in Catalogue::default().group_versions() {
        let document = openapi::v3(&Catalogue::default(), group, version, "v1.36.0").unwrap();
        for path in document["paths"].as_object().unwrap().values() {
            let patch = path.get("patch").filter(|patch| patch["x-kubernetes-action"] == "patch");
            let Some(patch) = patch else { continue };
            let knows = patch["parameters"].as_array().unwrap().iter().any(|p| p["name"] == "fieldValidation");
            assert!(knows && patch["x-kubernetes-group-version-kind"]["kind"].is_string());
        }
    }
    let kinds = Catalogue::default();
    let index = openapi::v3_index(&kinds, |group, version| openapi::v3_hash(&kinds, group, version));
    let apps = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    assert!(apps.starts_with("/openapi/v3/apis/apps/v1?hash="));
}

#[test]
fn openapi_references_lead_somewhere() {
    fn check(value: &Value, root: &Value) {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.trim_start_matches('#');
            assert!(root.pointer(pointer).is_some(), "{reference}");
        }
        match value {
            Value::Object(map) => map.values().for_each(|v| check(v, root)),
            Value::Array(list) => list.iter().for_each(|v| check(v, root)),
            _ => {}
        }
    }
    let v2 = openapi::v2(&Catalogue::default(), "v1.36.0");
    check(&v2, &v2);
    let containers = &v2["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    for (group, version) in Catalogue::default().group_versions() {
        let document = openapi::v3(&Catalogue::default(), group, version, "v1.36.0").unwrap();
        check(&document, &document);
    }
}
