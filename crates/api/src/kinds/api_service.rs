//! APIService: which server answers for a group and version. Those of this server are there from the
//! start and always available; others' requests are not passed on, which their condition says.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Subresource, Unheeded};
use crate::validate::names;
use crate::value::{Read as _, existing, fill};

const GROUP: &str = "apiregistration.k8s.io";
const TYPE: &str = "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService";
const SPEC: Path<'static> = Path::new("spec");

pub(super) static API_SERVICES: Resource = Resource {
    group: GROUP,
    kind: "APIService",
    plural: "apiservices",
    singular: "apiservice",
    categories: &["api-extensions"],
    subresources: &[Subresource::of_kind("status", GROUP, "APIService", TYPE)],
    type_name: TYPE,
    unheeded: Some(
        Unheeded::but("stays unavailable: skiff does not pass requests on to other API servers yet")
            .given("/spec/service", ""),
    ),
    columns: &[
        Column::NAME,
        Column::new("Service", "The Service that answers for it."),
        Column::new("Available", "Whether it can be asked."),
        Column::AGE,
    ],
    rules: Rules {
        name: names::segment_name,
        default: |service| {
            if let Some(service) = existing(service, "spec").and_then(|spec| existing(spec, "service")) {
                fill(service, "port", 443);
            }
        },
        validate,
        initial_status: Some(initial_status),
        cells,
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

fn initial_status(service: &Value) -> Value {
    let (status, reason, message) = if service["spec"]["service"].is_object() {
        ("False", "AggregationNotSupported", "this server does not pass requests on to other API servers")
    } else {
        ("True", "Local", "Local APIServices are always available")
    };
    json!({"conditions": [{
        "type": "Available",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": meta::creation_timestamp(service),
    }]})
}

fn validate(service: &Value, errors: &mut Vec<FieldError>) {
    let spec = &service["spec"];
    let (group, version) = (spec.text("group"), spec.text("version"));
    let (required, name) = (format!("{version}.{group}"), meta::name(service));
    if name != required {
        let detail = format!("must be `spec.version+\".\"+spec.group`: {required:?}");
        errors.push(FieldError::invalid(&Path::new("metadata").child("name"), name, detail));
    }
    let path = SPEC.child("group");
    if group.is_empty() {
        if version != "v1" {
            let detail = "only v1 may have an empty group and it better be legacy kube";
            errors.push(FieldError::required(&path, detail));
        }
    } else {
        super::common::problems(names::dns_subdomain(group), &path, group, errors);
    }
    super::common::problems(names::dns_1035_label(version), &SPEC.child("version"), version, errors);
    for (field, most) in [("groupPriorityMinimum", 20000), ("versionPriority", 1000)] {
        let number = spec.int(field).unwrap_or_default();
        if number <= 0 || number > most {
            let detail = format!("must be positive and less than {most}");
            errors.push(FieldError::invalid(&SPEC.child(field), number, detail));
        }
    }
    let insecure = spec.flag("insecureSkipTLSVerify");
    let insecure_path = SPEC.child("insecureSkipTLSVerify");
    if !spec["service"].is_object() {
        if spec.has("caBundle") {
            let bytes = format!("{} bytes", spec.text("caBundle").len() / 4 * 3);
            errors.push(FieldError::invalid(
                &SPEC.child("caBundle"),
                bytes,
                "local APIServices may not have a caBundle",
            ));
        }
        if insecure {
            let detail = "local APIServices may not have insecureSkipTLSVerify";
            errors.push(FieldError::invalid(&insecure_path, true, detail));
        }
        return;
    }
    let at = SPEC.child("service");
    for field in ["namespace", "name"] {
        if !spec["service"].has(field) {
            errors.push(FieldError::required(&at.child(field), ""));
        }
    }
    if let Some(port) = spec["service"].int("port").filter(|port| !(1..=65535).contains(port)) {
        let detail = format!("port {port} must be between 1 and 65535");
        errors.push(FieldError::invalid(&at.child("port"), port, detail));
    }
    if insecure && spec.has("caBundle") {
        errors.push(FieldError::invalid(&insecure_path, true, "may not be true if caBundle is present"));
    }
}

fn cells(service: &Value, now: Timestamp) -> Vec<Value> {
    let of = &service["spec"]["service"];
    let place =
        if of.is_object() { format!("{}/{}", of.text("namespace"), of.text("name")) } else { "Local".to_owned() };
    let condition =
        service["status"].items("conditions").iter().find(|condition| condition.text("type") == "Available");
    let available = match condition {
        None => "Unknown".to_owned(),
        Some(condition) if condition.text("status") == "True" => "True".to_owned(),
        Some(condition) => format!("{} ({})", condition.text("status"), condition.text("reason")),
    };
    vec![meta::name(service).into(), place.into(), available.into(), print::age(service, now)]
}
