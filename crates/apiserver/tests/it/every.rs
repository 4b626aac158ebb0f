//! Every kind of the registry goes through everything that all kinds have in common. Adding a kind takes
//! one minimal valid object in `minimal.json`, nothing else; without it these tests fail.

mod warnings;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use skiff_api::resource::{self, Durability, Resource};

use crate::support::Answer;

/// What is to be known about a kind for these tests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Minimal {
    /// A valid object with as little in it as makes sense.
    object: Value,
    /// A merge patch that changes what such an object is to be; `null` where nothing may change.
    #[serde(default)]
    change: Value,
    /// A merge patch that changes its status.
    #[serde(default)]
    status: Value,
}

/// A kind and its minimal object.
struct Case {
    resource: &'static Resource,
    minimal: Minimal,
}

impl Case {
    fn name(&self) -> &str {
        self.minimal.object["metadata"]["name"].as_str().unwrap()
    }

    /// `storage.k8s.io/csidrivers`, for messages and lists.
    fn key(&self) -> String {
        format!("{}/{}", self.resource.group, self.resource.plural)
    }

    /// Where its objects are.
    fn collection(&self) -> String {
        let Resource { group, version, plural, .. } = self.resource;
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let namespace = if self.resource.is_namespaced() { "namespaces/default/" } else { "" };
        format!("{root}/{namespace}{plural}")
    }

    /// Where the minimal object is.
    fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.name())
    }

    /// The JSON of an answer that must have this code.
    fn expect(&self, what: &str, answer: &Answer, code: u16) -> Value {
        let body = String::from_utf8_lossy(&answer.bytes);
        assert_eq!(answer.code.as_u16(), code, "{what} {}: {body}", self.key());
        serde_json::from_slice(&answer.bytes).unwrap()
    }
}

/// All kinds that are served.
fn every() -> Vec<Case> {
    let mut minimal: BTreeMap<String, Minimal> =
        serde_json::from_str(include_str!("../../../api/tests/it/minimal.json")).unwrap();
    let find = |resource: &'static Resource| {
        let key = format!("{}/{}", resource.group, resource.plural);
        let minimal = minimal.get(&key).unwrap_or_else(|| panic!("minimal.json knows no {key}"));
        Case { resource, minimal: minimal.clone() }
    };
    let cases: Vec<Case> = resource::all().iter().copied().map(find).collect();
    minimal.retain(|key, _| !cases.iter().any(|case| case.key() == *key));
    assert_eq!(minimal.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "nothing serves these");
    cases
}

/// All kinds whose objects are kept.
fn kept() -> impl Iterator<Item = Case> {
    every().into_iter().filter(|case| case.resource.durability != Durability::Virtual)
}
