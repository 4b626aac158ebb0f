//! What must hold for a CertificateSigningRequest.

use std::collections::HashSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::DECISIONS;
use crate::field_error::{FieldError, Path};
use crate::validate::names;
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");
const SHORTEST: i64 = 600;
const BEGIN: &str = "-----BEGIN CERTIFICATE REQUEST-----";
const END: &str = "-----END CERTIFICATE REQUEST-----";
const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

pub(super) fn request(request: &Value, errors: &mut Vec<FieldError>) {
    let spec = &request["spec"];
    if let Err(problem) = readable(spec.text("request")) {
        errors.push(FieldError::invalid(&SPEC.child("request"), spec["request"].clone(), problem));
    }
    usages(spec, errors);
    if let Some(seconds) = spec.int("expirationSeconds").filter(|seconds| *seconds < SHORTEST) {
        let detail = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(FieldError::invalid(&SPEC.child("expirationSeconds"), seconds, detail));
    }
    let (signer, path) = (spec.text("signerName"), SPEC.child("signerName"));
    match signer.split_once('/') {
        _ if signer.is_empty() => errors.push(FieldError::required(&path, "")),
        _ if signer == "kubernetes.io/legacy-unknown" => {
            let detail = "the legacy signerName is not allowed via this API version";
            errors.push(FieldError::invalid(&path, signer, detail));
        }
        Some((domain, rest)) if domain.contains('.') && !rest.is_empty() => {
            super::super::common::problems(names::dns_subdomain(domain), &path, signer, errors);
        }
        _ => {
            let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
            errors.push(FieldError::invalid(&path, signer, detail));
        }
    }
}

fn usages(spec: &Value, errors: &mut Vec<FieldError>) {
    let list = SPEC.child("usages");
    if !spec.has("usages") {
        errors.push(FieldError::required(&list, ""));
    }
    let mut seen = HashSet::new();
    for (i, usage) in spec.items("usages").iter().filter_map(Value::as_str).enumerate() {
        if !USAGES.contains(&usage) {
            errors.push(FieldError::not_supported(&list.index(i), usage, USAGES));
        }
        if !seen.insert(usage) {
            errors.push(FieldError::duplicate(&list.index(i), usage));
        }
    }
}

/// Whether these are a request's bytes in PEM, in base64; who signs looks at what they say.
fn readable(encoded: &str) -> Result<(), &'static str> {
    const NO_PEM: &str = "PEM block type must be CERTIFICATE REQUEST";
    let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| NO_PEM)?;
    let text = String::from_utf8(bytes).map_err(|_| NO_PEM)?;
    let (_, rest) = text.split_once(BEGIN).ok_or(NO_PEM)?;
    let (body, _) = rest.split_once(END).ok_or(NO_PEM)?;
    let body: String = body.split_whitespace().collect();
    let der = BASE64_STANDARD.decode(body).map_err(|_| NO_PEM)?;
    // A SEQUENCE, as everything of X.509 is.
    if der.first() == Some(&0x30) { Ok(()) } else { Err("asn1: structure error: tags don't match") }
}

/// Who signs does not decide.
pub(super) fn status(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    conditions(new, old, errors);
    let has = |of: &Value, kind: &str| of["status"].items("conditions").iter().any(|one| one.text("type") == kind);
    let list = Path::new("status");
    for kind in DECISIONS.into_iter().filter(|kind| has(new, kind) && !has(old, kind)) {
        let detail = format!("updates may not add a condition of type {kind:?}");
        errors.push(FieldError::forbidden(&list.child("conditions"), detail));
    }
}

pub(super) fn conditions(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let status = Path::new("status");
    let list = status.child("conditions");
    let conditions = new["status"].items("conditions");
    let mut seen = HashSet::new();
    for (i, condition) in conditions.iter().enumerate() {
        let at = list.index(i);
        let (kind, value) = (condition.text("type"), condition.text("status"));
        if kind.is_empty() {
            errors.push(FieldError::required(&at.child("type"), ""));
        }
        let fixed = DECISIONS.contains(&kind) || kind == "Failed";
        match value {
            "" => errors.push(FieldError::required(&at.child("status"), "")),
            "True" => {}
            _ if fixed => errors.push(FieldError::not_supported(&at.child("status"), value, &["True"])),
            "False" | "Unknown" => {}
            _ => errors.push(FieldError::not_supported(&at.child("status"), value, &["False", "True", "Unknown"])),
        }
        if !seen.insert(kind) {
            errors.push(FieldError::duplicate(&at.child("type"), kind));
        }
    }
    if DECISIONS.iter().all(|kind| seen.contains(kind)) {
        let kinds: Vec<&str> = conditions.iter().map(|condition| condition.text("type")).collect();
        errors.push(FieldError::invalid(&list, kinds, "Approved and Denied conditions are mutually exclusive"));
    }
    let had = |kind: &str| old["status"].items("conditions").iter().any(|condition| condition.text("type") == kind);
    for kind in ["Approved", "Denied", "Failed"] {
        if had(kind) && !seen.contains(kind) {
            errors.push(FieldError::forbidden(&list, format!("updates may not remove a condition of type {kind:?}")));
        }
    }
    let (now, before) = (&new["status"], &old["status"]);
    if before.has("certificate") && now["certificate"] != before["certificate"] {
        let detail = "updates may not modify existing certificate content";
        errors.push(FieldError::forbidden(&status.child("certificate"), detail));
    }
}
