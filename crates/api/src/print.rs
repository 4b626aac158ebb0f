//! What the cells of several kinds have in common.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::meta;
use crate::selector::LabelSelector;
use crate::time;
use crate::value::Read;

pub(crate) const NONE: &str = "<none>";

/// How long ago an object was made.
pub(crate) fn age(object: &Value, now: Timestamp) -> Value {
    time::age(&object["metadata"]["creationTimestamp"], now).into()
}

/// `text`, or `<none>`.
pub(crate) fn or_none(text: &str) -> Value {
    if text.is_empty() { NONE.into() } else { text.into() }
}

/// `a=b,c=d`, or `<none>`.
pub(crate) fn labels(map: &Value) -> Value {
    let list: Vec<String> = meta::strings(map).map(|(k, v)| format!("{k}={v}")).collect();
    or_none(&list.join(","))
}

/// A `meta/v1` LabelSelector as kubectl writes one.
pub(crate) fn selector(value: &Value) -> Value {
    match LabelSelector::from_json(value) {
        Ok(selector) => or_none(&selector.to_string()),
        Err(_) => "<error>".into(),
    }
}

/// The names and the images of a pod template's containers.
pub(crate) fn containers(template: &Value) -> [Value; 2] {
    let list = |field: &str| {
        let all: Vec<&str> = template["spec"].items("containers").iter().map(|c| c.text(field)).collect();
        Value::from(all.join(","))
    };
    [list("name"), list("image")]
}

/// At most three items of a list, and how many there are besides.
pub(crate) fn some_of(items: &[String], empty: &str) -> String {
    const MOST: usize = 3;
    match items.len() {
        0 => empty.to_owned(),
        n if n > MOST => format!("{} + {} more...", items[..MOST].join(","), n - MOST),
        _ => items.join(","),
    }
}

/// The addresses and names where what has that status can be reached from outside, sorted.
pub(crate) fn points(status: &Value) -> Vec<&str> {
    let points = status["loadBalancer"].items("ingress").iter();
    let found: BTreeSet<&str> =
        points.map(|point| if point.has("ip") { point.text("ip") } else { point.text("hostname") }).collect();
    found.into_iter().filter(|point| !point.is_empty()).collect()
}

/// `10.0.0.1:80`, `[fd00::1]:80`
pub(crate) fn host_port(host: &str, port: i64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
