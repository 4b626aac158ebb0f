//! The objects that every cluster has: made at the first start, completed at later ones, and otherwise
//! left to the user. A start that finds everything in place writes nothing.

mod apis;
mod classes;
mod rbac;
mod services;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use skiff_api::meta;
use skiff_store::{Expect, Op, Snapshot};

use crate::{
    allocate::Claims,
    error::Error,
    kind::{self, Kind, decode},
    state::{State, now},
};

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// What has to be written.
struct Plan<'a> {
    state: &'a State,
    snapshot: Snapshot,
    now: Timestamp,
    operations: Vec<Op>,
    claims: Vec<Claims>,
}

/// Makes what is missing.
pub(crate) async fn run(state: &Arc<State>) -> Result<(), Error> {
    let mut plan =
        Plan { state, snapshot: state.store.snapshot(), now: now(), operations: Vec::new(), claims: Vec::new() };
    for name in NAMESPACES {
        plan.ensure("", "namespaces", json!({"metadata": {"name": name}}))?;
    }
    apis::plan(&mut plan)?;
    classes::plan(&mut plan)?;
    services::plan(&mut plan)?;
    rbac::plan(&mut plan)?;
    let Plan { operations, claims, .. } = plan;
    if operations.is_empty() {
        return Ok(());
    }
    state.store.transact(operations).await?;
    claims.into_iter().for_each(Claims::commit);
    let snapshot = state.store.snapshot();
    for kind in kind::all().iter().filter(|kind| kind.resource.group() == crate::state::RBAC) {
        for entry in snapshot.range(&kind.prefix_in(""), None) {
            let (namespace, name) = kind.names(&entry.key);
            state.roles_changed(kind, namespace, name);
        }
    }
    Ok(())
}

impl Plan<'_> {
    fn kind(group: &str, plural: &str) -> Option<&'static Kind> {
        kind::of(group, plural)
    }

    fn present(&self, kind: &Kind, object: &Value) -> Option<Value> {
        decode(self.snapshot.get(&kind.key(meta::namespace(object), meta::name(object)))?).ok()
    }

    /// The object is there; what it is like is the user's business.
    fn ensure(&mut self, group: &str, plural: &str, object: Value) -> Result<(), Error> {
        let Some(kind) = Self::kind(group, plural) else { return Ok(()) };
        if self.present(kind, &object).is_some() { Ok(()) } else { self.create(kind, object) }
    }

    /// The object is there, and its `fields` are these.
    fn insist(&mut self, group: &str, plural: &str, object: Value, fields: &[&str]) -> Result<(), Error> {
        let Some(kind) = Self::kind(group, plural) else { return Ok(()) };
        let Some(present) = self.present(kind, &object) else { return self.create(kind, object) };
        let mut wanted = present.clone();
        for field in fields {
            wanted[*field] = object[*field].clone();
        }
        kind.resource.default(&mut wanted);
        if wanted == present { Ok(()) } else { self.replace(kind, &wanted) }
    }

    fn create(&mut self, kind: &'static Kind, mut object: Value) -> Result<(), Error> {
        object["kind"] = json!(kind.resource.kind());
        object["apiVersion"] = json!(kind.api_version);
        kind.resource.default(&mut object);
        let uid = uuid::Uuid::new_v4().to_string();
        kind.resource.prepare_create(&mut object, &uid, self.now);
        if kind.resource.plural() == "services" {
            match self.state.allocator.create(&mut object) {
                Ok(claims) => self.claims.push(claims),
                Err(error) => {
                    let name = meta::name(&object);
                    tracing::warn!(name, %error, "a Service of the cluster cannot have its address");
                    return Ok(());
                }
            }
        }
        self.put(kind, &object, Expect::Absent)
    }

    fn replace(&mut self, kind: &'static Kind, object: &Value) -> Result<(), Error> {
        self.put(kind, object, Expect::Present)
    }

    fn put(&mut self, kind: &'static Kind, object: &Value, expect: Expect) -> Result<(), Error> {
        let key = kind.key(meta::namespace(object), meta::name(object));
        let value = kind.encode(object)?;
        self.operations.push(Op::put(key, value).expecting(expect));
        Ok(())
    }
}
