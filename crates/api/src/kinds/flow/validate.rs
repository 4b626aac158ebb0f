//! What must hold for a FlowSchema and a PriorityLevelConfiguration.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common::required_name;
use crate::meta;
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");
const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];
const PATH_VERBS: &[&str] = &["delete", "get", "head", "options", "patch", "post", "put"];

pub(super) fn schema(schema: &Value, errors: &mut Vec<FieldError>) {
    let spec = &schema["spec"];
    let precedence = spec.int("matchingPrecedence").unwrap_or_default();
    let path = SPEC.child("matchingPrecedence");
    if precedence <= 0 {
        errors.push(FieldError::invalid(&path, precedence, "must be a positive value"));
    }
    if precedence > 10000 {
        errors.push(FieldError::invalid(&path, precedence, "must not be greater than 10000"));
    }
    if precedence == 1 && meta::name(schema) != "exempt" {
        let detail = "only the schema named 'exempt' may have matchingPrecedence 1";
        errors.push(FieldError::invalid(&path, precedence, detail));
    }
    let method = spec["distinguisherMethod"].text("type");
    if spec["distinguisherMethod"].is_object() && !["ByNamespace", "ByUser"].contains(&method) {
        let of = SPEC.child("distinguisherMethod");
        errors.push(FieldError::not_supported(&of, spec["distinguisherMethod"].clone(), &["ByNamespace", "ByUser"]));
    }
    let level = SPEC.child("priorityLevelConfiguration");
    required_name(spec["priorityLevelConfiguration"].text("name"), &level.child("name"), errors);
    let list = SPEC.child("rules");
    for (i, rule) in spec.items("rules").iter().enumerate() {
        check_rule(rule, &list.index(i), errors);
    }
}

fn check_rule(rule: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let list = at.child("subjects");
    if !rule.has("subjects") {
        errors.push(FieldError::required(&list, "subjects must contain at least one value"));
    }
    for (i, subject) in rule.items("subjects").iter().enumerate() {
        check_subject(subject, &list.index(i), errors);
    }
    if !rule.has("resourceRules") && !rule.has("nonResourceRules") {
        let detail = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.push(FieldError::required(at, detail));
    }
    let list = at.child("resourceRules");
    for (i, rule) in rule.items("resourceRules").iter().enumerate() {
        let at = list.index(i);
        verbs(rule, VERBS, &at.child("verbs"), errors);
        for field in ["apiGroups", "resources"] {
            if !rule.has(field) {
                let detail = format!("resource rules must supply at least one {}", field.trim_end_matches('s'));
                errors.push(FieldError::required(&at.child(field), detail));
            }
        }
        if !rule.has("namespaces") && !rule.flag("clusterScope") {
            let detail = "resource rules that are not cluster scoped must supply at least one namespace";
            errors.push(FieldError::required(&at.child("namespaces"), detail));
        }
    }
    let list = at.child("nonResourceRules");
    for (i, rule) in rule.items("nonResourceRules").iter().enumerate() {
        let at = list.index(i);
        verbs(rule, PATH_VERBS, &at.child("verbs"), errors);
        if !rule.has("nonResourceURLs") {
            let detail = "nonResourceURLs must contain at least one value";
            errors.push(FieldError::required(&at.child("nonResourceURLs"), detail));
        }
    }
}

fn verbs(rule: &Value, known: &[&str], at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let given: Vec<&str> = rule.items("verbs").iter().filter_map(Value::as_str).collect();
    if given.is_empty() {
        errors.push(FieldError::required(at, "verbs must contain at least one value"));
    } else if given.contains(&"*") {
        if given.len() > 1 {
            errors.push(FieldError::invalid(at, given, "if '*' is present, must not specify other verbs"));
        }
    } else if given.iter().any(|verb| !known.contains(verb)) {
        errors.push(FieldError::not_supported(at, given, known));
    }
}

fn check_subject(subject: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let kind = subject.text("kind");
    let field = match kind {
        "User" => "user",
        "Group" => "group",
        "ServiceAccount" => "serviceAccount",
        other => {
            let kinds = &["Group", "ServiceAccount", "User"];
            errors.push(FieldError::not_supported(&at.child("kind"), other, kinds));
            return;
        }
    };
    for other in ["user", "group", "serviceAccount"].iter().filter(|other| **other != field) {
        if subject[*other].is_object() {
            errors.push(FieldError::forbidden(
                &at.child(other),
                format!("{other} is forbidden when subject kind is not '{kind}'"),
            ));
        }
    }
    let inner = at.child(field);
    if !subject[field].is_object() {
        errors.push(FieldError::required(&inner, format!("{field} is required when subject kind is '{kind}'")));
        return;
    }
    if !subject[field].has("name") {
        errors.push(FieldError::required(&inner.child("name"), ""));
    }
    if field == "serviceAccount" && !subject[field].has("namespace") {
        errors.push(FieldError::required(&inner.child("namespace"), "must specify namespace for service account"));
    }
}

pub(super) fn level(level: &Value, errors: &mut Vec<FieldError>) {
    let spec = &level["spec"];
    let (limited, exempt) = (SPEC.child("limited"), SPEC.child("exempt"));
    let kind = spec.text("type");
    let always_exempt = meta::name(level) == "exempt";
    if always_exempt != (kind == "Exempt") && matches!(kind, "Exempt" | "Limited") {
        let detail = if always_exempt {
            "must be 'Exempt' for the level named 'exempt'"
        } else {
            "must be 'Limited' if `name` is not 'exempt'"
        };
        errors.push(FieldError::invalid(&SPEC.child("type"), kind, detail));
    }
    match kind {
        "Exempt" => {
            if spec["limited"].is_object() {
                errors.push(FieldError::forbidden(&limited, "must be nil if the type is not Limited"));
            }
            shares(&spec["exempt"], &exempt, errors);
        }
        "Limited" => {
            if spec["exempt"].is_object() {
                errors.push(FieldError::forbidden(&exempt, "must be nil if the type is Limited"));
            }
            if spec["limited"].is_object() {
                check_limited(&spec["limited"], &limited, errors);
            } else {
                errors.push(FieldError::required(&limited, "must not be empty when type is Limited"));
            }
        }
        other => errors.push(FieldError::not_supported(&SPEC.child("type"), other, &["Exempt", "Limited"])),
    }
}

fn shares(of: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(number) = of.int("nominalConcurrencyShares").filter(|number| *number < 0) {
        let detail = "must be a non-negative integer";
        errors.push(FieldError::invalid(&at.child("nominalConcurrencyShares"), number, detail));
    }
    if let Some(percent) = of.int("lendablePercent").filter(|percent| !(0..=100).contains(percent)) {
        let detail = "must be between 0 and 100, inclusive";
        errors.push(FieldError::invalid(&at.child("lendablePercent"), percent, detail));
    }
}

fn check_limited(limited: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    shares(limited, at, errors);
    if let Some(percent) = limited.int("borrowingLimitPercent").filter(|percent| *percent < 0) {
        let detail = "if specified, must be a non-negative integer";
        errors.push(FieldError::invalid(&at.child("borrowingLimitPercent"), percent, detail));
    }
    let (answer, path) = (&limited["limitResponse"], at.child("limitResponse"));
    let queuing = path.child("queuing");
    match answer.text("type") {
        "Reject" => {
            if answer["queuing"].is_object() {
                errors
                    .push(FieldError::forbidden(&queuing, "must be nil if limited.limitResponse.type is not Limited"));
            }
        }
        "Queue" if !answer["queuing"].is_object() => {
            errors.push(FieldError::required(&queuing, "must not be empty if limited.limitResponse.type is Limited"));
        }
        "Queue" => check_queuing(&answer["queuing"], &queuing, errors),
        other => errors.push(FieldError::not_supported(&path.child("type"), other, &["Queue", "Reject"])),
    }
}

fn check_queuing(queuing: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let number = |field: &str| queuing.int(field).unwrap_or_default();
    for field in ["queueLengthLimit", "queues", "handSize"] {
        if number(field) <= 0 {
            errors.push(FieldError::invalid(&at.child(field), number(field), "must be positive"));
        }
    }
    if number("queues") > 10_000_000 {
        let detail = "must not be greater than 10000000";
        errors.push(FieldError::invalid(&at.child("queues"), number("queues"), detail));
    }
    if number("handSize") > number("queues") {
        let detail = format!("should not be greater than queues ({})", number("queues"));
        errors.push(FieldError::invalid(&at.child("handSize"), number("handSize"), detail));
    }
}
