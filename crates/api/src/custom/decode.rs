//! From a request's body to an object of a custom kind, with the messages of kube-apiserver.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{CustomResource, shape};
use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::resource::FieldValidation;
use crate::status::{Qualified, Status};

const MOST: usize = 100;

impl CustomResource {
    pub(crate) fn decode(&self, body: &[u8], validation: FieldValidation) -> Result<(Value, Vec<String>), Status> {
        let found = Found::default();
        let mut source = serde_json::Deserializer::from_slice(body);
        let read = Seed(&found).deserialize(&mut source).and_then(|value| source.end().map(|()| value));
        let mut object = read.map_err(|error| {
            let kind = &self.names.kind;
            Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse \
                 error: {error}"
            ))
        })?;
        let mut strict = found.duplicates.into_inner();
        self.shaped(&mut object, &mut strict)?;
        self.reported(object, strict, validation, |why| {
            let (kind, version) = (&self.names.kind, &self.version);
            Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
        })
    }

    pub(crate) fn decode_patched(
        &self,
        patched: &Value,
        patch: &[u8],
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), Status> {
        let (mut object, mut strict) = (patched.clone(), Vec::new());
        self.shaped(&mut object, &mut strict)?;
        self.reported(object, strict, validation, |why| {
            let at = Path::new("patch");
            let error = FieldError::invalid(&at, String::from_utf8_lossy(patch).into_owned(), why);
            Status::invalid(Qualified::new("", ""), "", &[error])
        })
    }

    fn reported(
        &self,
        object: Value,
        strict: Vec<String>,
        validation: FieldValidation,
        refuse: impl Fn(String) -> Status,
    ) -> Result<(Value, Vec<String>), Status> {
        match validation {
            FieldValidation::Strict if !strict.is_empty() => {
                Err(refuse(format!("strict decoding error: {}", strict.join(", "))))
            }
            FieldValidation::Warn => Ok((object, strict)),
            _ => Ok((object, Vec::new())),
        }
    }

    /// Brings what was read into the shape of this kind.
    fn shaped(&self, object: &mut Value, strict: &mut Vec<String>) -> Result<(), Status> {
        if !object.is_object() {
            return Err(Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): it is no JSON object",
                self.names.kind
            )));
        }
        self.check_kind(object)?;
        let mut unknown = Vec::new();
        shape::prune(&self.schema, object, &mut unknown);
        strict.extend(unknown.into_iter().map(|path| format!("unknown field {path:?}")));
        self.check_metadata(object)?;
        if let Some(map) = object.as_object_mut() {
            map.insert("apiVersion".to_owned(), self.api_version().into());
            map.insert("kind".to_owned(), self.names.kind.as_str().into());
            meta::child_mut(map, "metadata");
        }
        Ok(())
    }

    fn check_metadata(&self, object: &Value) -> Result<(), Status> {
        let Some(metadata) = object.get("metadata").filter(|metadata| !metadata.is_null()) else { return Ok(()) };
        match crate::schema::decode(crate::schema::OBJECT_META, metadata) {
            Ok(_) if metadata.is_object() => Ok(()),
            Ok(_) => Err(Status::bad_request("metadata must be an object")),
            Err(error) => Err(Status::bad_request(format!("failed to decode metadata: {error}"))),
        }
    }

    fn check_kind(&self, object: &Value) -> Result<(), Status> {
        let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
        let expected = self.api_version();
        if let Some(version) = version.filter(|version| !version.is_empty() && *version != expected) {
            return Err(Status::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version ({expected})"
            )));
        }
        match kind.filter(|kind| !kind.is_empty() && *kind != self.names.kind) {
            Some(kind) => Err(Status::bad_request(format!(
                "the kind in the data ({kind}) does not match the expected kind ({})",
                self.names.kind
            ))),
            None => Ok(()),
        }
    }
}

/// What a reader notices besides the values.
#[derive(Default)]
struct Found {
    path: RefCell<String>,
    duplicates: RefCell<Vec<String>>,
}

/// Reads any JSON and notices fields that are there twice; the last one counts.
struct Seed<'a>(&'a Found);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let length = self.0.path.borrow().len();
            self.0.path.borrow_mut().push_str(&format!("[{}]", list.len()));
            let item = items.next_element_seed(Seed(self.0))?;
            self.0.path.borrow_mut().truncate(length);
            match item {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let length = self.0.path.borrow().len();
            let dot = if length == 0 { "" } else { "." };
            self.0.path.borrow_mut().push_str(&format!("{dot}{key}"));
            if map.contains_key(&key) && self.0.duplicates.borrow().len() < MOST {
                let message = format!("duplicate field {:?}", self.0.path.borrow().as_str());
                self.0.duplicates.borrow_mut().push(message);
            }
            let value = entries.next_value_seed(Seed(self.0))?;
            self.0.path.borrow_mut().truncate(length);
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
