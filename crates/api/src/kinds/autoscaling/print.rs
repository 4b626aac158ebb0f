//! The row of an autoscaler.

use serde_json::Value;

use crate::meta;
use crate::print;
use crate::value::Read as _;

const UNKNOWN: &str = "<unknown>";

pub(super) fn cells(autoscaler: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let (spec, status) = (&autoscaler["spec"], &autoscaler["status"]);
    let target = &spec["scaleTargetRef"];
    let least = spec.int("minReplicas").map_or_else(|| "<unset>".to_owned(), |n| n.to_string());
    vec![
        meta::name(autoscaler).into(),
        format!("{}/{}", target.text("kind"), target.text("name")).into(),
        targets(spec.items("metrics"), status.items("currentMetrics")).into(),
        least.into(),
        spec.int("maxReplicas").unwrap_or_default().into(),
        status.int("currentReplicas").unwrap_or_default().into(),
        print::age(autoscaler, now),
    ]
}

fn targets(metrics: &[Value], current: &[Value]) -> String {
    const MOST: usize = 2;
    if metrics.is_empty() {
        return print::NONE.to_owned();
    }
    let all: Vec<String> = metrics.iter().enumerate().map(|(i, m)| target(m, current.get(i))).collect();
    match all.len() {
        n if n > MOST => format!("{} + {} more...", all[..MOST].join(", "), n - MOST),
        _ => all.join(", "),
    }
}

fn target(metric: &Value, current: Option<&Value>) -> String {
    let field = match metric.text("type") {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "Pods" => "pods",
        "Object" => "object",
        "External" => "external",
        _ => return "<unknown type>".to_owned(),
    };
    let wanted = &metric[field]["target"];
    let now = current.map_or(&Value::Null, |current| &current[field]["current"]);
    let amount = |of: &Value, field: &str| text(&of[field]);
    let pair = |field: &str| format!("{}/{}", or(amount(now, field), UNKNOWN), or(amount(wanted, field), "<auto>"));
    match field {
        "resource" | "containerResource" => {
            let name = metric[field].text("name");
            if !wanted["averageValue"].is_null() {
                return format!("{name}: {}", pair("averageValue"));
            }
            let percent = |of: &Value, none: &str| {
                of.int("averageUtilization").map_or_else(|| none.to_owned(), |n| format!("{n}%"))
            };
            format!("{name}: {}/{}", percent(now, UNKNOWN), percent(wanted, "<auto>"))
        }
        "pods" => pair("averageValue"),
        _ if !wanted["averageValue"].is_null() => format!("{} (avg)", pair("averageValue")),
        _ => pair("value"),
    }
}

fn or(text: String, other: &str) -> String {
    if text.is_empty() { other.to_owned() } else { text }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
