//! Columns, scale and selectable fields: what definitions say besides their schemas.

use super::*;
use crate::resource::AnyResource;

fn with(part: &str, value: Value, spec: &Value) -> Value {
    let mut definition = crd(&schema(spec));
    definition["spec"]["versions"][0][part] = value;
    definition
}

fn wrong(definition: &Value) -> Vec<String> {
    let of = find("apiextensions.k8s.io", "v1", "customresourcedefinitions").unwrap();
    let mut definition = definition.clone();
    of.default(&mut definition);
    of.validate(&definition).iter().map(ToString::to_string).collect()
}

#[test]
fn columns_show_what_their_paths_lead_to() {
    let columns = json!([
        {"name": "Text", "type": "string", "jsonPath": ".spec.text", "description": "It is a text."},
        {"name": "List", "type": "string", "jsonPath": ".spec.list"},
        {"name": "First", "type": "string", "jsonPath": ".spec.items[*].name"},
        {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
        {"name": "Count", "type": "integer", "jsonPath": ".spec.count", "format": "int32", "priority": 1},
        {"name": "Share", "type": "number", "jsonPath": ".spec.share"},
        {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
        {"name": "Since", "type": "date", "jsonPath": ".spec.since"},
        {"name": "Never", "type": "date", "jsonPath": ".spec.never"},
        {"name": "Odd", "type": "date", "jsonPath": ".spec.text"},
        {"name": "Wrong", "type": "integer", "jsonPath": ".spec.text"}]);
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition = with("additionalPrinterColumns", columns, &open);
    assert_eq!(wrong(&definition), [] as [&str; 0]);
    let of = AnyResource::Custom(definition::kinds(&definition).remove(0).into());
    let described = of.column_definitions();
    assert_eq!(described[0]["format"], "name");
    assert_eq!((&described[1]["description"], &described[1]["priority"]), (&json!("It is a text."), &json!(0)));
    assert_eq!(described[2]["description"], "Custom resource definition column (in JSONPath format): .spec.list");
    assert_eq!(
        (&described[5]["priority"], &described[5]["format"], &described[5]["type"]),
        (&json!(1), &json!("int32"), &json!("integer"))
    );
    let mut object = widget(&json!({"text": "hello", "list": ["a", 1], "items": [{}, {"name": "x"}, {"name": "y"}],
        "count": 3.7, "share": 0.5, "on": true, "since": "2026-01-01T00:00:00Z"}));
    object["status"] = json!({"conditions": [{"type": "Other", "status": "No"}, {"type": "Ready", "status": "True"}]});
    let cells = of.cells(&object, "2026-01-01T03:00:00Z".parse().unwrap());
    assert_eq!(
        json!(cells),
        json!(["w", "hello", "[\"a\",1]", "x", "True", 3, 0.5, true, "3h", null, "<invalid>", null])
    );
    let plain =
        AnyResource::Custom(definition::kinds(&with("additionalPrinterColumns", Value::Null, &open)).remove(0).into());
    let names: Vec<Value> = plain.column_definitions().iter().map(|column| column["name"].clone()).collect();
    assert_eq!(names, ["Name", "Age"]);
}

#[test]
fn columns_that_cannot_be_shown_are_refused() {
    let columns = json!([{"name": "", "type": "text", "format": "odd", "jsonPath": "spec"}, {"type": "string"}]);
    let at = "spec.additionalPrinterColumns";
    let found = wrong(&with("additionalPrinterColumns", columns, &json!({"type": "object"})));
    assert_eq!(found[0], format!("{at}[0].name: Required value"));
    assert_eq!(
        found[1],
        format!("{at}[0].type: Invalid value: \"text\": must be one of integer,number,string,boolean,date")
    );
    assert!(found[2].starts_with(&format!("{at}[0].format: Invalid value: \"odd\": must be one of int32,int64,")));
    assert!(found[3].starts_with(&format!("{at}[0].jsonPath: Invalid value: \"spec\": ")));
    assert_eq!(found[4..], [format!("{at}[1].name: Required value"), format!("{at}[1].jsonPath: Required value")]);
}

#[test]
fn scale_is_where_its_paths_lead() {
    let spec =
        json!({"type": "object", "properties": {"deep": {"type": "object", "properties": {"n": {"type": "integer"}}}}});
    let scale = json!({"scale": {"specReplicasPath": ".spec.deep.n", "statusReplicasPath": ".status.n",
        "labelSelectorPath": ".status.selector"}});
    let definition = with("subresources", scale, &spec);
    assert_eq!(wrong(&definition), [] as [&str; 0]);
    let of = definition::kinds(&definition).remove(0);
    let mut object = widget(&json!({"deep": {"n": 3}}));
    object["status"] = json!({"n": 2, "selector": "a=b"});
    let scale = of.scale_of(&object).unwrap();
    assert_eq!((&scale["kind"], &scale["spec"]), (&json!("Scale"), &json!({"replicas": 3})));
    assert_eq!(scale["status"], json!({"replicas": 2, "selector": "a=b"}));
    of.apply_scale(&mut object, &json!({"spec": {"replicas": 7}}));
    assert_eq!(object["spec"]["deep"]["n"], 7);
    let empty = of.scale_of(&widget(&json!({}))).unwrap_err();
    assert!(empty.message.contains("the spec replicas field \".spec.deep.n\" does not exist"), "{}", empty.message);
    object["spec"]["deep"]["n"] = json!(-1);
    let errors: Vec<String> = of.validate(&object).iter().map(ToString::to_string).collect();
    assert_eq!(errors, ["spec.deep.n: Invalid value: -1: should be a non-negative integer"]);
    let bad = json!({"scale": {"specReplicasPath": ".status.n", "statusReplicasPath": ".status.list[0]"}});
    assert_eq!(
        wrong(&with("subresources", bad, &spec)),
        [
            "spec.subresources.scale.specReplicasPath: Invalid value: \".status.n\": should be a json path under .spec",
            "spec.subresources.scale.statusReplicasPath: Invalid value: \".status.list[0]\": should be a simple json path: no \
             array notation, wildcards or filters"
        ]
    );
}

#[test]
fn some_fields_can_be_selected_by() {
    let spec = json!({"type": "object", "properties": {"color": {"type": "string"}, "size": {"type": "integer"},
        "on": {"type": "boolean"}, "list": {"type": "array", "items": {"type": "string"}}}});
    let fields = |paths: &[&str]| json!(paths.iter().map(|path| json!({"jsonPath": path})).collect::<Vec<_>>());
    let definition = with("selectableFields", fields(&[".spec.color", ".spec.size", ".spec.on"]), &spec);
    assert_eq!(wrong(&definition), [] as [&str; 0]);
    let of = AnyResource::Custom(definition::kinds(&definition).remove(0).into());
    let object = widget(&json!({"color": "red", "size": 3, "on": true}));
    let matches = |text: &str| {
        let selector = text.parse().unwrap();
        of.check_field_selector(&selector)
            .map(|()| of.matches_fields(&selector, &object))
            .map_err(|error| error.message)
    };
    for (selector, expected) in [
        ("spec.color=red,spec.size=3", true),
        ("spec.on=true,metadata.name=w,metadata.namespace=d", true),
        ("spec.color!=red", false),
        ("spec.size=4", false),
    ] {
        assert_eq!(matches(selector), Ok(expected), "{selector}");
    }
    assert_eq!(matches("spec.list=a").unwrap_err(), "field label not supported: spec.list");
    let bad = wrong(&with(
        "selectableFields",
        fields(&[".spec.list", ".metadata.name", ".spec.none", ".spec.color", ".spec.color"]),
        &spec,
    ));
    assert!(bad.iter().all(|error| error.starts_with("spec.selectableFields[")), "{bad:?}");
    for (index, at) in [(0, "0"), (1, "1"), (2, "1"), (3, "2"), (4, "4")] {
        assert!(bad[index].starts_with(&format!("spec.selectableFields[{at}].jsonPath: ")), "{bad:?}");
    }
}
