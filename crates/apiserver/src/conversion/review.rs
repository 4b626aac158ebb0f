//! `ConversionReview`: what a webhook is asked, and what may be in its answer.

use serde_json::{Map, Value, json};
use skiff_api::{
    field_error::{FieldError, Path},
    meta,
    validate::objectmeta,
};

const GROUP: &str = "apiextensions.k8s.io";
const KIND: &str = "ConversionReview";

/// The question: these objects as that version shows them.
pub(super) fn request(version: &str, uid: &str, to: &str, objects: &[Value]) -> Value {
    json!({
        "kind": KIND,
        "apiVersion": format!("{GROUP}/{version}"),
        "request": {"uid": uid, "desiredAPIVersion": to, "objects": objects},
    })
}

/// `example.com/v1, Kind=Widget`
pub(super) fn named(api_version: &str, kind: &str) -> String {
    // A version without a group is of the core group, whose name is empty.
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
}

fn named_of(object: &Value) -> String {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    named(text("apiVersion"), text("kind"))
}

/// The objects of an answer.
pub(super) fn converted(version: &str, uid: &str, answer: &[u8]) -> Result<Vec<Value>, String> {
    let mut review: Value = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    // The older version never made sure who is meant.
    if version == "v1" {
        let expected = named(&format!("{GROUP}/{version}"), KIND);
        let got = named_of(&review);
        if got != expected {
            return Err(format!("expected webhook response of {expected}, got {got}"));
        }
    }
    let Some(response) = review.get_mut("response").filter(|response| response.is_object()) else {
        return Err("no response provided".to_owned());
    };
    let own = response["uid"].as_str().unwrap_or_default();
    if version == "v1" && own != uid {
        return Err(format!("expected response.uid={uid:?}, got {own:?}"));
    }
    let status = response["result"]["status"].as_str().unwrap_or_default();
    if status != "Success" {
        return Err(match response["result"]["message"].as_str().filter(|message| !message.is_empty()) {
            Some(message) => message.to_owned(),
            None => format!("response.result.status was '{status}', not 'Success'"),
        });
    }
    match response["convertedObjects"].take() {
        Value::Array(objects) => Ok(objects),
        _ => Ok(Vec::new()),
    }
}

/// A converted object with the metadata of the original, of which it may change labels and annotations;
/// `Err` is what follows "returned invalid".
pub(super) fn accept(original: &Value, mut converted: Value, to: &str, place: &str) -> Result<Value, String> {
    let text = |object: &Value, field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let object = |why: String| format!("{}: {why}", place.replacen("{}", "object", 1));
    if text(&converted, "kind").is_empty() {
        return Err(object(format!("Object 'Kind' is missing in '{converted}'")));
    }
    let got = text(&converted, "apiVersion");
    if got != to {
        return Err(object(format!("invalid groupVersion (expected {to}, received {got})")));
    }
    let (expected, got) = (text(original, "kind"), text(&converted, "kind"));
    if expected != got {
        return Err(object(format!("invalid kind (expected {expected}, received {got})")));
    }
    for (field, what) in [("name", "name"), ("namespace", "namespace"), ("uid", "UID")] {
        let (expected, got) = (meta::text(original, field), meta::text(&converted, field));
        if expected != got {
            return Err(object(format!("must have the same {what}: {expected} != {got}")));
        }
    }
    restore(original, &mut converted).map_err(|why| format!("{}: {why}", place.replacen("{}", "metadata", 1)))?;
    Ok(converted)
}

fn restore(original: &Value, converted: &mut Value) -> Result<(), String> {
    let given = match converted.get_mut("metadata").map(Value::take) {
        None => return Err("missing metadata in converted object".to_owned()),
        Some(Value::Object(given)) => given,
        Some(other) => return Err(format!("invalid metadata of type {} in converted object", sort(&other))),
    };
    let mut metadata = original["metadata"].as_object().cloned().unwrap_or_default();
    for field in ["labels", "annotations"] {
        match given.get(field) {
            None | Some(Value::Null) => {
                metadata.remove(field);
            }
            Some(Value::Object(map)) => {
                check(field, map, metadata.get(field))?;
                metadata.insert(field.to_owned(), Value::Object(map.clone()));
            }
            Some(other) => return Err(format!("invalid metadata.{field} of type {} in converted object", sort(other))),
        }
    }
    converted["metadata"] = Value::Object(metadata);
    Ok(())
}

/// What changed has to be as labels and annotations are.
fn check(field: &str, map: &Map<String, Value>, before: Option<&Value>) -> Result<(), String> {
    if let Some((key, value)) = map.iter().find(|(_, value)| !value.is_string()) {
        return Err(format!("metadata.{field}[{key}] must be a string, but is {} in converted object", sort(value)));
    }
    if before.and_then(Value::as_object) == Some(map) {
        return Ok(());
    }
    let (root, value, mut errors) = (Path::new("metadata"), Value::Object(map.clone()), Vec::new());
    if field == "labels" {
        objectmeta::labels(&value, &root.child("labels"), &mut errors);
    } else {
        objectmeta::annotation_map(&value, &root.child("annotation"), &mut errors);
    }
    match errors.as_slice() {
        [] => Ok(()),
        [one] => Err(one.to_string()),
        all => Err(format!("[{}]", all.iter().map(FieldError::to_string).collect::<Vec<_>>().join(", "))),
    }
}

/// A type as Go names it.
fn sort(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(response: Value) -> Vec<u8> {
        let mut review = json!({"kind": KIND, "apiVersion": "apiextensions.k8s.io/v1"});
        review["response"] = response;
        review.to_string().into_bytes()
    }

    #[test]
    fn answers_are_looked_at_closely() {
        let good = json!({"uid": "u", "result": {"status": "Success"}, "convertedObjects": [{"a": 1}]});
        assert_eq!(converted("v1", "u", &answer(good.clone())), Ok(vec![json!({"a": 1})]));
        assert_eq!(converted("v1", "x", &answer(good)), Err(r#"expected response.uid="x", got "u""#.to_owned()));
        let failed = |result: Value| converted("v1", "u", &answer(json!({"uid": "u", "result": result}))).unwrap_err();
        assert_eq!(failed(json!({"status": "Failed", "message": "no way"})), "no way");
        assert_eq!(failed(json!({})), "response.result.status was '', not 'Success'");
        assert_eq!(converted("v1", "u", &answer(Value::Null)).unwrap_err(), "no response provided");
        assert_eq!(
            converted("v1", "u", b"{}").unwrap_err(),
            "expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got /, Kind="
        );
        let older = json!({"response": {"result": {"status": "Success"}, "convertedObjects": []}}).to_string();
        assert_eq!(converted("v1beta1", "u", older.as_bytes()), Ok(Vec::new()));
        assert!(converted("v1", "u", b"<html>").is_err());
    }

    #[test]
    fn of_metadata_only_labels_and_annotations_change() {
        let original = json!({"apiVersion": "g.io/v1", "kind": "K", "metadata": {"name": "a", "uid": "u",
            "resourceVersion": "7", "labels": {"l": "1"}}});
        let with = |metadata: Value| {
            accept(&original, json!({"apiVersion": "g.io/v2", "kind": "K", "metadata": metadata}), "g.io/v2", "{}")
        };
        let done = with(json!({"name": "a", "uid": "u", "resourceVersion": "9", "annotations": {"a": "b"}})).unwrap();
        assert_eq!(
            done["metadata"],
            json!({"name": "a", "uid": "u", "resourceVersion": "7", "annotations": {"a": "b"}})
        );
        let wrong = |metadata: Value| with(metadata).unwrap_err();
        assert_eq!(wrong(json!({"name": "b", "uid": "u"})), "object: must have the same name: a != b");
        assert_eq!(wrong(json!({"name": "a"})), "object: must have the same UID: u != ");
        assert_eq!(
            wrong(json!({"name": "a", "uid": "u", "labels": {"l": 1}})),
            "metadata: metadata.labels[l] must be a string, but is int64 in converted object"
        );
        assert!(wrong(json!({"name": "a", "uid": "u", "labels": {"l": "no spaces"}})).contains("metadata.labels"));
        let other = json!({"apiVersion": "g.io/v3", "kind": "K", "metadata": {}});
        assert_eq!(
            accept(&original, other, "g.io/v2", "converted {} at index 0").unwrap_err(),
            "converted object at index 0: invalid groupVersion (expected g.io/v2, received g.io/v3)"
        );
    }
}
