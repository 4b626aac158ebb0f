//! Every kind of the registry goes through everything that all kinds have in common. Adding a kind takes
//! one minimal valid object in `minimal.json`, nothing else; without it these tests fail.

mod documents;
mod ends;
mod views;
mod warnings;
mod writes;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use skiff_api::resource::{self, Durability, Resource};

use crate::support::{Answer, Server};

/// What is to be known about a kind for these tests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Minimal {
    /// A valid object with as little in it as makes sense.
    object: Value,
    /// A merge patch that changes what such an object is to be; `null` where nothing may change.
    #[serde(default)]
    change: Value,
    /// A merge patch that changes its status; it has to be there where there is a status to change.
    #[serde(default)]
    status: Value,
}

/// A kind and its minimal object.
struct Case {
    resource: &'static Resource,
    minimal: Minimal,
}

/// Deleting an object and nothing else, at once.
fn at_once() -> Value {
    json!({"propagationPolicy": "Background", "gracePeriodSeconds": 0})
}

impl Case {
    fn name(&self) -> &str {
        self.minimal.object["metadata"]["name"].as_str().unwrap()
    }

    /// `storage.k8s.io/csidrivers`, for messages and lists.
    fn key(&self) -> String {
        format!("{}/{}", self.resource.group, self.resource.plural)
    }

    /// `/api/v1`, `/apis/apps/v1`
    fn root(&self) -> String {
        let Resource { group, version, .. } = self.resource;
        if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
    }

    /// Where its objects are.
    fn collection(&self) -> String {
        let namespace = if self.resource.is_namespaced() { "namespaces/default/" } else { "" };
        format!("{}/{namespace}{}", self.root(), self.resource.plural)
    }

    /// Where the minimal object is.
    fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.name())
    }

    /// The minimal object with a label, as a client would send it.
    fn object(&self) -> Value {
        let mut object = self.minimal.object.clone();
        object["apiVersion"] = json!(self.resource.api_version());
        object["kind"] = json!(self.resource.kind);
        object["metadata"]["labels"] = json!({"test": "every"});
        object
    }

    /// The JSON of an answer that must have this code.
    fn expect(&self, what: &str, answer: &Answer, code: u16) -> Value {
        let body = String::from_utf8_lossy(&answer.bytes);
        assert_eq!(answer.code.as_u16(), code, "{what} {}: {body}", self.key());
        serde_json::from_slice(&answer.bytes).unwrap()
    }

    async fn get(&self, server: &Server) -> Value {
        self.expect("get", &server.get(&self.path()).await, 200)
    }

    /// Creates the minimal object; answers with it when the server itself has done with it.
    async fn make(&self, server: &Server) -> Value {
        let path = format!("{}?fieldManager=maker", self.collection());
        let made = self.expect("create", &server.post(&path, &self.object()).await, 201);
        if self.resource.kind != "CustomResourceDefinition" {
            return made;
        }
        let is = |object: &Value, wanted: &str| {
            let conditions = object["status"]["conditions"].as_array().unwrap();
            conditions.iter().any(|one| one["type"] == wanted && one["status"] == "True")
        };
        until(async || Some(self.get(server).await).filter(|object| is(object, "Established"))).await
    }

    /// Deletes the minimal object and waits until it is gone.
    async fn unmake(&self, server: &Server) {
        self.expect("delete", &server.delete_with(&self.path(), &at_once()).await, 200);
        let left = server.get(&self.path()).await;
        if left.code == 200 && self.resource.kind == "Namespace" {
            let mut namespace = left.json();
            namespace["spec"]["finalizers"] = json!([]);
            server.put(&format!("{}/finalize", self.path()), &namespace).await.expect(200);
        }
        until(async || (server.get(&self.path()).await.code == 404).then_some(())).await;
    }
}

/// Looks again until there is what is looked for.
async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap()
}

/// What an object says besides its metadata and its status.
fn content(object: &Value) -> Value {
    let mut content = object.clone();
    for field in ["metadata", "status"] {
        content.as_object_mut().unwrap().remove(field);
    }
    content
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

/// Checks one kind after the other against one server; says which ones failed only when all are through.
async fn each<F: Future<Output = ()> + 'static>(check: impl Fn(Rc<Server>, Rc<Case>) -> F) {
    let server = Rc::new(Server::start().await);
    let local = tokio::task::LocalSet::new();
    let mut failed = Vec::new();
    for case in kept() {
        let (key, check) = (case.key(), check(Rc::clone(&server), Rc::new(case)));
        if local.run_until(local.spawn_local(check)).await.is_err() {
            failed.push(key);
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}

/// The minimal object of the kind with this name.
pub(crate) fn minimal(kind: &str) -> Value {
    kept().find(|case| case.resource.kind == kind).unwrap().minimal.object
}
