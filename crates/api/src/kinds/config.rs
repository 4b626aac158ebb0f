//! ConfigMap, Secret and ServiceAccount: what pods read and who they are.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Subresource};
use crate::validate::names;
use crate::value::{Read as _, fill, object, put, take};

const MOST_BYTES: usize = 1024 * 1024;
const DATA: Path<'static> = Path::new("data");
const BINARY_DATA: Path<'static> = Path::new("binaryData");
const ENTRIES: Column = Column::new("Data", "How many entries it has.");

pub(super) static CONFIG_MAPS: Resource = Resource {
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    type_name: "io.k8s.api.core.v1.ConfigMap",
    columns: &[Column::NAME, ENTRIES, Column::AGE],
    rules: Rules {
        validate: validate_config_map,
        validate_update: |new, old, errors| unchanged(new, old, &["data", "binaryData"], errors),
        cells: |object, now| {
            let count = object.entries("data").count() + object.entries("binaryData").count();
            vec![meta::name(object).into(), count.into(), print::age(object, now)]
        },
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

pub(super) static SECRETS: Resource = Resource {
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    type_name: "io.k8s.api.core.v1.Secret",
    columns: &[Column::NAME, Column::new("Type", "What its entries are for."), ENTRIES, Column::AGE],
    rules: Rules {
        default: default_secret,
        validate: validate_secret,
        validate_update: validate_secret_update,
        fields: &[("type", "/type")],
        cells: |object, now| {
            let count = object.entries("data").count();
            vec![meta::name(object).into(), object.text("type").into(), count.into(), print::age(object, now)]
        },
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

pub(super) static SERVICE_ACCOUNTS: Resource = Resource {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    subresources: &[Subresource {
        verbs: &["create"],
        ..Subresource::of_kind(
            "token",
            "authentication.k8s.io",
            "TokenRequest",
            "io.k8s.api.authentication.v1.TokenRequest",
        )
    }],
    type_name: "io.k8s.api.core.v1.ServiceAccount",
    columns: &[Column::NAME, Column::new("Secrets", "How many secrets it may mount."), Column::AGE],
    rules: Rules {
        cells: |object, now| {
            vec![meta::name(object).into(), object.items("secrets").len().into(), print::age(object, now)]
        },
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

/// The bytes that base64 text stands for, without decoding it.
fn decoded_size(text: &str) -> usize {
    let padding = text.bytes().rev().take_while(|b| *b == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

fn keys(map: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (key, _) in meta::strings(map) {
        let problems = names::config_map_key(key);
        errors.extend(problems.into_iter().map(|p| FieldError::invalid(&path.key(key), key, p)));
    }
}

/// Objects that are `immutable` stay so, and so does what they hold.
fn unchanged(new: &Value, old: &Value, fields: &[&str], errors: &mut Vec<FieldError>) {
    if !old.flag("immutable") {
        return;
    }
    let detail = "field is immutable when `immutable` is set";
    if !new.flag("immutable") {
        errors.push(FieldError::forbidden(&Path::new("immutable"), detail));
    }
    for field in fields {
        if new[*field] != old[*field] && (new.has(field) || old.has(field)) {
            errors.push(FieldError::forbidden(&Path::new(field), detail));
        }
    }
}

fn validate_config_map(map: &Value, errors: &mut Vec<FieldError>) {
    keys(&map["data"], &DATA, errors);
    keys(&map["binaryData"], &BINARY_DATA, errors);
    for (key, _) in map.entries("data").filter(|(key, _)| map["binaryData"].get(key).is_some()) {
        errors.push(FieldError::invalid(&DATA.key(key), key, "duplicate of key present in binaryData"));
    }
    let text: usize = meta::strings(&map["data"]).map(|(_, v)| v.len()).sum();
    let binary: usize = meta::strings(&map["binaryData"]).map(|(_, v)| decoded_size(v)).sum();
    if text + binary > MOST_BYTES {
        errors.push(FieldError::too_long(&Path::new(""), MOST_BYTES));
    }
}

fn default_secret(secret: &mut Value) {
    fill(secret, "type", "Opaque");
    let plain: Vec<(String, String)> =
        meta::strings(&secret["stringData"]).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    take(secret, "stringData");
    if plain.is_empty() {
        return;
    }
    let Some(data) = object(secret, "data") else { return };
    for (key, text) in plain {
        put(data, &key, base64::engine::general_purpose::STANDARD.encode(text));
    }
}

fn validate_secret(secret: &Value, errors: &mut Vec<FieldError>) {
    keys(&secret["data"], &DATA, errors);
    if meta::strings(&secret["data"]).map(|(_, v)| decoded_size(v)).sum::<usize>() > MOST_BYTES {
        errors.push(FieldError::too_long(&DATA, MOST_BYTES));
    }
    let has = |key: &str| secret["data"].get(key).is_some();
    let mut required = |keys: &[&str]| {
        for key in keys.iter().filter(|key| !has(key)) {
            errors.push(FieldError::required(&DATA.key(key), ""));
        }
    };
    match secret.text("type") {
        "kubernetes.io/service-account-token" => {
            let name = "kubernetes.io/service-account.name";
            if meta::annotation(secret, name).unwrap_or_default().is_empty() {
                let metadata = Path::new("metadata");
                errors.push(FieldError::required(&metadata.child("annotations").key(name), ""));
            }
        }
        "kubernetes.io/dockercfg" => json_entry(secret, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => json_entry(secret, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => required(&["username", "password"]),
        "kubernetes.io/ssh-auth" => required(&["ssh-privatekey"]),
        "kubernetes.io/tls" => required(&["tls.crt", "tls.key"]),
        _ => {}
    }
}

fn json_entry(secret: &Value, key: &str, errors: &mut Vec<FieldError>) {
    let path = DATA.key(key);
    let Some(text) = secret["data"][key].as_str() else {
        errors.push(FieldError::required(&path, ""));
        return;
    };
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    if let Err(error) = serde_json::from_slice::<Value>(&bytes) {
        errors.push(FieldError::invalid(&path, "<secret contents redacted>", error.to_string()));
    }
}

fn validate_secret_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if new["type"] != old["type"] {
        errors.push(FieldError::invalid(&Path::new("type"), new["type"].clone(), common::IMMUTABLE));
    }
    let empty = json!({});
    let data = |secret: &Value| secret.get("data").filter(|d| !d.is_null()).unwrap_or(&empty).clone();
    unchanged(
        &json!({"immutable": new["immutable"], "data": data(new)}),
        &json!({"immutable": old["immutable"], "data": data(old)}),
        &["data"],
        errors,
    );
}
