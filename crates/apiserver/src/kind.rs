//! A kind as the server handles it: its description from the registry, and how its objects are keyed
//! and written in the store.
//!
//! Stored bytes are JSON that always begins with the kind, the version and the resource version, so
//! that the revision can be spliced in at commit, replaced in a tombstone and skipped in a comparison
//! without parsing anything.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::{Map, Value};
use skiff_api::resource::AnyResource;
use skiff_store::Entry;
use tokio_util::sync::CancellationToken;

use crate::conversion::Converter;

/// A kind, ready to be served.
pub(crate) struct Kind {
    pub(crate) resource: AnyResource,
    /// `v1` or `apps/v1`.
    pub(crate) api_version: String,
    /// What all keys of this kind begin with.
    prefix: String,
    /// What all stored objects begin with, up to the hole for the revision.
    head: String,
    /// Who turns objects of other versions into ones of this, if it is not done here.
    pub(crate) converter: Option<Box<Converter>>,
    /// Cancelled when a custom kind is no longer what its definition says: watches end.
    pub(crate) retired: CancellationToken,
}

/// A kind that is held on to: for ever, or until nobody needs it any more.
#[derive(Clone)]
pub(crate) enum KindRef {
    Builtin(&'static Kind),
    Custom(Arc<Kind>),
}

impl Deref for KindRef {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        match self {
            Self::Builtin(kind) => kind,
            Self::Custom(kind) => kind,
        }
    }
}

impl Kind {
    pub(crate) fn new(resource: AnyResource) -> Self {
        let api_version = resource.api_version();
        let (prefix, head) = {
            let stored = resource.stored_as();
            let version = match stored.custom() {
                Some(of) => format!("{}/{}", of.group, of.storage_version),
                None => stored.api_version(),
            };
            (format!("{}/{}/", stored.group(), stored.plural()), head_of(stored.kind(), &version))
        };
        let converter = Converter::of(&resource);
        Self { resource, prefix, head, api_version, converter, retired: CancellationToken::new() }
    }

    /// Whether it is the resource of this group and plural.
    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.resource.is(group, plural)
    }

    pub(crate) fn namespaced(&self) -> bool {
        self.resource.is_namespaced()
    }

    /// The key of one object.
    pub(crate) fn key(&self, namespace: &str, name: &str) -> Box<[u8]> {
        let mut key = self.prefix_in(namespace);
        key.extend_from_slice(name.as_bytes());
        key.into()
    }

    /// What the keys of a namespace begin with (of all, if it is empty).
    pub(crate) fn prefix_in(&self, namespace: &str) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.prefix.len() + namespace.len() + 64);
        key.extend_from_slice(self.prefix.as_bytes());
        if self.namespaced() && !namespace.is_empty() {
            key.extend_from_slice(namespace.as_bytes());
            key.push(b'/');
        }
        key
    }

    /// Namespace (empty for a cluster-scoped kind) and name in a key of this kind.
    pub(crate) fn names<'a>(&self, key: &'a [u8]) -> (&'a str, &'a str) {
        let rest = key.get(self.prefix.len()..).unwrap_or_default();
        // Keys are made of UTF-8 by `key`.
        let rest = std::str::from_utf8(rest).unwrap_or_default();
        if self.namespaced() { rest.split_once('/').unwrap_or(("", rest)) } else { ("", rest) }
    }

    /// An object as it is stored, with a hole where the revision goes.
    pub(crate) fn encode(&self, object: &Value) -> Result<skiff_store::Value, serde_json::Error> {
        let mut turned = None;
        if self.resource.is_view() {
            self.resource.to_stored(turned.insert(object.clone()));
        }
        let object = turned.as_ref().unwrap_or(object);
        let mut out = Vec::with_capacity(512);
        match (&self.converter, object["apiVersion"].as_str()) {
            // What was not converted here says itself which version it is of.
            (Some(_), Some(version)) => out.extend(head_of(self.resource.kind(), version).into_bytes()),
            _ => out.extend_from_slice(self.head.as_bytes()),
        }
        let hole = out.len();
        out.push(b'"');
        if let Some(metadata) = object["metadata"].as_object() {
            append(&mut out, metadata, &["resourceVersion"])?;
        }
        out.push(b'}');
        if let Some(fields) = object.as_object() {
            append(&mut out, fields, &["kind", "apiVersion", "metadata"])?;
        }
        out.push(b'}');
        Ok(skiff_store::Value::with_revision_at(out, hole))
    }

    /// A converted object as it would be stored in this version.
    pub(crate) fn laid_out(&self, object: &Value) -> Result<Bytes, serde_json::Error> {
        let encoded = self.encode(object)?;
        let (before, after) = encoded.bytes.split_at(encoded.revision_at.unwrap_or_default());
        let revision = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        Ok([before, revision.as_bytes(), after].concat().into())
    }

    /// Whether stored bytes have to be converted before this kind can show them.
    pub(crate) fn is_foreign(&self, stored: &[u8]) -> bool {
        const FIELD: &[u8] = b"\"apiVersion\":\"";
        if self.converter.is_none() {
            return false;
        }
        let at = stored.windows(FIELD.len()).position(|window| window == FIELD);
        let version = at.and_then(|at| stored.get(at + FIELD.len()..)).unwrap_or_default();
        version.strip_prefix(self.api_version.as_bytes()).is_none_or(|rest| rest.first() != Some(&b'"'))
    }

    /// The object in stored bytes, as this kind shows it.
    pub(crate) fn decode(&self, stored: &[u8]) -> Result<Value, serde_json::Error> {
        let mut object = serde_json::from_slice(stored)?;
        self.check_version(&object)?;
        self.resource.from_stored(&mut object);
        Ok(object)
    }

    /// The same for who only wants to know about its metadata: nothing has to be converted for that.
    pub(crate) fn stored(&self, stored: &[u8]) -> Result<Value, serde_json::Error> {
        if self.converter.is_some() { serde_json::from_slice(stored) } else { self.decode(stored) }
    }

    /// An object in a version that only a webhook could turn into this one is an error, never a guess.
    fn check_version(&self, object: &Value) -> Result<(), serde_json::Error> {
        let stored = object["apiVersion"].as_str().unwrap_or_default();
        if self.converter.is_some() && stored != self.api_version {
            let (kind, to) = (self.resource.kind(), &self.api_version);
            return Err(serde::de::Error::custom(format!("a {kind} of {stored} was not converted to {to}")));
        }
        Ok(())
    }

    /// Stored bytes as this kind shows them; for most kinds they are the same.
    pub(crate) fn shown(&self, stored: Bytes) -> Result<Bytes, serde_json::Error> {
        if self.resource.is_view() { Ok(serde_json::to_vec(&self.decode(&stored)?)?.into()) } else { Ok(stored) }
    }

    /// Where the revision stands in stored bytes.
    fn revision(&self, stored: &[u8]) -> std::ops::Range<usize> {
        const FIELD: &[u8] = b"\"resourceVersion\":\"";
        let mut from = self.head.len();
        if !stored.starts_with(self.head.as_bytes()) {
            // A custom object that was stored in another version.
            let found = stored.windows(FIELD.len()).position(|window| window == FIELD);
            from = found.map_or(stored.len(), |at| at + FIELD.len());
        }
        let rest = stored.get(from..).unwrap_or_default();
        from..from + rest.iter().position(|byte| *byte == b'"').unwrap_or_default()
    }

    /// Stored bytes with the hole open again, for a tombstone.
    pub(crate) fn reopen(&self, stored: &[u8]) -> skiff_store::Value {
        let revision = self.revision(stored);
        let mut out = Vec::with_capacity(stored.len());
        out.extend_from_slice(&stored[..revision.start]);
        out.extend_from_slice(&stored[revision.end..]);
        skiff_store::Value::with_revision_at(out, revision.start)
    }

    /// Stored bytes with another revision.
    pub(crate) fn at_revision(&self, stored: &[u8], revision: u64) -> Bytes {
        let old = self.revision(stored);
        [&stored[..old.start], revision.to_string().as_bytes(), &stored[old.end..]].concat().into()
    }

    /// Whether an encoded object says the same as what is stored.
    pub(crate) fn same(&self, encoded: &skiff_store::Value, stored: &[u8]) -> bool {
        let revision = self.revision(stored);
        let at = revision.start.min(encoded.bytes.len());
        encoded.bytes[..at] == stored[..revision.start.min(stored.len())]
            && encoded.bytes[at..] == stored[revision.end.min(stored.len())..]
    }
}

/// What an object of that kind and version begins with, up to the hole for the revision.
fn head_of(kind: &str, api_version: &str) -> String {
    format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{{"resourceVersion":""#)
}

fn append(out: &mut Vec<u8>, fields: &Map<String, Value>, but: &[&str]) -> Result<(), serde_json::Error> {
    for (name, value) in fields.iter().filter(|(name, _)| !but.contains(&name.as_str())) {
        out.push(b',');
        serde_json::to_writer(&mut *out, name)?;
        out.push(b':');
        serde_json::to_writer(&mut *out, value)?;
    }
    Ok(())
}

/// The object in stored bytes.
pub(crate) fn decode(entry: &Entry) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(&entry.value)
}

/// All built-in kinds. There is one set of them, however many servers a process has.
pub(crate) fn all() -> &'static [Kind] {
    static KINDS: OnceLock<Vec<Kind>> = OnceLock::new();
    KINDS.get_or_init(|| skiff_api::resource::all().iter().map(|one| Kind::new(AnyResource::Builtin(one))).collect())
}

/// The built-in kind with this group, version and plural.
pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    all().iter().find(|kind| kind.is(group, plural) && kind.resource.version() == version)
}

/// The built-in kind with this group and plural, in the version that is stored.
pub(crate) fn of(group: &str, plural: &str) -> Option<&'static Kind> {
    all().iter().find(|kind| kind.is(group, plural) && !kind.resource.is_view())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stored_bytes_begin_with_the_revision() {
        let kind = of("", "configmaps").unwrap();
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "data": {"a": "\"resourceVersion\":\"1\""},
            "metadata": {"name": "n", "namespace": "d", "resourceVersion": "7"}});
        let encoded = kind.encode(&object).unwrap();
        let stored =
            [&encoded.bytes[..encoded.revision_at.unwrap()], b"42", &encoded.bytes[encoded.revision_at.unwrap()..]]
                .concat();
        let parsed: Value = serde_json::from_slice(&stored).unwrap();
        assert_eq!(parsed["metadata"]["resourceVersion"], "42");
        assert_eq!(parsed["data"], object["data"]);
        assert_eq!(kind.reopen(&stored), encoded);
        assert!(kind.same(&encoded, &stored));
        let mut other = object.clone();
        other["data"]["a"] = json!("");
        assert!(!kind.same(&kind.encode(&other).unwrap(), &stored));
        let later: Value = serde_json::from_slice(&kind.at_revision(&stored, 100)).unwrap();
        assert_eq!(later["metadata"]["resourceVersion"], "100");
    }

    #[test]
    fn keys_hold_namespace_and_name() {
        let (pods, nodes) = (of("", "pods").unwrap(), of("", "nodes").unwrap());
        assert_eq!(pods.names(&pods.key("a", "b")), ("a", "b"));
        assert_eq!(nodes.names(&nodes.key("", "b")), ("", "b"));
        assert!(pods.key("a", "b").starts_with(&pods.prefix_in("a")));
        assert!(!pods.key("ab", "b").starts_with(&pods.prefix_in("a")));
    }
}
