//! The kinds of `resource.k8s.io`: devices, and who has claimed them.

mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::{part, spec_changed, usual};
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Scope};
use crate::value::{Read as _, existing, fill, items_mut};

const GROUP: &str = "resource.k8s.io";
const CLAIM: &str = "io.k8s.api.resource.v1.ResourceClaim";
const PLAIN: &[Column] = &[Column::NAME, Column::AGE];

pub(super) static DEVICE_CLASSES: Resource = usual(
    [GROUP, "DeviceClass", "deviceclasses", "deviceclass"],
    Scope::Cluster,
    "io.k8s.api.resource.v1.DeviceClass",
    PLAIN,
    Rules { validate: validate::class, generation: Some(spec_changed), ..Rules::PLAIN },
);

pub(super) static RESOURCE_CLAIMS: Resource = Resource {
    subresources: &[part("status", GROUP, "ResourceClaim", CLAIM)],
    ..usual(
        [GROUP, "ResourceClaim", "resourceclaims", "resourceclaim"],
        Scope::Namespaced,
        CLAIM,
        &[Column::NAME, Column::new("State", "Whether it has devices, and users."), Column::AGE],
        Rules {
            default: |claim| {
                if let Some(spec) = existing(claim, "spec") {
                    default_claim(spec);
                }
            },
            validate: validate::claim,
            validate_update: validate::claim_update,
            validate_part: |_, new, old, errors| validate::claim_status(new, old, errors),
            initial_status: Some(|_| json!({})),
            cells: |claim: &Value, now: Timestamp| {
                vec![meta::name(claim).into(), state(claim).into(), print::age(claim, now)]
            },
            warn: |_| {
                Some(
                    "this server's scheduler does not allocate devices: the claim stays pending until somebody else \
                     writes its status"
                        .to_owned(),
                )
            },
            ..Rules::PLAIN
        },
    )
};

pub(super) static RESOURCE_CLAIM_TEMPLATES: Resource = usual(
    [GROUP, "ResourceClaimTemplate", "resourceclaimtemplates", "resourceclaimtemplate"],
    Scope::Namespaced,
    "io.k8s.api.resource.v1.ResourceClaimTemplate",
    PLAIN,
    Rules {
        default: |template| {
            if let Some(spec) = existing(template, "spec").and_then(|spec| existing(spec, "spec")) {
                default_claim(spec);
            }
        },
        validate: validate::template,
        validate_update: validate::claim_update,
        ..Rules::PLAIN
    },
);

pub(super) static RESOURCE_SLICES: Resource = usual(
    [GROUP, "ResourceSlice", "resourceslices", "resourceslice"],
    Scope::Cluster,
    "io.k8s.api.resource.v1.ResourceSlice",
    &[
        Column::NAME,
        Column::new("Node", "The node that has the devices."),
        Column::new("Driver", "Who provides them."),
        Column::new("Pool", "The pool they are in."),
        Column::AGE,
    ],
    Rules {
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
);

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
