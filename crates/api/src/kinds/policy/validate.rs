//! What must hold for admission policies and their bindings.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common::{label_selector, one_of, one_of_or_none, problems, required_name};
use crate::kinds::webhook;
use crate::validate::names;
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");
const REASONS: &[&str] = &["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];

pub(super) fn validating(policy: &Value, errors: &mut Vec<FieldError>) {
    let spec = &policy["spec"];
    common(spec, errors);
    if !spec.has("validations") && !spec.has("auditAnnotations") {
        let detail = "validations or auditAnnotations must contain at least one item";
        errors.push(FieldError::required(&SPEC.child("validations"), detail));
        errors.push(FieldError::required(&SPEC.child("auditAnnotations"), detail));
    }
    let list = SPEC.child("validations");
    for (i, validation) in spec.items("validations").iter().enumerate() {
        let at = list.index(i);
        if validation.text("expression").trim().is_empty() {
            errors.push(FieldError::required(&at.child("expression"), "expression is not specified"));
        }
        if validation.text("message").contains('\n') {
            let detail = "message must not contain line breaks";
            errors.push(FieldError::invalid(&at.child("message"), validation.text("message"), detail));
        }
        one_of_or_none(validation.text("reason"), REASONS, &at.child("reason"), errors);
    }
    let list = SPEC.child("auditAnnotations");
    for (i, annotation) in spec.items("auditAnnotations").iter().enumerate() {
        let at = list.index(i);
        let key = annotation.text("key");
        if key.is_empty() {
            errors.push(FieldError::required(&at.child("key"), ""));
        } else {
            problems(names::qualified_name(key), &at.child("key"), key, errors);
        }
        if annotation.text("valueExpression").trim().is_empty() {
            errors.push(FieldError::required(&at.child("valueExpression"), "valueExpression is not specified"));
        }
    }
}

pub(super) fn mutating(policy: &Value, errors: &mut Vec<FieldError>) {
    let spec = &policy["spec"];
    common(spec, errors);
    let list = SPEC.child("mutations");
    if !spec.has("mutations") {
        errors.push(FieldError::required(&list, "mutations must contain at least one item"));
    }
    for (i, mutation) in spec.items("mutations").iter().enumerate() {
        let at = list.index(i);
        let kind = mutation.text("patchType");
        one_of(kind, &["ApplyConfiguration", "JSONPatch"], &at.child("patchType"), errors);
        for (of, field) in [("ApplyConfiguration", "applyConfiguration"), ("JSONPatch", "jsonPatch")] {
            let path = at.child(field);
            match (kind == of, mutation[field].is_object()) {
                (true, false) => {
                    errors.push(FieldError::required(&path, format!("must be specified when patchType is {of}")))
                }
                (true, true) if mutation[field].text("expression").trim().is_empty() => {
                    errors.push(FieldError::required(&path.child("expression"), "expression is not specified"));
                }
                (false, true) => {
                    errors.push(FieldError::invalid(
                        &path,
                        mutation[field].clone(),
                        format!("must not be specified when patchType is {kind}"),
                    ));
                }
                _ => {}
            }
        }
    }
    one_of(spec.text("reinvocationPolicy"), &["IfNeeded", "Never"], &SPEC.child("reinvocationPolicy"), errors);
}

fn common(spec: &Value, errors: &mut Vec<FieldError>) {
    one_of(spec.text("failurePolicy"), &["Fail", "Ignore"], &SPEC.child("failurePolicy"), errors);
    let kind = &spec["paramKind"];
    if kind.is_object() {
        let at = SPEC.child("paramKind");
        for field in ["apiVersion", "kind"] {
            if !kind.has(field) {
                errors.push(FieldError::required(&at.child(field), ""));
            }
        }
    }
    let at = SPEC.child("matchConstraints");
    if spec["matchConstraints"].is_object() {
        matched(&spec["matchConstraints"], &at, errors);
        if !spec["matchConstraints"].has("resourceRules") {
            errors.push(FieldError::required(&at.child("resourceRules"), ""));
        }
    } else {
        errors.push(FieldError::required(&at, ""));
    }
    webhook::conditions(spec, &SPEC, errors);
    let list = SPEC.child("variables");
    for (i, variable) in spec.items("variables").iter().enumerate() {
        let at = list.index(i);
        let name = variable.text("name");
        let identifier = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|first: char| first.is_ascii_digit());
        if name.is_empty() {
            errors.push(FieldError::required(&at.child("name"), "name is not specified"));
        } else if !identifier {
            errors.push(FieldError::invalid(&at.child("name"), name, "name is not a valid CEL identifier"));
        }
        if variable.text("expression").trim().is_empty() {
            errors.push(FieldError::required(&at.child("expression"), "expression is not specified"));
        }
    }
}

fn matched(resources: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["namespaceSelector", "objectSelector"] {
        label_selector(&resources[field], &at.child(field), errors);
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        let list = at.child(field);
        for (i, rule) in resources.items(field).iter().enumerate() {
            webhook::rule(rule, &list.index(i), errors);
        }
    }
    one_of_or_none(resources.text("matchPolicy"), &["Equivalent", "Exact"], &at.child("matchPolicy"), errors);
}

pub(super) fn binding(binding: &Value, validating: bool, errors: &mut Vec<FieldError>) {
    let spec = &binding["spec"];
    required_name(spec.text("policyName"), &SPEC.child("policyName"), errors);
    let parameters = &spec["paramRef"];
    if parameters.is_object() {
        let at = SPEC.child("paramRef");
        match (parameters.has("name"), parameters["selector"].is_object()) {
            (true, true) => {
                let detail = "name and selector are mutually exclusive";
                errors.push(FieldError::forbidden(&at.child("name"), detail));
            }
            (false, false) => {
                errors.push(FieldError::required(&at, "one of name or selector must be specified"));
            }
            _ => {}
        }
        label_selector(&parameters["selector"], &at.child("selector"), errors);
        let path = at.child("parameterNotFoundAction");
        one_of(parameters.text("parameterNotFoundAction"), &["Allow", "Deny"], &path, errors);
    }
    if spec["matchResources"].is_object() {
        matched(&spec["matchResources"], &SPEC.child("matchResources"), errors);
    }
    if validating {
        actions(spec, errors);
    }
}

fn actions(spec: &Value, errors: &mut Vec<FieldError>) {
    let list = SPEC.child("validationActions");
    let given: Vec<&str> = spec.items("validationActions").iter().filter_map(Value::as_str).collect();
    if given.is_empty() {
        errors.push(FieldError::required(&list, "at least one validation action is required"));
    }
    for (i, action) in given.iter().enumerate() {
        one_of(action, &["Audit", "Deny", "Warn"], &list.index(i), errors);
        if given[..i].contains(action) {
            errors.push(FieldError::duplicate(&list.index(i), *action));
        }
    }
    if given.contains(&"Deny") && given.contains(&"Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the \
                      API response and headers serves no purpose)";
        errors.push(FieldError::invalid(&list, given, detail));
    }
}
