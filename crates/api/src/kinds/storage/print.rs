//! The rows of the kinds of `storage.k8s.io`.

use jiff::Timestamp;
use serde_json::Value;

use crate::meta;
use crate::print::{NONE, age};
use crate::value::Read as _;

/// The marks of the class that claims get which name none: today's and yesterday's.
const DEFAULT_MARKS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/// The same for attributes.
const DEFAULT_ATTRIBUTES: &str = "volumeattributesclass.alpha.kubernetes.io/is-default-class";

/// The name, and whether it is the one that others get which name none.
fn named(class: &Value, marks: &[&str]) -> Value {
    let is_default = marks.iter().any(|mark| meta::annotation(class, mark) == Some("true"));
    let name = meta::name(class);
    if is_default { format!("{name} (default)").into() } else { name.into() }
}

pub(super) fn class(class: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        named(class, &DEFAULT_MARKS),
        class.text("provisioner").into(),
        class.text("reclaimPolicy").into(),
        class.text("volumeBindingMode").into(),
        class.flag("allowVolumeExpansion").into(),
        age(class, now),
    ]
}

pub(super) fn attributes(class: &Value, now: Timestamp) -> Vec<Value> {
    vec![named(class, &[DEFAULT_ATTRIBUTES]), class.text("driverName").into(), age(class, now)]
}

pub(super) fn driver(driver: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &driver["spec"];
    let tokens: Vec<&str> = spec.items("tokenRequests").iter().map(|request| request.text("audience")).collect();
    let modes: Vec<&str> = spec.items("volumeLifecycleModes").iter().filter_map(Value::as_str).collect();
    let joined = |list: Vec<&str>, none: &str| if list.is_empty() { none.to_owned() } else { list.join(",") };
    vec![
        meta::name(driver).into(),
        spec["attachRequired"].as_bool().unwrap_or(true).into(),
        spec.flag("podInfoOnMount").into(),
        spec.flag("storageCapacity").into(),
        joined(tokens, "<unset>").into(),
        spec.flag("requiresRepublish").into(),
        joined(modes, NONE).into(),
        age(driver, now),
    ]
}

pub(super) fn node(node: &Value, now: Timestamp) -> Vec<Value> {
    vec![meta::name(node).into(), node["spec"].items("drivers").len().into(), age(node, now)]
}

pub(super) fn capacity(capacity: &Value, _: Timestamp) -> Vec<Value> {
    let room = if capacity.has("capacity") { capacity.text("capacity") } else { "<unset>" };
    vec![meta::name(capacity).into(), capacity.text("storageClassName").into(), room.into()]
}

pub(super) fn attachment(attachment: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &attachment["spec"];
    vec![
        meta::name(attachment).into(),
        spec.text("attacher").into(),
        spec["source"].text("persistentVolumeName").into(),
        spec.text("nodeName").into(),
        attachment["status"].flag("attached").into(),
        age(attachment, now),
    ]
}
