//! Owners that wrote other versions of an object, and schemas that changed meanwhile.

use super::*;

/// Two versions: in the older one `size` is called `length`, and the list is replaced as a whole.
struct Two {
    old: CustomSchema,
    new: CustomSchema,
}

fn versioned(list: &str, size: &str) -> CustomSchema {
    CustomSchema::parse(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "list": {"type": "array", "x-kubernetes-list-type": list, "items": {"type": "string"}},
        size: {"type": "integer"}, "name": {"type": "string"}}}}}))
}

impl Versions for Two {
    fn schema(&self, api_version: &str) -> Option<Schema<'_>> {
        match api_version {
            "a.io/v1" => Some(Schema::Custom(&self.old)),
            "a.io/v2" => Some(Schema::Custom(&self.new)),
            _ => None,
        }
    }

    fn convert(&self, object: &Value, from: &str, to: &str) -> Result<Value, Unconverted> {
        let mut object = object.clone();
        let (before, after) =
            if (from, to) == ("a.io/v1", "a.io/v2") { ("length", "size") } else { ("size", "length") };
        if let Some(spec) = object["spec"].as_object_mut()
            && let Some(value) = spec.remove(before)
        {
            spec.insert(after.to_owned(), value);
        }
        Ok(object)
    }
}

fn author<'a>(manager: &'a str, api_version: &'a str) -> Author<'a> {
    Author { manager, api_version, subresource: "", time: NOON }
}

fn spec(spec: Value) -> Value {
    named("a", json!({ "spec": spec }))
}

fn owned(object: &Value, manager: &str) -> Value {
    let list = object["metadata"]["managedFields"].as_array().unwrap();
    list.iter().find(|entry| entry["manager"] == manager).map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

#[test]
fn owners_keep_what_they_own_in_their_own_version() {
    let two = Two { old: versioned("atomic", "length"), new: versioned("set", "size") };
    let reset = Set::default();
    let rules = |schema| Rules { schema: Schema::Custom(schema), versions: &two, reset: &reset };
    let first = spec(json!({"length": 1, "list": ["a"], "name": "n"}));
    let object = clean(apply(rules(&two.old), None, &first, &author("old", "a.io/v1"), false).unwrap());
    let live = two.convert(&object, "a.io/v1", "a.io/v2").unwrap();
    // The other one's field has another name here, and is its field all the same.
    let wanted = spec(json!({"size": 2, "list": ["b"]}));
    let refused = apply(rules(&two.new), Some(&live), &wanted, &author("new", "a.io/v2"), false).unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("conflicts with \"old\""), "{message}");
    assert!(message.contains("- .spec.length") && message.contains("- .spec.list"), "{message}");
    let taken = apply(rules(&two.new), Some(&live), &wanted, &author("new", "a.io/v2"), true).unwrap();
    assert_eq!(taken["spec"], json!({"size": 2, "list": ["a", "b"], "name": "n"}));
    assert_eq!(owned(&taken, "old"), json!({"f:spec": {"f:name": {}}}));
    assert_eq!(owned(&taken, "new"), json!({"f:spec": {"f:size": {}, "f:list": {"v:\"b\"": {}}}}));
    // An applier stays the same in all versions: what it wants no more goes.
    let less = spec(json!({"list": ["c"]}));
    let moved = clean(apply(rules(&two.new), Some(&live), &less, &author("old", "a.io/v2"), false).unwrap());
    // The list was one field when it was applied last, and is still wanted.
    assert_eq!(moved["spec"], json!({"list": ["a", "c"]}));
    let mut updated = taken.clone();
    updated["spec"]["name"] = json!("other");
    update(rules(&two.new), Some(&taken), &mut updated, &author("hand", "a.io/v2")).unwrap();
    assert_eq!(owned(&updated, "old"), Value::Null);
}

#[test]
fn who_wrote_a_version_that_is_gone_owns_nothing_after_a_change() {
    let two = Two { old: versioned("atomic", "length"), new: versioned("set", "size") };
    let reset = Set::default();
    let rules = Rules { schema: Schema::Custom(&two.new), versions: &two, reset: &reset };
    let mut object = apply(rules, None, &spec(json!({"size": 1})), &author("old", "a.io/v2"), false).unwrap();
    object["metadata"]["managedFields"][0]["apiVersion"] = json!("a.io/v0");
    let applied = apply(rules, Some(&object), &spec(json!({"size": 2})), &author("new", "a.io/v2"), false).unwrap();
    assert_eq!(owned(&applied, "old"), Value::Null);
}

#[test]
fn what_has_come_to_be_replaced_as_a_whole_is_owned_as_a_whole() {
    let (before, after) = (versioned("set", "size"), versioned("atomic", "size"));
    let mut scene = Scene::custom(&before);
    scene.apply("me", spec(json!({"list": ["a"]}))).apply("you", spec(json!({"list": ["b"]})));
    scene.schema = Schema::Custom(&after);
    scene.force("you", spec(json!({"list": ["c"]})));
    assert_eq!(scene.object()["spec"]["list"], json!(["c"]));
    assert_eq!(scene.fields("me"), Value::Null);
    assert_eq!(scene.fields("you"), json!({"f:spec": {"f:list": {}}}));
}
