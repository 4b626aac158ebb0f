//! What a Pod, or a pod template, does not say.

use serde_json::{Value, json};

use crate::value::{Read as _, existing, fill, items_mut, object, put};

/// Modes of files in volumes: 0644.
const FILE_MODE: i64 = 0o644;

pub(super) fn pod(pod: &mut Value) {
    let Some(inner) = object(pod, "spec") else { return };
    spec(inner);
    fill(inner, "enableServiceLinks", true);
    for list in ["containers", "initContainers"] {
        for container in items_mut(inner, list) {
            requests(container);
        }
    }
}

/// What is not limited more closely is asked for as it is limited.
fn requests(container: &mut Value) {
    let limits: Vec<(String, Value)> =
        container["resources"].entries("limits").map(|(k, v)| (k.to_owned(), v.clone())).collect();
    if limits.is_empty() {
        return;
    }
    let Some(requests) = object(container, "resources").and_then(|r| object(r, "requests")) else { return };
    for (name, limit) in limits {
        fill(requests, &name, limit);
    }
}

/// The defaults of a pod's spec, in a pod or in a template.
pub(in crate::kinds) fn spec(spec: &mut Value) {
    fill(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "restartPolicy", "Always");
    fill(spec, "securityContext", json!({}));
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill(spec, "schedulerName", "default-scheduler");
    service_account(spec);
    let host_network = spec.flag("hostNetwork");
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for container in items_mut(spec, list) {
            self::container(container, host_network && list != "ephemeralContainers");
        }
    }
    for volume in items_mut(spec, "volumes") {
        self::volume(volume);
    }
}

/// The account has an old name, too.
fn service_account(spec: &mut Value) {
    let (new, old) = (spec.text("serviceAccountName").to_owned(), spec.text("serviceAccount").to_owned());
    match (new.is_empty(), old.is_empty()) {
        (false, _) => put(spec, "serviceAccount", new),
        (true, false) => put(spec, "serviceAccountName", old),
        _ => {}
    }
}

fn container(container: &mut Value, host_network: bool) {
    let policy = if image_is_latest(container.text("image")) { "Always" } else { "IfNotPresent" };
    fill(container, "imagePullPolicy", policy);
    fill(container, "terminationMessagePath", "/dev/termination-log");
    fill(container, "terminationMessagePolicy", "File");
    fill(container, "resources", json!({}));
    for port in items_mut(container, "ports") {
        fill(port, "protocol", "TCP");
        let inside = port.int("containerPort").filter(|_| host_network && port.int("hostPort").unwrap_or(0) == 0);
        if let Some(number) = inside {
            put(port, "hostPort", number);
        }
    }
    for variable in items_mut(container, "env") {
        if let Some(field) = existing(variable, "valueFrom").and_then(|from| existing(from, "fieldRef")) {
            fill(field, "apiVersion", "v1");
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = existing(container, name) {
            self::probe(probe);
        }
    }
    for name in ["postStart", "preStop"] {
        if let Some(handler) = existing(container, "lifecycle").and_then(|l| existing(l, name)) {
            http_get(handler);
        }
    }
}

/// Whether an image is named without a tag or digest, or with the tag `latest`.
fn image_is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn probe(probe: &mut Value) {
    fill(probe, "timeoutSeconds", 1);
    fill(probe, "periodSeconds", 10);
    fill(probe, "successThreshold", 1);
    fill(probe, "failureThreshold", 3);
    for (field, default) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        // Zero says nothing, either.
        if probe.int(field) == Some(0) {
            put(probe, field, default);
        }
    }
    http_get(probe);
    if let Some(grpc) = existing(probe, "grpc") {
        fill(grpc, "service", "");
    }
}

fn http_get(handler: &mut Value) {
    if let Some(get) = existing(handler, "httpGet") {
        fill(get, "path", "/");
        fill(get, "scheme", "HTTP");
    }
}

fn volume(volume: &mut Value) {
    let has_source = volume.as_object().is_some_and(|fields| fields.keys().any(|key| key != "name"));
    if !has_source {
        put(volume, "emptyDir", json!({}));
    }
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(source) = existing(volume, source) {
            fill(source, "defaultMode", FILE_MODE);
        }
    }
    crate::kinds::volume::default_source(volume);
    if let Some(claim) = existing(volume, "ephemeral").and_then(|of| existing(of, "volumeClaimTemplate")) {
        crate::kinds::volume::default_claim(claim);
    }
    if let Some(image) = existing(volume, "image") {
        let policy = if image_is_latest(image.text("reference")) { "Always" } else { "IfNotPresent" };
        fill(image, "pullPolicy", policy);
    }
    if let Some(downward) = existing(volume, "downwardAPI") {
        downward_items(downward);
    }
    if let Some(projected) = existing(volume, "projected") {
        for source in items_mut(projected, "sources") {
            if let Some(token) = existing(source, "serviceAccountToken") {
                fill(token, "expirationSeconds", 3600);
            }
            if let Some(downward) = existing(source, "downwardAPI") {
                downward_items(downward);
            }
        }
    }
}

fn downward_items(downward: &mut Value) {
    for item in items_mut(downward, "items") {
        if let Some(field) = existing(item, "fieldRef") {
            fill(field, "apiVersion", "v1");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_without_a_fixed_version_are_always_pulled() {
        let table = [
            ("httpenv", true),
            ("httpenv:latest", true),
            ("httpenv:1", false),
            ("registry:5000/httpenv", true),
            ("registry:5000/httpenv:2", false),
            ("httpenv@sha256:00", false),
        ];
        for (image, latest) in table {
            assert_eq!(image_is_latest(image), latest, "{image}");
        }
    }
}
