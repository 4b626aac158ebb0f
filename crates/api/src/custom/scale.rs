//! `scale` of a custom kind: where in its objects the numbers of a Scale are.

use serde_json::{Map, Value, json};

use crate::field_error::{FieldError, Path};
use crate::status::Status;
use crate::value::{Read as _, put};

/// The places that a definition names.
#[derive(Debug)]
pub(super) struct Scale {
    wanted: String,
    present: String,
    selector: Option<String>,
}

/// The value at `.spec.replicas`.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.trim_start_matches('.').split('.').try_fold(object, |at, step| at.get(step))
}

impl Scale {
    pub(super) fn parse(scale: &Value) -> Option<Self> {
        scale.is_object().then(|| Self {
            wanted: scale.text("specReplicasPath").to_owned(),
            present: scale.text("statusReplicasPath").to_owned(),
            selector: scale["labelSelectorPath"].as_str().map(str::to_owned),
        })
    }

    /// The Scale of an object.
    pub(super) fn read(&self, object: &Value) -> Result<Value, Status> {
        let wanted = at(object, &self.wanted)
            .and_then(Value::as_i64)
            .ok_or_else(|| Status::internal(format!("the spec replicas field {:?} does not exist", self.wanted)))?;
        let mut metadata = json!({});
        for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            if let Some(value) = object["metadata"].get(field) {
                put(&mut metadata, field, value.clone());
            }
        }
        let mut status = json!({"replicas": at(object, &self.present).and_then(Value::as_i64).unwrap_or_default()});
        if let Some(selector) = self.selector.as_deref().and_then(|path| at(object, path)).and_then(Value::as_str)
            && !selector.is_empty()
        {
            put(&mut status, "selector", selector);
        }
        Ok(json!({
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": metadata,
            "spec": {"replicas": wanted},
            "status": status,
        }))
    }

    /// Writes the wanted number back.
    pub(super) fn write(&self, object: &mut Value, scale: &Value) {
        let replicas = scale["spec"].int("replicas").unwrap_or_default();
        let steps: Vec<&str> = self.wanted.trim_start_matches('.').split('.').collect();
        let Some((last, above)) = steps.split_last() else { return };
        let mut slot = object;
        for step in above {
            let Some(map) = slot.as_object_mut() else { return };
            slot = map.entry(*step).or_insert_with(|| Value::Object(Map::new()));
        }
        put(slot, last, replicas);
    }

    /// The numbers are no negative ones, wherever they are.
    pub(super) fn validate(&self, object: &Value, errors: &mut Vec<FieldError>) {
        for path in [&self.wanted, &self.present] {
            if let Some(number) = at(object, path).and_then(Value::as_i64).filter(|number| *number < 0) {
                let place = Path::new(path.trim_start_matches('.'));
                errors.push(FieldError::invalid(&place, number, "should be a non-negative integer"));
            }
        }
        if let Some(text) = self.selector.as_deref().and_then(|path| at(object, path)).and_then(Value::as_str)
            && let Err(error) = text.parse::<crate::selector::LabelSelector>()
        {
            let path = self.selector.as_deref().unwrap_or_default();
            errors.push(FieldError::invalid(&Path::new(path.trim_start_matches('.')), text, error.to_string()));
        }
    }
}
