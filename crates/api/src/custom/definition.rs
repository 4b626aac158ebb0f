//! Reading a CustomResourceDefinition: from its JSON to the kinds that it makes.

use std::sync::Arc;

use base64::Engine as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns::PrinterColumn;
use super::scale::Scale;
use super::{CustomResource, Schema};
use crate::meta;
use crate::value::{Read as _, object, put};

/// What a kind is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// `Widget`
    pub kind: String,
    /// `WidgetList`
    pub list_kind: String,
    /// `widgets`
    pub plural: String,
    /// `widget`
    pub singular: String,
    /// `wd`
    pub short_names: Vec<String>,
    /// `all`
    pub categories: Vec<String>,
}

impl Names {
    fn parse(names: &Value) -> Self {
        let text = |field: &str| names.text(field).to_owned();
        let list = |field: &str| names.items(field).iter().filter_map(|one| one.as_str().map(str::to_owned)).collect();
        Self {
            kind: text("kind"),
            list_kind: text("listKind"),
            plural: text("plural"),
            singular: text("singular"),
            short_names: list("shortNames"),
            categories: list("categories"),
        }
    }
}

/// How objects of one version become ones of another.
#[derive(Clone, Debug, PartialEq)]
pub enum Conversion {
    /// Only the version's name changes.
    None,
    /// Somebody else is asked: `spec.conversion.webhook`.
    Webhook(Arc<Value>),
}

impl Conversion {
    fn parse(spec: &Value) -> Self {
        match spec["conversion"].text("strategy") {
            "Webhook" => Self::Webhook(Arc::new(spec["conversion"]["webhook"].clone())),
            _ => Self::None,
        }
    }
}

/// Whether the authorities that a definition names for its webhook can be read, if it names any.
#[must_use]
pub fn has_usable_bundle(definition: &Value) -> bool {
    let bundle = definition["spec"]["conversion"]["webhook"]["clientConfig"].text("caBundle");
    bundle.is_empty() || base64::engine::general_purpose::STANDARD.decode(bundle).is_ok_and(|pem| is_pem(&pem))
}

/// Whether there is a certificate in a text.
fn is_pem(text: &[u8]) -> bool {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    String::from_utf8_lossy(text).split(BEGIN).skip(1).any(|block| {
        let inner = block.split_once(END).map(|(inner, _)| inner.split_ascii_whitespace().collect::<String>());
        // What is in there begins as every certificate does.
        let der = inner.and_then(|inner| base64::engine::general_purpose::STANDARD.decode(inner).ok());
        der.is_some_and(|der| der.first() == Some(&0x30))
    })
}

/// Whether a condition of the definition is true.
#[must_use]
pub fn holds(definition: &Value, condition: &str) -> bool {
    let conditions = definition["status"].items("conditions");
    conditions.iter().any(|one| one["type"] == condition && one["status"] == "True")
}

/// The version in which a definition's objects are stored.
#[must_use]
pub fn storage_version(definition: &Value) -> &str {
    let versions = definition["spec"].items("versions");
    versions.iter().find(|version| version.flag("storage")).map(|version| version.text("name")).unwrap_or_default()
}

/// The kinds that a definition makes: one for each version that is served.
#[must_use]
pub fn kinds(definition: &Value) -> Vec<CustomResource> {
    let versions = definition["spec"].items("versions");
    versions.iter().filter(|version| version.flag("served")).map(|version| one(definition, version)).collect()
}

fn one(definition: &Value, version: &Value) -> CustomResource {
    let spec = &definition["spec"];
    let props = &version["schema"]["openAPIV3Schema"];
    let (group, name) = (spec.text("group").to_owned(), version.text("name").to_owned());
    let names = Names::parse(&spec["names"]);
    let mut schema = Schema::parse(props);
    schema.preserve |= spec.flag("preserveUnknownFields");
    let deprecated = version.flag("deprecated").then(|| match version["deprecationWarning"].as_str() {
        Some(warning) => warning.to_owned(),
        None => format!("{group}/{name} {} is deprecated", names.kind),
    });
    let selectable = version.items("selectableFields").iter();
    let reversed: Vec<&str> = group.rsplit('.').collect();
    CustomResource {
        type_name: format!("{}.{name}.{}", reversed.join("."), names.kind),
        definition: meta::name(definition).to_owned(),
        origin: (meta::uid(definition).to_owned(), meta::generation(definition)),
        namespaced: spec.text("scope") == "Namespaced",
        storage_version: storage_version(definition).to_owned(),
        versions: spec.items("versions").iter().map(|version| version.text("name").to_owned()).collect(),
        conversion: Conversion::parse(spec),
        terminating: meta::deletion_timestamp(definition).is_some(),
        source: props.to_string().into(),
        columns: PrinterColumn::parse_all(version),
        selectable: selectable.map(|one| one.text("jsonPath").trim_start_matches('.').to_owned()).collect(),
        has_status: version["subresources"].get("status").is_some(),
        scale: Scale::parse(&version["subresources"]["scale"]),
        version: name,
        group,
        names,
        schema,
        deprecated,
    }
}

/// The finalizer that keeps a definition until its objects are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

impl Names {
    /// The names that a definition asks for.
    #[must_use]
    pub fn wanted(definition: &Value) -> Self {
        Self::parse(&definition["spec"]["names"])
    }

    /// Why these names cannot be had beside `other` in one group: a reason and a message.
    #[must_use]
    pub fn conflict(&self, other: &Self) -> Option<(&'static str, String)> {
        let resources = |names: &Self| {
            let mut all = vec![names.plural.clone(), names.singular.clone()];
            all.extend(names.short_names.clone());
            all
        };
        let taken = resources(other);
        let kinds = [&other.kind, &other.list_kind];
        let in_use = |name: &str| format!("{name:?} is already in use");
        let resource = |reason, name: &String| taken.contains(name).then(|| (reason, in_use(name)));
        resource("PluralConflict", &self.plural)
            .or_else(|| resource("SingularConflict", &self.singular))
            .or_else(|| self.short_names.iter().find_map(|name| resource("ShortNamesConflict", name)))
            .or_else(|| kinds.contains(&&self.kind).then(|| ("KindConflict", in_use(&self.kind))))
            .or_else(|| kinds.contains(&&self.list_kind).then(|| ("ListKindConflict", in_use(&self.list_kind))))
    }

    fn to_json(&self) -> Value {
        let mut names =
            json!({"kind": self.kind, "listKind": self.list_kind, "plural": self.plural, "singular": self.singular});
        for (field, list) in [("shortNames", &self.short_names), ("categories", &self.categories)] {
            if !list.is_empty() {
                put(&mut names, field, list.as_slice());
            }
        }
        names
    }
}

/// The status of a definition whose names can be had, or cannot; `None` if it says so already.
#[must_use]
pub fn status(definition: &Value, conflict: Option<&(&'static str, String)>, now: Timestamp) -> Option<Value> {
    let mut next = definition.clone();
    let established = holds(definition, "Established");
    match conflict {
        None => {
            set_condition(&mut next, "NamesAccepted", true, "NoConflicts", "no conflicts found", now);
            if established || has_usable_bundle(definition) {
                let message = "the initial names have been accepted";
                set_condition(&mut next, "Established", true, "InitialNamesAccepted", message, now);
            } else {
                let message = "The conversion webhook CABundle is invalid";
                set_condition(&mut next, "Established", false, "InvalidCABundle", message, now);
            }
            put(next.get_mut("status")?, "acceptedNames", Names::wanted(definition).to_json());
        }
        Some((reason, message)) => {
            set_condition(&mut next, "NamesAccepted", false, reason, message, now);
            if !established {
                let message = "not all names are accepted";
                set_condition(&mut next, "Established", false, "NotAccepted", message, now);
            }
        }
    }
    (next["status"] != definition["status"]).then_some(next)
}

/// Sets a condition; its time changes only with its status.
pub fn set_condition(definition: &mut Value, name: &str, is: bool, reason: &str, message: &str, now: Timestamp) {
    let Some(status) = object(definition, "status") else { return };
    let mut conditions = status.items("conditions").to_vec();
    let word = if is { "True" } else { "False" };
    let mut condition = json!({
        "type": name,
        "status": word,
        "reason": reason,
        "message": message,
        "lastTransitionTime": crate::time::format(now),
    });
    match conditions.iter_mut().find(|one| one["type"] == name) {
        Some(present) => {
            if present["status"] == word {
                put(&mut condition, "lastTransitionTime", present["lastTransitionTime"].clone());
            }
            *present = condition;
        }
        None => conditions.push(condition),
    }
    put(status, "conditions", conditions);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_certificate_makes_a_bundle() {
        let usable = |text: &str| {
            let bundle = base64::engine::general_purpose::STANDARD.encode(text);
            has_usable_bundle(&json!({"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": bundle}}}}}))
        };
        let block = |inner: &str| format!("-----BEGIN CERTIFICATE-----\n{inner}\n-----END CERTIFICATE-----\n");
        assert!(usable(""), "nothing is said");
        assert!(usable(&format!("a comment\n{}{}", block("!"), block("MAA="))));
        for text in ["\n", "no certificate", &block("AAAA"), "-----BEGIN CERTIFICATE-----\nMAA="] {
            assert!(!usable(text), "{text:?}");
        }
    }
}
