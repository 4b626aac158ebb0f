//! The files of a volume, from what it refers to: a pure function, run again on each change.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Pod},
    apimachinery::pkg::api::resource::Quantity,
};

use super::{
    VolumeError,
    plan::{Content, Files},
};
use crate::{
    pod::fields::{self, Addresses},
    sources::{Payload, Reference},
};

/// One file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    pub(crate) mode: u32,
}

/// All files of a volume by their path in it.
pub(crate) type Tree = BTreeMap<String, File>;

/// What volumes are filled from.
pub(crate) struct Inputs<'i> {
    pub(crate) pod: &'i Pod,
    pub(crate) objects: &'i BTreeMap<Reference, Option<Arc<Payload>>>,
    /// Tokens by audience (empty: the API server's own) and lifetime.
    pub(crate) tokens: &'i BTreeMap<(String, i64), String>,
    pub(crate) addresses: &'i Addresses,
    pub(crate) allocatable: &'i BTreeMap<String, Quantity>,
}

/// The files that `files` asks for.
pub(crate) fn render(files: &Files, inputs: &Inputs<'_>) -> Result<Tree, VolumeError> {
    let mut tree = Tree::new();
    for content in &files.sources {
        match content {
            Content::Object { reference, items, optional } => {
                object(&mut tree, inputs, reference, items.as_deref(), *optional, files.mode)?;
            }
            Content::Downward(items) => downward(&mut tree, inputs, items, files.mode)?,
            Content::Token { audience, seconds, path } => {
                let key = (audience.clone().unwrap_or_default(), *seconds);
                if let Some(token) = inputs.tokens.get(&key) {
                    put(&mut tree, path, token.clone().into_bytes(), files.mode)?;
                }
            }
        }
    }
    Ok(tree)
}

fn object(
    tree: &mut Tree,
    inputs: &Inputs<'_>,
    reference: &Reference,
    items: Option<&[KeyToPath]>,
    optional: bool,
    mode: u32,
) -> Result<(), VolumeError> {
    let payload = match inputs.objects.get(reference) {
        Some(Some(payload)) => payload,
        _ if optional => return Ok(()),
        _ => return Err(VolumeError::Missing { kind: reference.kind, name: reference.name.clone() }),
    };
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        for (key, bytes) in &payload.data {
            put(tree, key, bytes.clone(), mode)?;
        }
        return Ok(());
    };
    for item in items {
        match payload.data.get(&item.key) {
            Some(bytes) => put(tree, &item.path, bytes.clone(), own_mode(item.mode, mode))?,
            None if optional => {}
            None => return Err(VolumeError::Key(reference.kind, item.key.clone())),
        }
    }
    Ok(())
}

fn downward(
    tree: &mut Tree,
    inputs: &Inputs<'_>,
    items: &[DownwardAPIVolumeFile],
    mode: u32,
) -> Result<(), VolumeError> {
    for item in items {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(selector), _) => fields::field(inputs.pod, selector, inputs.addresses)?,
            (None, Some(selector)) => fields::resource(inputs.pod, "", selector, inputs.allocatable)?,
            (None, None) => continue,
        };
        put(tree, &item.path, text.into_bytes(), own_mode(item.mode, mode))?;
    }
    Ok(())
}

fn own_mode(own: Option<i32>, mode: u32) -> u32 {
    own.and_then(|own| u32::try_from(own).ok()).map_or(mode, |own| own & 0o777)
}

fn put(tree: &mut Tree, path: &str, bytes: Vec<u8>, mode: u32) -> Result<(), VolumeError> {
    let bad = |part: &str| part.is_empty() || part == "." || part == "..";
    if path.starts_with("..") || path.split('/').any(bad) {
        return Err(VolumeError::Path(path.to_owned()));
    }
    match tree.insert(path.to_owned(), File { bytes, mode }) {
        None => Ok(()),
        Some(_) => Err(VolumeError::Duplicate(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::volumes::plan;

    fn run(volume: serde_json::Value) -> Result<Vec<(String, String, u32)>, String> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "ns"}, "spec": {"containers": [], "volumes": [volume]}}))
        .unwrap();
        let data = BTreeMap::from([("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())]);
        let payload = Some(Arc::new(Payload { data, type_: String::new() }));
        let objects = BTreeMap::from([(Reference::config_map("cm"), payload)]);
        let tokens = BTreeMap::from([((String::new(), 3607), "jwt".to_owned())]);
        let (addresses, allocatable) = (Addresses::default(), BTreeMap::new());
        let inputs =
            Inputs { pod: &pod, objects: &objects, tokens: &tokens, addresses: &addresses, allocatable: &allocatable };
        let planned = plan::volumes(&pod).unwrap();
        let plan::What::Files(files) = &planned[0].what else { panic!("no files") };
        let tree = render(files, &inputs).map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(tree.into_iter().map(|(path, file)| (path, text(&file.bytes), file.mode)).collect())
    }

    fn file(path: &str, text: &str, mode: u32) -> (String, String, u32) {
        (path.to_owned(), text.to_owned(), mode)
    }

    #[test]
    fn keys_become_files() {
        assert_eq!(
            run(json!({"name": "v", "configMap": {"name": "cm"}})).unwrap(),
            [file("a", "1", 0o644), file("b", "2", 0o644)]
        );
        let items = json!([{"key": "a", "path": "deep/er/a.txt", "mode": 256}]);
        assert_eq!(
            run(json!({"name": "v", "configMap": {"name": "cm", "items": items}})).unwrap(),
            [file("deep/er/a.txt", "1", 0o400)]
        );
        assert_eq!(run(json!({"name": "v", "configMap": {"name": "gone", "optional": true}})).unwrap(), []);
    }

    #[test]
    fn the_service_account_volume_has_its_three_files() {
        let volume = json!({"name": "kube-api-access-x", "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"configMap": {"name": "cm", "items": [{"key": "a", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}}]}});
        let wanted = [file("ca.crt", "1", 0o644), file("namespace", "ns", 0o644), file("token", "jwt", 0o644)];
        assert_eq!(run(volume).unwrap(), wanted);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let item = |key: &str, path: &str| json!([{"key": key, "path": path}]);
        let table = [
            (json!({"name": "gone"}), "configmap \"gone\" not found"),
            (json!({"name": "cm", "items": item("zz", "z")}), "references non-existent config key: zz"),
            (
                json!({"name": "cm", "items": item("a", "../../etc/passwd")}),
                "invalid path \"../../etc/passwd\" in the volume: it must be relative and must not contain \"..\"",
            ),
            (
                json!({"name": "cm", "items": item("a", "/abs")}),
                "invalid path \"/abs\" in the volume: it must be relative and must not contain \"..\"",
            ),
        ];
        for (map, wanted) in table {
            assert_eq!(run(json!({"name": "v", "configMap": map})).unwrap_err(), wanted);
        }
    }
}
