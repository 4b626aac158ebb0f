//! What must hold for webhook configurations; the rules and conditions are those of policies, too.

use std::collections::HashSet;

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common::{label_selector, one_of, one_of_or_none, port_number, problems, required_name};
use crate::validate::names;
use crate::value::Read as _;

const VERSIONS: [&str; 2] = ["v1", "v1beta1"];
const MOST_CONDITIONS: usize = 64;

pub(super) fn configuration(configuration: &Value, mutating: bool, errors: &mut Vec<FieldError>) {
    let list = Path::new("webhooks");
    let mut seen = HashSet::new();
    for (i, webhook) in configuration.items("webhooks").iter().enumerate() {
        let at = list.index(i);
        check_webhook(webhook, mutating, &at, errors);
        let name = webhook.text("name");
        if !name.is_empty() && !seen.insert(name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
    }
}

fn check_webhook(webhook: &Value, mutating: bool, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (name, path) = (webhook.text("name"), at.child("name"));
    required_name(name, &path, errors);
    if !name.is_empty() && name.split('.').count() < 3 {
        let detail = "should be a domain with at least three segments separated by dots";
        errors.push(FieldError::invalid(&path, name, detail));
    }
    versions(webhook, &at.child("admissionReviewVersions"), errors);
    let list = at.child("rules");
    for (i, of) in webhook.items("rules").iter().enumerate() {
        rule(of, &list.index(i), errors);
    }
    one_of_or_none(webhook.text("failurePolicy"), &["Fail", "Ignore"], &at.child("failurePolicy"), errors);
    one_of_or_none(webhook.text("matchPolicy"), &["Equivalent", "Exact"], &at.child("matchPolicy"), errors);
    let effects = at.child("sideEffects");
    if webhook.has("sideEffects") {
        one_of(webhook.text("sideEffects"), &["None", "NoneOnDryRun"], &effects, errors);
    } else {
        errors.push(FieldError::required(&effects, "must specify one of None, NoneOnDryRun"));
    }
    if let Some(seconds) = webhook.int("timeoutSeconds").filter(|seconds| !(1..=30).contains(seconds)) {
        let detail = "the timeout value must be between 1 and 30 seconds";
        errors.push(FieldError::invalid(&at.child("timeoutSeconds"), seconds, detail));
    }
    for field in ["namespaceSelector", "objectSelector"] {
        label_selector(&webhook[field], &at.child(field), errors);
    }
    client(&webhook["clientConfig"], &at.child("clientConfig"), errors);
    conditions(webhook, at, errors);
    if mutating {
        let known = &["IfNeeded", "Never"];
        one_of_or_none(webhook.text("reinvocationPolicy"), known, &at.child("reinvocationPolicy"), errors);
    }
}

fn versions(webhook: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let given: Vec<&str> = webhook.items("admissionReviewVersions").iter().filter_map(Value::as_str).collect();
    if given.is_empty() {
        errors.push(FieldError::required(path, "must specify one of v1, v1beta1"));
        return;
    }
    let mut seen = HashSet::new();
    for (i, version) in given.iter().enumerate() {
        if !seen.insert(version) {
            errors.push(FieldError::invalid(&path.index(i), *version, "duplicate version"));
        }
        problems(names::dns_1035_label(version), &path.index(i), version, errors);
    }
    if !given.iter().any(|version| VERSIONS.contains(version)) {
        errors.push(FieldError::invalid(path, given, "must include at least one of v1, v1beta1"));
    }
}

fn client(client: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let service = &client["service"];
    match (client["url"].as_str(), service.is_object()) {
        (Some(_), true) | (None, false) => {
            errors.push(FieldError::required(at, "exactly one of url or service is required"));
        }
        (Some(url), false) => web_address(url, &at.child("url"), errors),
        (None, true) => {
            let path = at.child("service");
            for field in ["name", "namespace"] {
                if !service.has(field) {
                    errors.push(FieldError::required(&path.child(field), &*format!("service {field} is required")));
                }
            }
            let below = service.text("path");
            if !below.is_empty() && !below.starts_with('/') {
                let detail = "must start with a '/'";
                errors.push(FieldError::invalid(&path.child("path"), below, detail));
            }
            if let Some(port) = service.int("port") {
                port_number(port, &path.child("port"), errors);
            }
        }
    }
}

fn web_address(url: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const FORM: &str = "; desired format: https://host[/path]";
    let mut wrong = |value: &str, detail: String| errors.push(FieldError::invalid(path, value, detail));
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    if scheme != "https" {
        wrong(scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    let (host, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if host.is_empty() {
        wrong(host, format!("host must be specified{FORM}"));
    }
    if let Some((user, _)) = host.rsplit_once('@') {
        wrong(user, "user information is not permitted in the URL".to_owned());
    }
    let (tail, fragment) = tail.split_once('#').unwrap_or((tail, ""));
    if !fragment.is_empty() {
        wrong(fragment, "fragments are not permitted in the URL".to_owned());
    }
    if let Some((_, query)) = tail.split_once('?').filter(|(_, query)| !query.is_empty()) {
        wrong(query, "query parameters are not permitted in the URL".to_owned());
    }
}

/// Which requests are meant.
pub(in crate::kinds) fn rule(rule: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
    let operations = at.child("operations");
    for (field, what) in [("operations", "operations"), ("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        let given: Vec<&str> = rule.items(field).iter().filter_map(Value::as_str).collect();
        let path = at.child(field);
        if given.is_empty() {
            errors.push(FieldError::required(&path, ""));
        }
        if given.len() > 1 && given.contains(&"*") {
            let detail = format!("if '*' is present, must not specify other {what}");
            errors.push(FieldError::invalid(&path, given, detail));
        }
    }
    for (i, operation) in rule.items("operations").iter().filter_map(Value::as_str).enumerate() {
        one_of(operation, OPERATIONS, &operations.index(i), errors);
    }
    let versions = at.child("apiVersions");
    for (i, _) in rule.items("apiVersions").iter().enumerate().filter(|(_, version)| version.as_str() == Some("")) {
        errors.push(FieldError::required(&versions.index(i), ""));
    }
    resources(rule, &at.child("resources"), errors);
    one_of_or_none(rule.text("scope"), &["*", "Cluster", "Namespaced"], &at.child("scope"), errors);
}

fn resources(rule: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let given: Vec<&str> = rule.items("resources").iter().filter_map(Value::as_str).collect();
    if given.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    let whole: HashSet<&str> = given.iter().filter_map(|resource| resource.strip_suffix("/*")).collect();
    let parts: HashSet<&str> = given.iter().filter_map(|resource| resource.strip_prefix("*/")).collect();
    for (i, resource) in given.iter().enumerate() {
        let at = path.index(i);
        let (own, part) = resource.split_once('/').unwrap_or((resource, ""));
        if resource.is_empty() {
            errors.push(FieldError::required(&at, ""));
        } else if matches!(part, "" | "*") {
            // It is about no part in particular.
        } else if whole.contains(own) {
            let detail = format!("if '{own}/*' is present, must not specify {resource}");
            errors.push(FieldError::invalid(&at, *resource, detail));
        } else if own != "*" && parts.contains(part) {
            let detail = format!("if '*/{part}' is present, must not specify {resource}");
            errors.push(FieldError::invalid(&at, *resource, detail));
        }
    }
    if given.len() > 1 && given.contains(&"*/*") {
        let detail = "if '*/*' is present, must not specify other resources";
        errors.push(FieldError::invalid(path, given.clone(), detail));
    }
    if given.contains(&"*") && given.iter().any(|resource| !resource.contains('/') && *resource != "*") {
        let detail = "if '*' is present, must not specify other resources without subresources";
        errors.push(FieldError::invalid(path, given, detail));
    }
}

/// Further conditions in CEL.
pub(in crate::kinds) fn conditions(of: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let list = at.child("matchConditions");
    let given = of.items("matchConditions");
    if given.len() > MOST_CONDITIONS {
        errors.push(FieldError::too_many(&list, given.len(), MOST_CONDITIONS));
    }
    let mut seen = HashSet::new();
    for (i, condition) in given.iter().enumerate() {
        let at = list.index(i);
        let (name, path) = (condition.text("name"), at.child("name"));
        if condition.text("expression").trim().is_empty() {
            errors.push(FieldError::required(&at.child("expression"), ""));
        }
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else {
            problems(names::qualified_name(name), &path, name, errors);
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(&path, name));
            }
        }
    }
}
