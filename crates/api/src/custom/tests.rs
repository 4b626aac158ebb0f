//! What custom kinds do with objects, without a server.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CustomResource, definition};
use crate::resource::{FieldValidation, find};

fn crd(schema: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com", "uid": "u", "generation": 1},
        "spec": {"group": "example.com", "scope": "Namespaced", "conversion": {"strategy": "None"},
            "names": {"kind": "Widget", "listKind": "WidgetList", "plural": "widgets", "singular": "widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}}}]},
    })
}

fn kind(schema: &Value) -> CustomResource {
    definition::kinds(&crd(schema)).remove(0)
}

fn widget(spec: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "d"}, "spec": spec})
}

fn schema(spec: &Value) -> Value {
    json!({"type": "object", "properties": {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
}

fn errors(spec: &Value, value: &Value) -> Vec<String> {
    let (object, _) =
        kind(&schema(spec)).decode(widget(value).to_string().as_bytes(), FieldValidation::Ignore).unwrap();
    kind(&schema(spec)).validate(&object).iter().map(ToString::to_string).collect()
}

#[test]
fn unknown_and_doubled_fields_are_told_and_pruned() {
    let of = kind(&schema(&json!({"type": "object", "properties": {
        "a": {"type": "string"}, "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})));
    let body = br#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","odd":1},
        "spec":{"a":"1","a":"2","x":1,"free":{"y":1,"y":2}}}"#;
    let (object, warnings) = of.decode(body, FieldValidation::Warn).unwrap();
    assert_eq!(object["spec"], json!({"a": "2", "free": {"y": 2}}));
    assert_eq!(object["metadata"], json!({"name": "w"}));
    let mut sorted = warnings.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        [
            r#"duplicate field "spec.a""#,
            r#"duplicate field "spec.free.y""#,
            r#"unknown field "metadata.odd""#,
            r#"unknown field "spec.x""#
        ]
    );
    let refused = of.decode(body, FieldValidation::Strict).unwrap_err();
    assert!(
        refused.message.starts_with("Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: ")
    );
}

#[test]
fn values_are_judged_in_the_words_of_kubernetes() {
    let spec = json!({"type": "object", "required": ["must"], "properties": {
        "must": {"type": "string"}, "n": {"type": "integer", "minimum": 1}, "s": {"type": "string", "enum": ["a", "b"]},
        "p": {"type": "string", "pattern": "^x+$", "maxLength": 3}, "port": {"x-kubernetes-int-or-string": true},
        "list": {"type": "array", "maxItems": 1, "items": {"type": "integer"}}}});
    assert_eq!(errors(&spec, &json!({})), ["spec.must: Required value"]);
    assert_eq!(
        errors(&spec, &json!({"must": "m", "n": 0})),
        ["spec.n: Invalid value: 0: spec.n in body should be greater than or equal to 1"]
    );
    assert_eq!(
        errors(&spec, &json!({"must": 1})),
        [r#"spec.must: Invalid value: "integer": spec.must in body must be of type string: "integer""#]
    );
    assert_eq!(
        errors(&spec, &json!({"must": "m", "s": "c"})),
        [r#"spec.s: Unsupported value: "c": supported values: "a", "b""#]
    );
    assert_eq!(
        errors(&spec, &json!({"must": "m", "p": "yyyy"})),
        [
            "spec.p: Too long: may not be more than 3 bytes",
            r#"spec.p: Invalid value: "yyyy": spec.p in body should match '^x+$'"#
        ]
    );
    assert_eq!(
        errors(&spec, &json!({"must": "m", "port": 1, "list": [1, 2]})),
        ["spec.list: Too many: 2: must have at most 1 item"]
    );
    assert!(errors(&spec, &json!({"must": "m", "port": "http"})).is_empty());
    assert_eq!(errors(&spec, &json!({"must": "m", "port": true})).len(), 1);
}

#[test]
fn a_change_answers_for_what_it_changes_only() {
    let of = kind(&schema(
        &json!({"type": "object", "properties": {"a": {"type": "string", "maxLength": 1}, "b": {"type": "string"}}}),
    ));
    let mut old = widget(&json!({"a": "long", "b": "1"}));
    old["metadata"]["resourceVersion"] = json!("1");
    let mut new = old.clone();
    new["spec"]["b"] = json!("2");
    assert!(of.validate_update(&new, &old).is_empty());
    new["spec"]["a"] = json!("other");
    assert_eq!(of.validate_update(&new, &old).len(), 1);
}

#[test]
fn defaults_fill_what_is_missing_and_replace_nulls() {
    let of = kind(&schema(&json!({"type": "object", "default": {}, "properties": {
        "a": {"type": "string", "default": "x"}, "n": {"type": "string", "nullable": true, "default": "y"},
        "o": {"type": "object", "properties": {"p": {"type": "integer", "default": 7}}}}})));
    let mut object = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
    of.default(&mut object);
    assert_eq!(object["spec"], json!({"a": "x", "n": "y"}));
    let mut object = widget(&json!({"a": null, "n": null, "o": {}}));
    of.default(&mut object);
    assert_eq!(object["spec"], json!({"a": "x", "n": null, "o": {"p": 7}}));
}

#[test]
fn status_and_generation_follow_the_subresource() {
    let of = kind(&schema(&json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})));
    let mut object = widget(&json!({"n": 1}));
    object["status"] = json!({"n": 1});
    of.prepare_create(&mut object, "uid", "2026-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(object["metadata"]["generation"], 1);
    assert!(object.get("status").is_none());
    let old = object.clone();
    object["metadata"]["labels"] = json!({"a": "b"});
    of.prepare_update(&mut object, &old);
    assert_eq!(object["metadata"]["generation"], 1);
    object["spec"]["n"] = json!(2);
    of.prepare_update(&mut object, &old);
    assert_eq!(object["metadata"]["generation"], 2);
    assert_eq!(of.scale_of(&object).unwrap()["spec"]["replicas"], 2);
}

#[test]
fn definitions_must_be_structural() {
    let of = find("apiextensions.k8s.io", "v1", "customresourcedefinitions").unwrap();
    let judge = |schema: Value| -> Vec<String> {
        let mut definition = crd(&schema);
        of.default(&mut definition);
        of.validate(&definition).iter().map(ToString::to_string).collect()
    };
    assert_eq!(judge(json!({"type": "object", "properties": {"spec": {"type": "object"}}})), [] as [&str; 0]);
    let at = "spec.versions[0].schema.openAPIV3Schema";
    assert_eq!(
        judge(json!({"type": "object", "properties": {"spec": {}}})),
        [format!("{at}.properties[spec].type: Required value: must not be empty for specified object fields")]
    );
    let default = json!({"type": "object", "properties": {"a": {"type": "string", "default": 1}}});
    assert!(judge(default)[0].starts_with(&format!("{at}.properties[a].default: Invalid value: \"integer\"")));
    let hidden = json!({"type": "object", "anyOf": [{"properties": {"b": {"type": "string"}}}]});
    assert_eq!(judge(hidden).len(), 2);
}

#[test]
fn rules_judge_values_and_changes() {
    let spec = json!({"type": "object", "properties": {"min": {"type": "integer"}, "max": {"type": "integer"},
        "fixed": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is immutable"}]}},
        "x-kubernetes-validations": [{"rule": "self.min <= self.max", "fieldPath": ".min",
            "messageExpression": "'%d is more than %d'.format([self.min, self.max])"}]});
    assert_eq!(errors(&spec, &json!({"min": 1, "max": 2, "fixed": "a"})), [] as [&str; 0]);
    assert_eq!(errors(&spec, &json!({"min": 3, "max": 2})), ["spec.min: Invalid value: 3 is more than 2"]);
    assert_eq!(
        errors(&spec, &json!({"min": 3})),
        [r#"spec: Invalid value: "object": no such key: max evaluating rule: self.min <= self.max"#]
    );
    let of = kind(&schema(&spec));
    let mut old = widget(&json!({"min": 1, "max": 2, "fixed": "a"}));
    old["metadata"]["resourceVersion"] = json!("1");
    let mut new = old.clone();
    new["spec"]["fixed"] = json!("b");
    let errors: Vec<String> = of.validate_update(&new, &old).iter().map(ToString::to_string).collect();
    assert_eq!(errors, [r#"spec.fixed: Invalid value: "b": is immutable"#]);
}

#[test]
fn rules_that_name_nothing_are_refused() {
    let of = find("apiextensions.k8s.io", "v1", "customresourcedefinitions").unwrap();
    for rule in ["self.nope > 1", "self.n >", "frob(self.n)", "other == 1"] {
        let spec = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "x-kubernetes-validations": [{"rule": rule}]});
        let mut definition = crd(&schema(&spec));
        of.default(&mut definition);
        let errors = of.validate(&definition);
        assert_eq!(errors.len(), 1, "{rule}");
        assert!(errors[0].detail.starts_with("compilation failed: ERROR: <input>:1:"), "{}", errors[0]);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9f64..1e9).prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = (prop::sample::select(vec!["string", "integer", "number", "boolean", "object", "array", ""]), any_json(), any::<(bool, bool)>())
        .prop_map(|(sort, default, (nullable, preserve))| {
            json!({"type": sort, "default": default, "nullable": nullable, "x-kubernetes-preserve-unknown-fields": preserve,
                "minLength": 1, "maximum": 5, "pattern": "^[ab]*$", "enum": ["a", 1]})
        });
    leaf.prop_recursive(4, 24, 4, |inner| {
        (prop::collection::btree_map("[a-d]", inner.clone(), 0..4), inner, any::<bool>()).prop_map(
            |(fields, one, list)| match list {
                true => json!({"type": "array", "items": one, "x-kubernetes-list-type": "set"}),
                false => json!({"type": "object", "properties": fields, "additionalProperties": one, "anyOf": [one]}),
            },
        )
    })
}

proptest! {
    #[test]
    fn any_schema_and_any_object(schema in any_schema(), odd in any_json(), value in any_json()) {
        let definition = crd(&odd);
        let _ = find("apiextensions.k8s.io", "v1", "customresourcedefinitions").unwrap().validate(&definition);
        let of = kind(&json!({"type": "object", "properties": {"spec": schema}}));
        let mut object = widget(&value);
        of.from_stored(&mut object);
        let once = object.clone();
        of.from_stored(&mut object);
        prop_assert_eq!(&once, &object);
        let _ = of.validate(&object);
        let _ = of.validate_update(&object, &widget(&value));
        let _ = of.cells(&object, "2026-01-01T00:00:00Z".parse().unwrap());
    }
}
