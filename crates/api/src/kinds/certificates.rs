//! CertificateSigningRequest: a key's way to a certificate, by way of those who approve it.

mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::meta;
use crate::print;
use crate::resource::{Column, PartRules, Resource, Rules, Subresource, Unheeded};
use crate::time;
use crate::validate::names;
use crate::value::{Read as _, items_mut, object, put, take};

const GROUP: &str = "certificates.k8s.io";
const KIND: &str = "CertificateSigningRequest";
const TYPE: &str = "io.k8s.api.certificates.v1.CertificateSigningRequest";
/// What only those who approve may say.
const DECISIONS: [&str; 2] = ["Approved", "Denied"];

pub(super) static SIGNING_REQUESTS: Resource = Resource {
    group: GROUP,
    kind: KIND,
    plural: "certificatesigningrequests",
    singular: "certificatesigningrequest",
    short_names: &["csr"],
    subresources: &[
        Subresource::of_kind("approval", GROUP, KIND, TYPE),
        Subresource::of_kind("status", GROUP, KIND, TYPE),
    ],
    type_name: TYPE,
    unheeded: Some(Unheeded::but("nothing signs it: skiff has no signer of its own yet, so that an approved request is up to a controller of yours")
.given("/spec/signerName", "kubernetes.io/")),
    columns: &[
        Column::NAME,
        Column::AGE,
        Column::new("SignerName", "Who is to sign it."),
        Column::new("Requestor", "Who asks."),
        Column::new("RequestedDuration", "For how long it is to be valid."),
        Column::new("Condition", "How far it is."),
    ],
    rules: Rules {
        name: names::segment_name,
        validate: validate::request,
        prepare_update: |new, old| put(new, "spec", old["spec"].clone()),
        initial_status: Some(|_| json!({})),
        parts: &[
            ("approval", PartRules::Status { prepare: prepare_approval, validate: validate::conditions }),
            ("status", PartRules::Status { prepare: prepare_status, validate: validate::status }),
        ],
        fields: &[("spec.signerName", "/spec/signerName")],
        cells,
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

/// Who approves decides, and brings no certificate.
fn prepare_approval(new: &mut Value, old: &Value, now: Timestamp) {
    let Some(status) = object(new, "status") else { return };
    match old["status"].get("certificate") {
        Some(certificate) => put(status, "certificate", certificate.clone()),
        None => take(status, "certificate"),
    }
    date(status, old, now);
}

/// Who signs brings the certificate, and does not decide.
fn prepare_status(new: &mut Value, old: &Value, now: Timestamp) {
    let Some(status) = object(new, "status") else { return };
    let kept = |condition: &&Value| DECISIONS.contains(&condition.text("type"));
    let decided = old["status"].items("conditions").iter().filter(kept);
    let others = status.items("conditions").iter().filter(|condition| !kept(condition));
    let all: Vec<Value> = decided.chain(others).cloned().collect();
    if !all.is_empty() {
        put(status, "conditions", all);
    }
    date(status, old, now);
}

/// Says when conditions came and changed.
fn date(status: &mut Value, old: &Value, now: Timestamp) {
    for condition in items_mut(status, "conditions") {
        if !condition.has("lastUpdateTime") {
            put(condition, "lastUpdateTime", time::format(now));
        }
        if !condition.has("lastTransitionTime") {
            let same = |before: &&Value| before["type"] == condition["type"] && before["status"] == condition["status"];
            let before = old["status"].items("conditions").iter().find(same);
            let since = before.map(|before| before.text("lastTransitionTime").to_owned());
            let since = since.filter(|since| !since.is_empty()).unwrap_or_else(|| time::format(now));
            put(condition, "lastTransitionTime", since);
        }
    }
}

fn cells(request: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &request["spec"];
    let signer = if spec.has("signerName") { spec.text("signerName") } else { print::NONE };
    let lasts = spec.int("expirationSeconds").map_or_else(|| print::NONE.to_owned(), time::human_duration);
    vec![
        meta::name(request).into(),
        print::age(request, now),
        signer.into(),
        spec.text("username").into(),
        lasts.into(),
        condition(request).into(),
    ]
}

fn condition(request: &Value) -> String {
    let status = &request["status"];
    let has = |kind: &str| status.items("conditions").iter().any(|condition| condition.text("type") == kind);
    let mut shown = DECISIONS.iter().rev().find(|kind| has(kind)).copied().unwrap_or("Pending").to_owned();
    if has("Failed") {
        shown.push_str(",Failed");
    }
    if status.has("certificate") {
        shown.push_str(",Issued");
    }
    shown
}
