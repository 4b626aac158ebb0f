//! The row of a Service.

use serde_json::Value;

use crate::meta;
use crate::print;
use crate::value::Read as _;

pub(super) fn cells(service: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let spec = &service["spec"];
    let ip = spec.items("clusterIPs").first().and_then(Value::as_str).unwrap_or(spec.text("clusterIP"));
    vec![
        meta::name(service).into(),
        spec.text("type").into(),
        print::or_none(ip),
        external_ip(service).into(),
        ports(spec),
        print::age(service, now),
        print::labels(&spec["selector"]),
    ]
}

fn external_ip(service: &Value) -> String {
    let spec = &service["spec"];
    let list: Vec<&str> = spec.items("externalIPs").iter().filter_map(Value::as_str).collect();
    match spec.text("type") {
        "ExternalName" => spec.text("externalName").to_owned(),
        "LoadBalancer" => {
            let all = [print::points(&service["status"]), list].concat();
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        _ if list.is_empty() => print::NONE.to_owned(),
        _ => list.join(","),
    }
}

fn ports(spec: &Value) -> Value {
    let list: Vec<String> = spec
        .items("ports")
        .iter()
        .map(|port| {
            let (number, protocol) = (port.int("port").unwrap_or_default(), port.text("protocol"));
            match port.int("nodePort") {
                Some(node) if node > 0 => format!("{number}:{node}/{protocol}"),
                _ => format!("{number}/{protocol}"),
            }
        })
        .collect();
    print::or_none(&list.join(","))
}
