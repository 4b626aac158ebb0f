//! The pages of namespaces, nodes, configuration and accounts.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::page::{Page, list, or_none, text, time};

/// A namespace.
pub(super) fn namespace(page: &mut Page, namespace: &Value) {
    page.name(namespace);
    page.marks(namespace);
    page.line(0, "Status", &text(&namespace["status"]["phase"]));
    page.raw(0, "");
    page.raw(0, "No resource quota.");
    page.raw(0, "");
    page.raw(0, "No LimitRange resource.");
}

/// A config map.
pub(super) fn config_map(page: &mut Page, map: &Value) {
    page.name(map);
    page.marks(map);
    page.raw(0, "\nData\n====");
    for (key, value) in map["data"].as_object().into_iter().flatten() {
        page.raw(0, &format!("{key}:\n----\n{}\n", text(value)));
    }
    page.raw(0, "\nBinaryData\n====");
    for (key, value) in map["binaryData"].as_object().into_iter().flatten() {
        page.raw(0, &format!("{key}: {} bytes", size(value)));
    }
    page.raw(0, "");
}

/// A secret; its values are not shown.
pub(super) fn secret(page: &mut Page, secret: &Value) {
    page.name(secret);
    page.marks(secret);
    page.raw(0, "");
    page.line(0, "Type", &text(&secret["type"]));
    page.raw(0, "\nData\n====");
    for (key, value) in secret["data"].as_object().into_iter().flatten() {
        page.line(0, key, &format!("{} bytes", size(value)));
    }
}

fn size(value: &Value) -> usize {
    value.as_str().and_then(|text| STANDARD.decode(text).ok()).map_or(0, |bytes| bytes.len())
}

/// A service account.
pub(super) fn service_account(page: &mut Page, account: &Value) {
    page.name(account);
    page.marks(account);
    for (label, field) in [("Image pull secrets", "imagePullSecrets"), ("Mountable secrets", "secrets")] {
        let names: Vec<String> = list(&account[field]).map(|one| text(&one["name"])).collect();
        page.line(0, label, &or_none(&Value::String(names.join(", "))));
    }
    page.line(0, "Tokens", "<none>");
}

/// A node with its pods.
pub(super) fn node(page: &mut Page, node: &Value, pods: &Value) {
    let (spec, status) = (&node["spec"], &node["status"]);
    page.name(node);
    let roles: Vec<&str> = node["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    page.line(0, "Roles", &or_none(&Value::String(roles.join(","))));
    page.marks(node);
    page.line(0, "CreationTimestamp", &time(&node["metadata"]["creationTimestamp"]));
    taints(page, &spec["taints"]);
    page.line(0, "Unschedulable", &(spec["unschedulable"] == true).to_string());
    let condition = |one: &Value| {
        let times = [time(&one["lastHeartbeatTime"]), time(&one["lastTransitionTime"])];
        let [beat, change] = times;
        vec![text(&one["type"]), text(&one["status"]), beat, change, text(&one["reason"]), text(&one["message"])]
    };
    let headers = ["Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"];
    page.table("Conditions", &headers, &list(&status["conditions"]).map(condition).collect::<Vec<_>>());
    page.raw(0, "Addresses:");
    list(&status["addresses"]).for_each(|one| page.line(1, &text(&one["type"]), &text(&one["address"])));
    for (label, field) in [("Capacity", "capacity"), ("Allocatable", "allocatable")] {
        page.raw(0, &format!("{label}:"));
        status[field].as_object().into_iter().flatten().for_each(|(key, value)| page.line(1, key, &text(value)));
    }
    page.raw(0, "System Info:");
    let about = [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
        ("Kube-Proxy Version", "kubeProxyVersion"),
    ];
    about.iter().for_each(|(label, field)| page.line(1, label, &text(&status["nodeInfo"][field])));
    if spec["podCIDR"].is_string() {
        page.line(0, "PodCIDR", &text(&spec["podCIDR"]));
        page.line(0, "PodCIDRs", &list(&spec["podCIDRs"]).map(text).collect::<Vec<_>>().join(","));
    }
    running(page, pods);
}

fn taints(page: &mut Page, taints: &Value) {
    if list(taints).next().is_none() {
        return page.line(0, "Taints", "<none>");
    }
    for (at, one) in list(taints).enumerate() {
        let value = one["value"].as_str().map_or_else(String::new, |value| format!("={value}"));
        let head = if at == 0 { "Taints:" } else { "" };
        page.raw(0, &format!("{head}\t{}{value}:{}", text(&one["key"]), text(&one["effect"])));
    }
}

fn running(page: &mut Page, pods: &Value) {
    let alive = |pod: &&Value| pod["status"]["phase"] != "Succeeded" && pod["status"]["phase"] != "Failed";
    let alive: Vec<&Value> = list(&pods["items"]).filter(alive).collect();
    page.line(0, "Non-terminated Pods", &format!("({} in total)", alive.len()));
    page.raw(1, "Namespace\tName\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits");
    page.raw(1, "---------\t----\t------------\t----------\t---------------\t-------------");
    for pod in alive {
        let sum = |field: &str, resource: &str| {
            let all: Vec<String> = list(&pod["spec"]["containers"])
                .filter_map(|one| one["resources"][field][resource].as_str().map(str::to_owned))
                .collect();
            if all.is_empty() { "0".to_owned() } else { all.join("+") }
        };
        let cells = [
            text(&pod["metadata"]["namespace"]),
            text(&pod["metadata"]["name"]),
            sum("requests", "cpu"),
            sum("limits", "cpu"),
            sum("requests", "memory"),
            sum("limits", "memory"),
        ];
        page.raw(1, &cells.join("\t"));
    }
}
