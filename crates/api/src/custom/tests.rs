//! What custom kinds do with objects, without a server.

mod parts;

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
    let at = "spec.validation.openAPIV3Schema";
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

/// What is wrong with a definition whose spec has this schema.
fn judged(spec: &Value) -> Vec<String> {
    let of = find("apiextensions.k8s.io", "v1", "customresourcedefinitions").unwrap();
    let mut definition = crd(&schema(spec));
    of.default(&mut definition);
    of.validate(&definition).iter().map(ToString::to_string).collect()
}

const RULE: &str = "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0]";

#[test]
fn rules_are_judged_as_kubernetes_words_it() {
    let with = |rule: Value| {
        judged(
            &json!({"type": "object", "properties": {"n": {"type": "integer"}, "t": {"type": "string", "maxLength": 9}},
            "x-kubernetes-validations": [rule]}),
        )
    };
    assert_eq!(
        with(json!({"rule": "self.z == 100"})),
        [format!(
            "{RULE}.rule: Invalid value: {{\"FieldPath\":\"\",\"Message\":\"\",\"MessageExpression\":\"\",\"OptionalOldSelf\":null,\
             \"Reason\":null,\"Rule\":\"self.z == 100\"}}: compilation failed: ERROR: <input>:1:5: undefined field 'z'\n | self.z == 100\n | ....^"
        )]
    );
    let detail = |rule: Value| with(rule).iter().map(|error| error.replace(RULE, "")).collect::<Vec<_>>().join("; ");
    assert!(detail(json!({"rule": "self = 42"})).contains("compilation failed: ERROR: <input>:1:6: Syntax error: "));
    assert!(detail(json!({"rule": "self.n + 1"})).ends_with("cel expression must evaluate to a bool"));
    assert!(
        detail(json!({"rule": "self.n > 'a'"}))
            .contains("found no matching overload for '_>_' applied to '(int, string)'")
    );
    for (rule, expected) in [
        (json!({"rule": " "}), ".rule: Required value: rule is not specified"),
        (json!({"rule": "true", "message": " "}), r#".message: Invalid value: " ": must be non-empty if specified"#),
        (json!({"rule": "true\n"}), ""),
        (
            json!({"rule": "true\n&& true"}),
            ".message: Required value: message must be specified if rule contains line breaks",
        ),
        (
            json!({"rule": "true", "reason": "Odd"}),
            r#".reason: Unsupported value: "Odd": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired""#,
        ),
        (json!({"rule": "true", "fieldPath": ".none"}), r#".fieldPath: Invalid value: ".none": must be a valid path"#),
        (json!({"rule": "true", "fieldPath": ".n"}), ""),
        (
            json!({"rule": "self.n > 1", "optionalOldSelf": true}),
            ".optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule",
        ),
        (json!({"rule": "!oldSelf.hasValue() || self.n >= oldSelf.value().n", "optionalOldSelf": true}), ""),
        (json!({"rule": "self.n >= oldSelf.n", "messageExpression": "'was ' + string(oldSelf.n)"}), ""),
    ] {
        assert_eq!(detail(rule.clone()), expected, "{rule}");
    }
    assert!(
        detail(json!({"rule": "true", "messageExpression": "self.n"}))
            .ends_with("messageExpression must evaluate to a string")
    );
    assert!(
        detail(json!({"rule": "true", "messageExpression": "self.q"}))
            .contains("messageExpression compilation failed: ERROR: ")
    );
}

#[test]
fn changes_can_only_be_judged_where_items_are_recognized() {
    let list = |sort: &str| {
        json!({"type": "object", "properties": {"l": {"type": "array", "x-kubernetes-list-type": sort, "maxItems": 9,
            "x-kubernetes-list-map-keys": if sort == "map" { json!(["k"]) } else { Value::Null },
            "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "n": {"type": "integer",
                "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]}}}}}})
    };
    assert_eq!(judged(&list("map")), [] as [&str; 0]);
    let at = "spec.validation.openAPIV3Schema.properties[spec].properties[l]";
    assert_eq!(
        judged(&list("atomic")),
        [format!(
            "{at}.items.properties[n].x-kubernetes-validations[0].rule: Invalid value: \"self >= oldSelf\": oldSelf cannot be \
             used on the uncorrelatable portion of the schema within {at}"
        )]
    );
}

#[test]
fn lists_tell_their_items_apart() {
    let list = |list: Value| {
        let mut of = json!({"type": "array", "items": {"type": "string"}});
        of.as_object_mut().unwrap().extend(list.as_object().unwrap().clone());
        let at = "spec.validation.openAPIV3Schema.properties[spec].properties[l]";
        let found = judged(&json!({"type": "object", "properties": {"l": of}}));
        found.iter().map(|error| error.replace(at, "")).collect::<Vec<_>>()
    };
    let items = |key: Value| json!({"type": "object", "properties": {"k": key, "o": {"type": "object"}}});
    let map = |keys: Value, items: Value| {
        list(json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys, "items": items}))
    };
    let text = json!({"type": "string", "default": "d"});
    assert_eq!(map(json!(["k"]), items(text.clone())), [] as [&str; 0]);
    assert_eq!(list(json!({"x-kubernetes-list-type": "set"})), [] as [&str; 0]);
    assert_eq!(
        map(json!(["k", "k", "none", "o"]), items(text.clone())),
        [
            r#".x-kubernetes-list-map-keys: Invalid value: ["k","k","none","o"]: must not contain duplicate entries"#,
            r#".x-kubernetes-list-map-keys: Invalid value: ["k","k","none","o"]: entries must all be names of item properties"#,
            r#".items.properties[o].type: Invalid value: "object": must be a scalar type if parent array's x-kubernetes-list-type is map"#,
        ]
    );
    assert_eq!(
        map(json!(["k"]), items(json!({"type": "string", "nullable": true}))),
        [
            ".items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            ".items.properties[k].nullable: Forbidden: this property is in x-kubernetes-list-map-keys, so it cannot be nullable",
        ]
    );
    assert_eq!(
        list(json!({"x-kubernetes-list-map-keys": ["k"]})),
        [".x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty"]
    );
    let object = json!({"type": "object", "nullable": true, "properties": {"a": {"type": "string"}}});
    assert_eq!(
        list(json!({"x-kubernetes-list-type": "set", "items": object})),
        [
            ".items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set",
            ".items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set",
        ]
    );
}

#[test]
fn rules_may_not_cost_too_much() {
    let nested = |most: Value| {
        json!({"type": "object", "properties": {"x": {"type": "array", "maxItems": most, "items": {"type": "array",
            "maxItems": most, "items": {"type": "string", "maxLength": most},
            "x-kubernetes-validations": [{"rule": "self.all(s, s == 'string constant')"}]}}}})
    };
    let wrong = judged(&nested(Value::Null));
    assert!(
        wrong[0].contains(".rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try"),
        "{wrong:?}"
    );
    assert_eq!(judged(&nested(json!(20))), [] as [&str; 0]);
    // As many definitions have it: at most one of some fields, in each item of a list without a limit.
    let one = json!({"type": "object", "properties": {"l": {"type": "array", "items": {"type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "(has(self.a) ? 1 : 0) + (has(self.b) ? 1 : 0) + (has(self.c) ? 1 : 0) <= 1"}]}}}});
    assert_eq!(judged(&one), [] as [&str; 0]);
    let spec = json!({"type": "object", "properties": {"large": {"type": "array", "maxItems": 1000, "items": {"type": "integer"}}},
        "x-kubernetes-validations": [{"rule": "self.large.all(x, self.large.all(y, x == y))"}, {"rule": "false"}]});
    assert_eq!(judged(&spec), [] as [&str; 0]);
    assert_eq!(
        errors(&spec, &json!({"large": vec![20; 725]})),
        [
            "spec: Invalid value: \"object\": 'operation cancelled: actual cost limit exceeded': no further validation rules \
          will be run due to call cost exceeds limit for rule: self.large.all(x, self.large.all(y, x == y))"
        ]
    );
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
