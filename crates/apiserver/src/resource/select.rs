//! Which objects a list or a watch is about: label and field selectors, judged on stored bytes with
//! as little parsing as each selector allows.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use skiff_api::{
    selector::{FieldSelector, LabelSelector},
    status::Status,
};
use skiff_store::Entry;

use super::Call;
use crate::kind::KindRef;

/// The selectors of a request.
#[derive(Clone)]
pub(super) struct Filter {
    kind: KindRef,
    labels: LabelSelector,
    fields: FieldSelector,
    /// Whether the fields are in the key, so that no object has to be parsed for them.
    by_key: bool,
}

#[derive(Deserialize)]
struct Envelope {
    metadata: Labelled,
}

#[derive(Deserialize)]
struct Labelled {
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Filter {
    pub(super) fn parse(call: &Call) -> Result<Self, Status> {
        let (labels, fields) = (call.query().get("labelSelector"), call.query().get("fieldSelector"));
        let bad = |error: skiff_api::selector::SelectorError| Status::bad_request(error.to_string());
        let labels: LabelSelector = labels.unwrap_or_default().parse().map_err(bad)?;
        let fields: FieldSelector = fields.unwrap_or_default().parse().map_err(bad)?;
        call.kind.resource.check_field_selector(&fields)?;
        let by_key = fields.requirements().iter().all(|term| in_key(&term.field));
        Ok(Self { kind: call.kind.clone(), labels, fields, by_key })
    }

    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// Whether it has to be known what the objects say.
    pub(super) fn reads_objects(&self) -> bool {
        !self.labels.is_everything() || !(self.by_key || self.fields.is_everything())
    }

    /// The one name that matches, if the selector says so.
    pub(super) fn name(&self) -> Option<&str> {
        self.fields.exact("metadata.name").filter(|name| !name.is_empty())
    }

    pub(super) fn matches(&self, entry: &Entry) -> bool {
        self.fields_match(entry) && self.labels_match(entry)
    }

    /// The same for an object that is not stored.
    pub(super) fn matches_object(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.kind.resource.matches_fields(&self.fields, object)
    }

    fn fields_match(&self, entry: &Entry) -> bool {
        if self.fields.is_everything() {
            return true;
        }
        if self.by_key {
            let (namespace, name) = self.kind.names(&entry.key);
            return self
                .fields
                .matches_with(|field| if field == "metadata.name" { name.to_owned() } else { namespace.to_owned() });
        }
        self.kind.decode(&entry.value).is_ok_and(|object| self.kind.resource.matches_fields(&self.fields, &object))
    }

    fn labels_match(&self, entry: &Entry) -> bool {
        if self.labels.is_everything() {
            return true;
        }
        serde_json::from_slice::<Envelope>(&entry.value)
            .is_ok_and(|object| self.labels.matches_map(Some(&object.metadata.labels)))
    }
}

fn in_key(field: &str) -> bool {
    matches!(field, "metadata.name" | "metadata.namespace")
}
