//! Kubernetes's formats of text, by name: `format.dns1123Label().validate(self)` says what is wrong.

use std::sync::Arc;

use super::value::Val;
use crate::custom;
use crate::validate::names;

/// The functions that give a format.
const FORMATS: &[&str] = &[
    "format.dns1123Label",
    "format.dns1123Subdomain",
    "format.dns1035Label",
    "format.qualifiedName",
    "format.dns1123LabelPrefix",
    "format.dns1123SubdomainPrefix",
    "format.dns1035LabelPrefix",
    "format.labelValue",
    "format.uri",
    "format.uuid",
    "format.byte",
    "format.date",
    "format.datetime",
];

/// Whether a function gives a format.
pub(super) fn is_one(function: &str) -> bool {
    FORMATS.contains(&function)
}

/// The format that such a function gives.
pub(super) fn of<'a>(function: &str) -> Option<Val<'a>> {
    FORMATS.iter().find(|own| **own == function).map(|own| Val::Format(own.trim_start_matches("format.")))
}

/// The format of a name, if there is one.
pub(super) fn named<'a>(name: &str) -> Val<'a> {
    Val::Optional(of(&format!("format.{name}")).map(Arc::new))
}

/// What is wrong with a text, if anything is.
pub(super) fn judged<'a>(format: &str, text: &str) -> Val<'a> {
    // What is generated later may end in a dash so far.
    let prefix = || text.strip_suffix('-').unwrap_or(text);
    let other = |format: &str, what: &str| {
        if custom::fits(format, text) { Vec::new() } else { vec![what.to_owned()] }
    };
    let problems = match format {
        "dns1123Label" => names::dns_label(text),
        "dns1123LabelPrefix" => names::dns_label(prefix()),
        "dns1123Subdomain" => names::dns_subdomain(text),
        "dns1123SubdomainPrefix" => names::dns_subdomain(prefix()),
        "dns1035Label" => names::dns_1035_label(text),
        "dns1035LabelPrefix" => names::dns_1035_label(prefix()),
        "qualifiedName" => names::qualified_name(text),
        "labelValue" => names::label_value(text),
        "uri" => other("uri", "invalid URI"),
        "uuid" => other("uuid", "does not match the UUID format"),
        "byte" => other("byte", "invalid base64"),
        "date" => other("date", "invalid date"),
        _ => other("date-time", "invalid datetime"),
    };
    let list = || Val::List(Arc::new(problems.iter().map(Val::text).collect()));
    Val::Optional((!problems.is_empty()).then(|| Arc::new(list())))
}
