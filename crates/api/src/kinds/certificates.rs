//! CertificateSigningRequest: a key's way to a certificate, by way of those who approve it.

mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::{part, usual};
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Scope};
use crate::time;
use crate::validate::names;
use crate::value::{Read as _, items_mut, object, put, take};

const GROUP: &str = "certificates.k8s.io";
const KIND: &str = "CertificateSigningRequest";
const TYPE: &str = "io.k8s.api.certificates.v1.CertificateSigningRequest";
/// What only those who approve may say.
const DECISIONS: [&str; 2] = ["Approved", "Denied"];

pub(super) static SIGNING_REQUESTS: Resource = Resource {
    short_names: &["csr"],
    subresources: &[part("approval", GROUP, KIND, TYPE), part("status", GROUP, KIND, TYPE)],
    ..usual(
        [GROUP, KIND, "certificatesigningrequests", "certificatesigningrequest"],
        Scope::Cluster,
        TYPE,
        &[
            Column::NAME,
            Column::AGE,
            Column::new("SignerName", "Who is to sign it."),
            Column::new("Requestor", "Who asks."),
            Column::new("RequestedDuration", "For how long it is to be valid."),
            Column::new("Condition", "How far it is."),
        ],
        Rules {
            name: names::segment_name,
            validate: validate::request,
            prepare_update: |new, old| put(new, "spec", old["spec"].clone()),
            initial_status: Some(|_| json!({})),
            prepare_part,
            validate_part: validate::part,
            fields: &[("spec.signerName", "/spec/signerName")],
            cells,
            warn: |request| {
                let signer = request["spec"].text("signerName");
                signer.starts_with("kubernetes.io/").then(|| {
                    format!(
                        "spec.signerName: this server has no signer {signer:?}: the request is stored and can be \
                             approved, and is then up to a controller of your own"
                    )
                })
            },
            ..Rules::PLAIN
        },
    )
};

/// Who approves decides; who signs brings the certificate. Neither does the other's work.
fn prepare_part(part: &str, new: &mut Value, old: &Value, now: Timestamp) {
    let Some(status) = object(new, "status") else { return };
    if part == "approval" {
        match old["status"].get("certificate") {
            Some(certificate) => put(status, "certificate", certificate.clone()),
            None => take(status, "certificate"),
        }
    } else {
        let kept = |condition: &&Value| DECISIONS.contains(&condition.text("type"));
        let decided = old["status"].items("conditions").iter().filter(kept);
        let others = status.items("conditions").iter().filter(|condition| !kept(condition));
        let all: Vec<Value> = decided.chain(others).cloned().collect();
        if !all.is_empty() {
            put(status, "conditions", all);
        }
    }
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
