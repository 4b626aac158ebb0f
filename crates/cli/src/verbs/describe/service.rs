//! The pages of services and their endpoints.

use serde_json::Value;

use super::page::{Page, joined, list, or_none, text};

/// A service with the slices of its endpoints.
pub(super) fn service(page: &mut Page, service: &Value, slices: &Value) {
    let spec = &service["spec"];
    page.name(service);
    page.marks(service);
    page.line(0, "Selector", &joined(&spec["selector"]));
    page.line(0, "Type", &text(&spec["type"]));
    for (label, field) in [("IP Family Policy", "ipFamilyPolicy")] {
        if spec[field].is_string() {
            page.line(0, label, &text(&spec[field]));
        }
    }
    let join = |values: &Value| list(values).map(text).collect::<Vec<_>>().join(",");
    if spec["ipFamilies"].is_array() {
        page.line(0, "IP Families", &join(&spec["ipFamilies"]));
    }
    page.line(0, "IP", &text(&spec["clusterIP"]));
    let ips = join(&spec["clusterIPs"]);
    page.line(0, "IPs", if ips.is_empty() { "<none>" } else { &ips });
    if list(&spec["externalIPs"]).next().is_some() {
        page.line(0, "External IPs", &join(&spec["externalIPs"]));
    }
    if spec["loadBalancerIP"].is_string() {
        page.line(0, "Desired LoadBalancer IP", &text(&spec["loadBalancerIP"]));
    }
    if spec["externalName"].is_string() {
        page.line(0, "External Name", &text(&spec["externalName"]));
    }
    let ingress = &service["status"]["loadBalancer"]["ingress"];
    if list(ingress).next().is_some() {
        let place = |one: &Value| text(one.get("ip").unwrap_or(&one["hostname"]));
        page.line(0, "LoadBalancer Ingress", &list(ingress).map(place).collect::<Vec<_>>().join(", "));
    }
    for port in list(&spec["ports"]) {
        ports(page, port, slices);
    }
    page.line(0, "Session Affinity", &text(&spec["sessionAffinity"]));
    for (label, field) in
        [("External Traffic Policy", "externalTrafficPolicy"), ("Internal Traffic Policy", "internalTrafficPolicy")]
    {
        if spec[field].is_string() {
            page.line(0, label, &text(&spec[field]));
        }
    }
}

fn ports(page: &mut Page, port: &Value, slices: &Value) {
    let name = port["name"].as_str().unwrap_or("<unset>");
    let protocol = text(&port["protocol"]);
    page.raw(0, &format!("Port:\t{name}\t{}/{protocol}", text(&port["port"])));
    page.line(0, "TargetPort", &format!("{}/{protocol}", text(&port["targetPort"])));
    if port["nodePort"].as_u64().is_some_and(|number| number > 0) {
        page.raw(0, &format!("NodePort:\t{name}\t{}/{protocol}", text(&port["nodePort"])));
    }
    page.line(0, "Endpoints", &reached(port, slices));
}

/// The addresses behind a port; of more than three the first three.
fn reached(port: &Value, slices: &Value) -> String {
    let mut all = Vec::new();
    for slice in list(&slices["items"]) {
        let wanted = port["name"].as_str().unwrap_or_default();
        let fits = |one: &&Value| one["name"].as_str().unwrap_or_default() == wanted;
        let Some(number) = list(&slice["ports"]).find(fits).and_then(|one| one["port"].as_u64()) else { continue };
        let ready = list(&slice["endpoints"]).filter(|one| one["conditions"]["ready"] != false);
        all.extend(ready.flat_map(|one| list(&one["addresses"])).map(|address| format!("{}:{number}", text(address))));
    }
    some(&all)
}

fn some(all: &[String]) -> String {
    match all.len() {
        0 => String::new(),
        1..=3 => all.join(","),
        more => format!("{} + {} more...", all[..3].join(","), more - 3),
    }
}

/// Endpoints.
pub(super) fn endpoints(page: &mut Page, endpoints: &Value) {
    page.name(endpoints);
    page.marks(endpoints);
    page.raw(0, "Subsets:");
    for subset in list(&endpoints["subsets"]) {
        let addresses = |field: &str| {
            let all: Vec<String> = list(&subset[field]).map(|one| text(&one["ip"])).collect();
            if all.is_empty() { "<none>".to_owned() } else { all.join(",") }
        };
        page.line(1, "Addresses", &addresses("addresses"));
        page.line(1, "NotReadyAddresses", &addresses("notReadyAddresses"));
        if list(&subset["ports"]).next().is_some() {
            page.raw(1, "Ports:");
            page.raw(2, "Name\tPort\tProtocol");
            page.raw(2, "----\t----\t--------");
            for port in list(&subset["ports"]) {
                let name = port["name"].as_str().unwrap_or("<unset>");
                page.raw(2, &format!("{name}\t{}\t{}", text(&port["port"]), text(&port["protocol"])));
            }
        }
        page.raw(0, "");
    }
}

/// A slice of endpoints.
pub(super) fn slice(page: &mut Page, slice: &Value) {
    page.name(slice);
    page.marks(slice);
    page.line(0, "AddressType", &text(&slice["addressType"]));
    if list(&slice["ports"]).next().is_none() {
        page.line(0, "Ports", "<unset>");
    } else {
        page.raw(0, "Ports:");
        page.raw(1, "Name\tPort\tProtocol");
        page.raw(1, "----\t----\t--------");
        for port in list(&slice["ports"]) {
            let name = port["name"].as_str().filter(|name| !name.is_empty()).unwrap_or("<unset>");
            page.raw(1, &format!("{name}\t{}\t{}", text(&port["port"]), text(&port["protocol"])));
        }
    }
    if list(&slice["endpoints"]).next().is_none() {
        return page.line(0, "Endpoints", "<none>");
    }
    page.raw(0, "Endpoints:");
    for one in list(&slice["endpoints"]) {
        let addresses: Vec<String> = list(&one["addresses"]).map(text).collect();
        page.line(1, "- Addresses", &addresses.join(","));
        page.raw(2, "Conditions:");
        let ready = one["conditions"]["ready"].as_bool().map_or_else(|| "<unset>".to_owned(), |one| one.to_string());
        page.line(3, "Ready", &ready);
        page.line(2, "Hostname", one["hostname"].as_str().unwrap_or("<unset>"));
        let target = &one["targetRef"];
        if target.is_object() {
            page.line(2, "TargetRef", &format!("{}/{}", text(&target["kind"]), text(&target["name"])));
        }
        page.line(2, "NodeName", &or_none(&one["nodeName"]));
        page.line(2, "Zone", one["zone"].as_str().unwrap_or("<unset>"));
    }
}
