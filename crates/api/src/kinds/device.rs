//! The kinds of `resource.k8s.io`: devices, and who has claimed them.

mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::spec_changed;
use crate::meta;
use crate::print;
use crate::resource::{Column, PartRules, Resource, Rules, Subresource, Unheeded};
use crate::value::{Read as _, existing, fill, items_mut};

const GROUP: &str = "resource.k8s.io";
const CLAIM: &str = "io.k8s.api.resource.v1.ResourceClaim";
const PLAIN: &[Column] = &[Column::NAME, Column::AGE];

pub(super) static DEVICE_CLASSES: Resource = Resource {
    group: GROUP,
    kind: "DeviceClass",
    plural: "deviceclasses",
    singular: "deviceclass",
    type_name: "io.k8s.api.resource.v1.DeviceClass",
    unheeded: Some(Unheeded::but("nothing acts on it: skiff's scheduler does not allocate devices yet")),
    columns: PLAIN,
    rules: Rules { validate: validate::class, generation: Some(spec_changed), ..Rules::PLAIN },
    ..Resource::CLUSTER
};

pub(super) static RESOURCE_CLAIMS: Resource = Resource {
    group: GROUP,
    kind: "ResourceClaim",
    plural: "resourceclaims",
    singular: "resourceclaim",
    subresources: &[Subresource::of_kind("status", GROUP, "ResourceClaim", CLAIM)],
    type_name: CLAIM,
    unheeded: Some(Unheeded::but("stays pending: skiff's scheduler does not allocate devices yet")),
    columns: &[Column::NAME, Column::new("State", "Whether it has devices, and users."), Column::AGE],
    rules: Rules {
        default: |claim| {
            if let Some(spec) = existing(claim, "spec") {
                default_claim(spec);
            }
        },
        validate: validate::claim,
        validate_update: validate::claim_update,
        parts: &[("status", PartRules::status(validate::claim_status))],
        initial_status: Some(|_| json!({})),
        cells: |claim: &Value, now: Timestamp| {
            vec![meta::name(claim).into(), state(claim).into(), print::age(claim, now)]
        },
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

pub(super) static RESOURCE_CLAIM_TEMPLATES: Resource = Resource {
    group: GROUP,
    kind: "ResourceClaimTemplate",
    plural: "resourceclaimtemplates",
    singular: "resourceclaimtemplate",
    type_name: "io.k8s.api.resource.v1.ResourceClaimTemplate",
    unheeded: Some(Unheeded::but("nothing makes claims of it: skiff's scheduler does not allocate devices yet")),
    columns: PLAIN,
    rules: Rules {
        default: |template| {
            if let Some(spec) = existing(template, "spec").and_then(|spec| existing(spec, "spec")) {
                default_claim(spec);
            }
        },
        validate: validate::template,
        validate_update: validate::claim_update,
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

pub(super) static RESOURCE_SLICES: Resource = Resource {
    group: GROUP,
    kind: "ResourceSlice",
    plural: "resourceslices",
    singular: "resourceslice",
    type_name: "io.k8s.api.resource.v1.ResourceSlice",
    unheeded: Some(Unheeded::but("nothing acts on it: skiff's scheduler does not allocate devices yet")),
    columns: &[
        Column::NAME,
        Column::new("Node", "The node that has the devices."),
        Column::new("Driver", "Who provides them."),
        Column::new("Pool", "The pool they are in."),
        Column::AGE,
    ],
    rules: Rules {
        validate: validate::slice,
        validate_update: validate::slice_update,
        generation: Some(spec_changed),
        fields: &[("spec.driver", "/spec/driver"), ("spec.nodeName", "/spec/nodeName")],
        cells: |slice: &Value, now: Timestamp| {
            let spec = &slice["spec"];
            vec![
                meta::name(slice).into(),
                spec.text("nodeName").into(),
                spec.text("driver").into(),
                spec["pool"].text("name").into(),
                print::age(slice, now),
            ]
        },
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

fn default_claim(spec: &mut Value) {
    let Some(devices) = existing(spec, "devices") else { return };
    for request in items_mut(devices, "requests") {
        if let Some(exactly) = existing(request, "exactly") {
            default_request(exactly);
        }
        items_mut(request, "firstAvailable").for_each(default_request);
    }
}

fn default_request(request: &mut Value) {
    fill(request, "allocationMode", "ExactCount");
    if request.text("allocationMode") == "ExactCount" && request.int("count").unwrap_or_default() == 0 {
        request["count"] = json!(1);
    }
    items_mut(request, "tolerations").for_each(|toleration| fill(toleration, "operator", "Equal"));
}

fn state(claim: &Value) -> String {
    let (going, status) = (meta::deletion_timestamp(claim).is_some(), &claim["status"]);
    let mut words = Vec::new();
    if going {
        words.push("deleted");
    }
    if status["allocation"].is_object() {
        words.push("allocated");
        if status.has("reservedFor") {
            words.push("reserved");
        }
    } else if !going {
        words.push("pending");
    }
    words.join(",")
}
