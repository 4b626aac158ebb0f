//! The page of a pod, and of the pod in a template.

use serde_json::Value;

use super::page::{Page, joined, list, or_none, text, time};

/// A pod.
pub(super) fn pod(page: &mut Page, pod: &Value) {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    page.name(pod);
    page.line(0, "Priority", &spec["priority"].as_i64().unwrap_or(0).to_string());
    page.line(0, "Service Account", &or_none(&spec["serviceAccountName"]));
    let node = text(&spec["nodeName"]);
    let place = if node.is_empty() { "<none>".to_owned() } else { format!("{node}/{}", text(&status["hostIP"])) };
    page.line(0, "Node", &place);
    if status["startTime"].is_string() {
        page.line(0, "Start Time", &time(&status["startTime"]));
    }
    page.marks(pod);
    match &pod["metadata"]["deletionTimestamp"] {
        Value::Null => page.line(0, "Status", &text(&status["phase"])),
        at => {
            page.line(0, "Status", &format!("Terminating (since {})", time(at)));
            let grace = &pod["metadata"]["deletionGracePeriodSeconds"];
            page.line(0, "Termination Grace Period", &format!("{}s", text(grace)));
        }
    }
    for (label, field) in [("Reason", "reason"), ("Message", "message")] {
        if status[field].is_string() {
            page.line(0, label, &text(&status[field]));
        }
    }
    page.line(0, "IP", &text(&status["podIP"]));
    if list(&status["podIPs"]).next().is_some() {
        page.raw(0, "IPs:");
        list(&status["podIPs"]).for_each(|one| page.line(1, "IP", &text(&one["ip"])));
    } else {
        page.line(0, "IPs", "<none>");
    }
    owner(page, pod);
    inside(page, 0, spec, Some(status));
    conditions(page, &status["conditions"], &["Type", "Status"]);
    volumes(page, 0, &spec["volumes"]);
    page.line(0, "QoS Class", &text(&status["qosClass"]));
    page.map(0, "Node-Selectors", &spec["nodeSelector"], "=");
    tolerations(page, 0, &spec["tolerations"]);
}

/// Who owns the object.
pub(super) fn owner(page: &mut Page, object: &Value) {
    let owners = &object["metadata"]["ownerReferences"];
    if let Some(owner) = list(owners).find(|owner| owner["controller"] == true) {
        page.line(0, "Controlled By", &format!("{}/{}", text(&owner["kind"]), text(&owner["name"])));
    }
}

/// Types and statuses.
pub(super) fn conditions(page: &mut Page, conditions: &Value, headers: &[&str]) {
    if list(conditions).next().is_none() {
        return;
    }
    page.raw(0, "Conditions:");
    page.raw(1, &headers.join("\t"));
    for one in list(conditions) {
        let cells: Vec<String> = headers.iter().map(|header| text(&one[header.to_lowercase()])).collect();
        page.raw(1, &cells.join("\t"));
    }
}

/// The containers of a pod or template.
pub(super) fn inside(page: &mut Page, level: usize, spec: &Value, status: Option<&Value>) {
    for (heading, field, of) in [
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
    ] {
        if list(&spec[field]).next().is_none() {
            continue;
        }
        page.raw(level, &format!("{heading}:"));
        for one in list(&spec[field]) {
            let held = status.and_then(|status| list(&status[of]).find(|held| held["name"] == one["name"]));
            container(page, level + 1, one, held);
        }
    }
}

fn container(page: &mut Page, level: usize, one: &Value, status: Option<&Value>) {
    page.raw(level, &format!("{}:", text(&one["name"])));
    let level = level + 1;
    if let Some(status) = status {
        page.line(level, "Container ID", &text(&status["containerID"]));
    }
    page.line(level, "Image", &text(&one["image"]));
    if let Some(status) = status {
        page.line(level, "Image ID", &text(&status["imageID"]));
    }
    let ports = |field: &str| {
        let all: Vec<String> = list(&one["ports"])
            .map(|port| {
                let protocol = port["protocol"].as_str().unwrap_or("TCP");
                format!("{}/{protocol}", port[field].as_u64().unwrap_or(0))
            })
            .collect();
        if all.is_empty() { "<none>".to_owned() } else { all.join(", ") }
    };
    let plural = if list(&one["ports"]).count() > 1 { "s" } else { "" };
    page.line(level, &format!("Port{plural}"), &ports("containerPort"));
    page.line(level, &format!("Host Port{plural}"), &ports("hostPort"));
    for (label, field) in [("Command", "command"), ("Args", "args")] {
        if list(&one[field]).next().is_some() {
            page.raw(level, &format!("{label}:"));
            list(&one[field]).for_each(|word| {
                text(word).lines().for_each(|line| page.raw(level + 1, line));
            });
        }
    }
    if let Some(status) = status {
        state(page, level, "State", &status["state"]);
        if status["lastState"].as_object().is_some_and(|last| !last.is_empty()) {
            state(page, level, "Last State", &status["lastState"]);
        }
        page.line(level, "Ready", if status["ready"] == true { "True" } else { "False" });
        page.line(level, "Restart Count", &text(&status["restartCount"]));
    }
    resources(page, level, &one["resources"]);
    for (label, field) in [("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")]
    {
        if one[field].is_object() {
            page.line(level, label, &probe(&one[field]));
        }
    }
    environment(page, level, one);
    mounts(page, level, one);
}

fn state(page: &mut Page, level: usize, label: &str, state: &Value) {
    if let Some(running) = state.get("running") {
        page.line(level, label, "Running");
        page.line(level + 1, "Started", &time(&running["startedAt"]));
    } else if let Some(ended) = state.get("terminated") {
        page.line(level, label, "Terminated");
        for (label, field) in [("Reason", "reason"), ("Message", "message")] {
            if ended[field].is_string() {
                page.line(level + 1, label, &text(&ended[field]));
            }
        }
        page.line(level + 1, "Exit Code", &text(&ended["exitCode"]));
        page.line(level + 1, "Started", &time(&ended["startedAt"]));
        page.line(level + 1, "Finished", &time(&ended["finishedAt"]));
    } else {
        page.line(level, label, "Waiting");
        if let Some(reason) = state["waiting"]["reason"].as_str() {
            page.line(level + 1, "Reason", reason);
        }
    }
}

fn resources(page: &mut Page, level: usize, resources: &Value) {
    for (label, field) in [("Limits", "limits"), ("Requests", "requests")] {
        if let Some(map) = resources[field].as_object().filter(|map| !map.is_empty()) {
            page.raw(level, &format!("{label}:"));
            map.iter().for_each(|(key, value)| page.line(level + 1, key, &text(value)));
        }
    }
}

fn probe(probe: &Value) -> String {
    let number = |field: &str, usual: i64| probe[field].as_i64().unwrap_or(usual);
    let times = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        number("initialDelaySeconds", 0),
        number("timeoutSeconds", 1),
        number("periodSeconds", 10),
        number("successThreshold", 1),
        number("failureThreshold", 3)
    );
    let (http, tcp) = (&probe["httpGet"], &probe["tcpSocket"]);
    if let Some(command) = probe["exec"]["command"].as_array() {
        let words: Vec<String> = command.iter().map(text).collect();
        return format!("exec [{}] {times}", words.join(" "));
    }
    if http.is_object() {
        let scheme = http["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
        let place = format!("{}:{}{}", text(&http["host"]), text(&http["port"]), text(&http["path"]));
        return format!("http-get {scheme}://{place} {times}");
    }
    if tcp.is_object() {
        return format!("tcp-socket {}:{} {times}", text(&tcp["host"]), text(&tcp["port"]));
    }
    if probe["grpc"].is_object() {
        return format!("grpc <pod>:{} {times}", text(&probe["grpc"]["port"]));
    }
    format!("unknown {times}")
}

fn environment(page: &mut Page, level: usize, one: &Value) {
    if list(&one["envFrom"]).next().is_some() {
        page.raw(level, "Environment Variables from:");
        for from in list(&one["envFrom"]) {
            let (kind, of) = if from["secretRef"].is_object() {
                ("Secret", &from["secretRef"])
            } else {
                ("ConfigMap", &from["configMapRef"])
            };
            let optional = of["optional"] == true;
            page.raw(level + 1, &format!("{}\t{kind}\tOptional: {optional}", text(&of["name"])));
        }
    }
    if list(&one["env"]).next().is_none() {
        return page.line(level, "Environment", "<none>");
    }
    page.raw(level, "Environment:");
    for variable in list(&one["env"]) {
        let from = &variable["valueFrom"];
        let by_key = |field: &str, kind: &str| {
            let of = from[field].as_object()?;
            let optional = of.get("optional").is_some_and(|optional| *optional == true);
            let part = |key: &str| of.get(key).map(text).unwrap_or_default();
            Some(format!("<set to the key '{}' in {kind} '{}'>  Optional: {optional}", part("key"), part("name")))
        };
        let value = by_key("secretKeyRef", "secret").or_else(|| by_key("configMapKeyRef", "config map"));
        let value = value.unwrap_or_else(|| {
            if from["fieldRef"].is_object() {
                let api = from["fieldRef"]["apiVersion"].as_str().unwrap_or("v1");
                format!(" ({api}:{})", text(&from["fieldRef"]["fieldPath"]))
            } else if from["resourceFieldRef"].is_object() {
                text(&from["resourceFieldRef"]["resource"])
            } else {
                text(&variable["value"])
            }
        });
        page.line(level + 1, &text(&variable["name"]), &value);
    }
}

fn mounts(page: &mut Page, level: usize, one: &Value) {
    let mut all: Vec<&Value> = list(&one["volumeMounts"]).collect();
    if all.is_empty() {
        return page.line(level, "Mounts", "<none>");
    }
    all.sort_by_key(|mount| text(&mount["mountPath"]));
    page.raw(level, "Mounts:");
    for mount in all {
        let mut flags = if mount["readOnly"] == true { "ro".to_owned() } else { "rw".to_owned() };
        if let Some(path) = mount["subPath"].as_str().filter(|path| !path.is_empty()) {
            flags.push_str(&format!(",path={path:?}"));
        }
        page.raw(level + 1, &format!("{} from {} ({flags})", text(&mount["mountPath"]), text(&mount["name"])));
    }
}

/// The volumes of a pod or template.
pub(super) fn volumes(page: &mut Page, level: usize, volumes: &Value) {
    if list(volumes).next().is_none() {
        return page.line(level, "Volumes", "<none>");
    }
    page.raw(level, "Volumes:");
    for one in list(volumes) {
        page.raw(level + 1, &format!("{}:", text(&one["name"])));
        let (kind, about) = sort_of_volume(one);
        page.line(level + 2, "Type", kind);
        about.iter().for_each(|(label, value)| page.line(level + 2, label, value));
    }
}

fn sort_of_volume(one: &Value) -> (&'static str, Vec<(&'static str, String)>) {
    let optional = |of: &Value| ("Optional", (of["optional"] == true).to_string());
    if let Some(of) = one.get("configMap") {
        return ("ConfigMap (a volume populated by a ConfigMap)", vec![("Name", text(&of["name"])), optional(of)]);
    }
    if let Some(of) = one.get("secret") {
        let name = ("SecretName", text(&of["secretName"]));
        return ("Secret (a volume populated by a Secret)", vec![name, optional(of)]);
    }
    if let Some(of) = one.get("emptyDir") {
        let limit = of["sizeLimit"].as_str().unwrap_or("<unset>").to_owned();
        let about = vec![("Medium", text(&of["medium"])), ("SizeLimit", limit)];
        return ("EmptyDir (a temporary directory that shares a pod's lifetime)", about);
    }
    if let Some(of) = one.get("hostPath") {
        let about = vec![("Path", text(&of["path"])), ("HostPathType", text(&of["type"]))];
        return ("HostPath (bare host directory volume)", about);
    }
    if let Some(of) = one.get("projected") {
        let mut about = Vec::new();
        for source in list(&of["sources"]) {
            if let Some(seconds) = source["serviceAccountToken"]["expirationSeconds"].as_i64() {
                about.push(("TokenExpirationSeconds", seconds.to_string()));
            }
            about.extend(source["configMap"]["name"].as_str().map(|name| ("ConfigMapName", name.to_owned())));
            about.extend(source["secret"]["name"].as_str().map(|name| ("SecretName", name.to_owned())));
            about.extend(source.get("downwardAPI").map(|_| ("DownwardAPI", "true".to_owned())));
        }
        return ("Projected (a volume that contains injected data from multiple sources)", about);
    }
    ("<unknown>", Vec::new())
}

/// What taints are borne.
pub(super) fn tolerations(page: &mut Page, level: usize, tolerations: &Value) {
    let shown = |one: &Value| {
        let mut words = text(&one["key"]);
        if let Some(value) = one["value"].as_str().filter(|value| !value.is_empty()) {
            words.push_str(&format!("={value}"));
        }
        if let Some(effect) = one["effect"].as_str().filter(|effect| !effect.is_empty()) {
            words.push_str(&format!(":{effect}"));
        }
        if one["operator"] == "Exists" {
            words.push_str(if words.is_empty() { "op=Exists" } else { " op=Exists" });
        }
        if let Some(seconds) = one["tolerationSeconds"].as_i64() {
            words.push_str(&format!(" for {seconds}s"));
        }
        words
    };
    let all: Vec<String> = list(tolerations).map(shown).collect();
    if all.is_empty() {
        return page.line(level, "Tolerations", "<none>");
    }
    for (at, one) in all.iter().enumerate() {
        page.raw(level, &format!("{}\t{one}", if at == 0 { "Tolerations:" } else { "" }));
    }
}

/// A selector on one line.
pub(super) fn selector(selector: &Value) -> String {
    let mut terms = Vec::new();
    if selector["matchLabels"].as_object().is_some_and(|map| !map.is_empty()) {
        terms.push(joined(&selector["matchLabels"]));
    }
    for one in list(&selector["matchExpressions"]) {
        let values: Vec<String> = list(&one["values"]).map(text).collect();
        let key = text(&one["key"]);
        terms.push(match one["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key,
        });
    }
    if terms.is_empty() { "<none>".to_owned() } else { terms.join(",") }
}
