//! What must hold for a CustomResourceDefinition.

mod conversion;

use serde_json::Value;

use crate::custom::definition::{has_usable_bundle, holds, storage_version};
use crate::custom::{columns, structural};
use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::meta;
use crate::validate::names;
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");
const APPROVAL: &str = "api-approved.kubernetes.io";

/// What must hold at any time.
pub(super) fn definition(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let expected = format!("{}.{}", spec["names"].text("plural"), spec.text("group"));
    if meta::name(object) != expected {
        let metadata = Path::new("metadata");
        let detail = r#"must be spec.names.plural+"."+spec.group"#;
        errors.push(FieldError::invalid(&metadata.child("name"), meta::name(object), detail));
    }
    group(spec, errors);
    scope(spec, errors);
    names_of(&spec["names"], errors);
    versions(spec, errors);
    conversion::check(&spec["conversion"], errors);
    if spec.flag("preserveUnknownFields") {
        let detail =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.push(FieldError::invalid(&SPEC.child("preserveUnknownFields"), true, detail));
    }
    stored_versions(object, errors);
}

/// Versions in which objects are stored are not forgotten.
fn stored_versions(object: &Value, errors: &mut Vec<FieldError>) {
    let status = Path::new("status");
    let place = status.child("storedVersions");
    let stored = object["status"].items("storedVersions");
    let storage = storage_version(object);
    if object.has("status") && !storage.is_empty() && !stored.contains(&Value::from(storage)) {
        let detail = match stored {
            [] => "must have at least one stored version".to_owned(),
            _ => format!("must have the storage version {storage}"),
        };
        errors.push(FieldError::invalid(&place, stored.to_vec(), detail));
    }
    for (index, version) in stored.iter().enumerate() {
        if !object["spec"].items("versions").iter().any(|one| one["name"] == *version) {
            let name = version.as_str().unwrap_or_default();
            let detail = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions \
                 until a storage migration ensures no data remains persisted in {name} and removes {name} from \
                 status.storedVersions"
            );
            errors.push(FieldError::invalid(&place.index(index), version.clone(), detail));
        }
    }
}

/// What must hold for a change of the status.
pub(super) fn status(new: &Value, _: &Value, errors: &mut Vec<FieldError>) {
    stored_versions(new, errors);
}

/// What must hold for new ones.
pub(super) fn create(object: &Value, errors: &mut Vec<FieldError>) {
    let group = object["spec"].text("group");
    let protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|own| group == *own || group.strip_suffix(own).is_some_and(|rest| rest.ends_with('.')));
    if protected && meta::annotation(object, APPROVAL).is_none_or(str::is_empty) {
        let metadata = Path::new("metadata");
        let annotations = metadata.child("annotations");
        let detail = format!(
            "protected groups must have approval annotation {APPROVAL:?}, see \
             https://github.com/kubernetes/enhancements/pull/1111"
        );
        errors.push(FieldError::required(&annotations.key(APPROVAL), detail));
    }
}

/// What must hold for changes.
pub(super) fn update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let mut fixed = vec![("group", None)];
    if holds(old, "Established") {
        fixed.extend([("scope", None), ("names", Some("kind")), ("names", Some("plural"))]);
    }
    for (field, inner) in fixed {
        let get = |object: &Value| match inner {
            Some(inner) => object["spec"][field][inner].clone(),
            None => object["spec"][field].clone(),
        };
        let (now, before) = (get(new), get(old));
        if now != before {
            let place = SPEC.child(field);
            let place = inner.map_or(place, |inner| place.child(inner));
            errors.push(FieldError::invalid(&place, now, common::IMMUTABLE));
        }
    }
    if has_usable_bundle(old) && !has_usable_bundle(new) {
        conversion::bundle(&new["spec"]["conversion"], errors);
    }
}

fn group(spec: &Value, errors: &mut Vec<FieldError>) {
    let (place, group) = (SPEC.child("group"), spec.text("group"));
    if group.is_empty() {
        return errors.push(FieldError::required(&place, ""));
    }
    let problems = names::dns_subdomain(group);
    if problems.is_empty() && !group.contains('.') {
        errors.push(FieldError::invalid(&place, group, "should be a domain with at least one dot"));
    }
    errors.extend(problems.into_iter().map(|problem| FieldError::invalid(&place, group, problem)));
}

fn scope(spec: &Value, errors: &mut Vec<FieldError>) {
    let place = SPEC.child("scope");
    match spec.text("scope") {
        "Cluster" | "Namespaced" => {}
        "" => errors.push(FieldError::required(&place, "")),
        other => errors.push(FieldError::not_supported(&place, other, &["Cluster", "Namespaced"])),
    }
}

fn names_of(given: &Value, errors: &mut Vec<FieldError>) {
    let place = SPEC.child("names");
    for field in ["plural", "singular", "kind", "listKind"] {
        let (at, text) = (place.child(field), given.text(field));
        if text.is_empty() {
            errors.push(FieldError::required(&at, ""));
            continue;
        }
        let mixed = matches!(field, "kind" | "listKind");
        for problem in names::dns_1035_label(&if mixed { text.to_lowercase() } else { text.to_owned() }) {
            let detail = match mixed {
                true => format!("may have mixed case, but should otherwise match: {problem}"),
                false => problem,
            };
            errors.push(FieldError::invalid(&at, text, detail));
        }
    }
    for field in ["shortNames", "categories"] {
        let list = place.child(field);
        for (index, name) in given.items(field).iter().enumerate() {
            let text = name.as_str().unwrap_or_default();
            let problems = names::dns_1035_label(text).into_iter();
            errors.extend(problems.map(|problem| FieldError::invalid(&list.index(index), text, problem)));
        }
    }
    if !given.text("kind").is_empty() && given.text("kind") == given.text("listKind") {
        let detail = "kind and listKind may not be the same";
        errors.push(FieldError::invalid(&place.child("listKind"), given.text("listKind"), detail));
    }
}

fn versions(spec: &Value, errors: &mut Vec<FieldError>) {
    let place = SPEC.child("versions");
    let versions = spec.items("versions");
    let stored = versions.iter().filter(|version| version.flag("storage")).count();
    if stored != 1 {
        let detail = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid(&place, spec["versions"].clone(), detail));
    }
    for (index, of) in versions.iter().enumerate() {
        let at = place.index(index);
        let name = of.text("name");
        let problems = names::dns_1035_label(name).into_iter();
        errors.extend(problems.map(|problem| FieldError::invalid(&at.child("name"), name, problem)));
        if versions[..index].iter().any(|other| other.text("name") == name) {
            errors.push(FieldError::invalid(&place, spec["versions"].clone(), "must contain unique version names"));
        }
        version(of, &at, errors);
    }
    parts(versions, "schema", errors, |version, hoisted, at, errors| {
        let schema = at.child(if hoisted { "validation" } else { "schema" });
        let props = &version["schema"]["openAPIV3Schema"];
        if props.is_object() {
            structural::check(props, &schema.child("openAPIV3Schema"), errors);
        }
    });
    parts(versions, "additionalPrinterColumns", errors, |version, _, at, errors| printer_columns(version, at, errors));
    parts(versions, "subresources", errors, |version, _, at, errors| {
        scale(&version["subresources"]["scale"], at, errors);
    });
    parts(versions, "selectableFields", errors, |version, _, at, errors| selectable(version, at, errors));
}

/// Judges a part of each version. What is the same in all of them is judged once, and named as a part of
/// the definition itself, as Kubernetes does.
fn parts(
    versions: &[Value],
    part: &str,
    errors: &mut Vec<FieldError>,
    judge: impl Fn(&Value, bool, &Path<'_>, &mut Vec<FieldError>),
) {
    let Some(first) = versions.first() else { return };
    if versions.iter().all(|version| version.get(part) == first.get(part)) {
        return judge(first, true, &SPEC, errors);
    }
    let list = SPEC.child("versions");
    for (index, version) in versions.iter().enumerate() {
        judge(version, false, &list.index(index), errors);
    }
}

fn version(version: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !version["schema"]["openAPIV3Schema"].is_object() {
        let schema = at.child("schema");
        errors.push(FieldError::required(&schema.child("openAPIV3Schema"), "schemas are required"));
    }
    if version.get("deprecationWarning").is_some() && !version.flag("deprecated") {
        let detail = "can only be set for deprecated versions";
        errors.push(FieldError::invalid(
            &at.child("deprecationWarning"),
            version["deprecationWarning"].clone(),
            detail,
        ));
    }
}

fn printer_columns(version: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const TYPES: &[&str] = &["integer", "number", "string", "boolean", "date"];
    const FORMATS: &[&str] = &["", "int32", "int64", "float", "double", "byte", "date", "date-time", "password"];
    let list = at.child("additionalPrinterColumns");
    for (index, column) in version.items("additionalPrinterColumns").iter().enumerate() {
        let place = list.index(index);
        if column.text("name").is_empty() {
            errors.push(FieldError::required(&place.child("name"), ""));
        }
        match column.text("type") {
            "" => errors
                .push(FieldError::required(&place.child("type"), "must be one of integer,number,string,boolean,date")),
            of if !TYPES.contains(&of) => {
                errors.push(FieldError::invalid(
                    &place.child("type"),
                    of,
                    "must be one of integer,number,string,boolean,date",
                ));
            }
            _ => {}
        }
        if !FORMATS.contains(&column.text("format")) {
            let detail = format!("must be one of {}", FORMATS[1..].join(","));
            errors.push(FieldError::invalid(&place.child("format"), column.text("format"), detail));
        }
        match column.text("jsonPath") {
            "" => errors.push(FieldError::required(&place.child("jsonPath"), "")),
            path => {
                if let Err(error) = columns::check_path(path) {
                    errors.push(FieldError::invalid(&place.child("jsonPath"), path, error));
                }
            }
        }
    }
}

fn scale(scale: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !scale.is_object() {
        return;
    }
    let parts = at.child("subresources");
    let place = parts.child("scale");
    for (field, starts) in [
        ("specReplicasPath", &[".spec."] as &[&str]),
        ("statusReplicasPath", &[".status."]),
        ("labelSelectorPath", &[".spec.", ".status."]),
    ] {
        let text = scale.text(field);
        let at = place.child(field);
        if text.is_empty() {
            if field != "labelSelectorPath" {
                errors.push(FieldError::required(&at, ""));
            }
        } else if columns::plain_fields(text).is_none() {
            errors.push(FieldError::invalid(
                &at,
                text,
                "should be a simple json path: no array notation, wildcards or filters",
            ));
        } else if !starts.iter().any(|start| text.starts_with(start)) {
            let detail = match starts {
                [only] => format!("should be a json path under {}", only.trim_end_matches('.')),
                _ => "should be a json path under either .spec or .status".to_owned(),
            };
            errors.push(FieldError::invalid(&at, text, detail));
        }
    }
}

fn selectable(version: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let list = at.child("selectableFields");
    let fields = version.items("selectableFields");
    if fields.len() > 8 {
        errors.push(FieldError::too_many(&list, fields.len(), 8));
    }
    let props = &version["schema"]["openAPIV3Schema"];
    for (index, field) in fields.iter().enumerate() {
        let item = list.index(index);
        let place = item.child("jsonPath");
        let path = field.text("jsonPath");
        let mut wrong = |detail: &str| errors.push(FieldError::invalid(&place, path, detail));
        let Some(steps) = columns::plain_fields(path).filter(|steps| !steps.is_empty()) else {
            wrong("is an invalid path: it may only name fields");
            continue;
        };
        if steps[0] == "metadata" {
            wrong("must not point to fields in metadata");
        }
        let found = steps.iter().fold(props, |at, step| &at["properties"][step.as_str()]);
        if !["string", "boolean", "integer"].contains(&found.text("type")) {
            wrong("is an invalid path: must point to a field of type string, boolean or integer");
        }
        if fields[..index].contains(field) {
            errors.push(FieldError::duplicate(&place, path));
        }
    }
}
