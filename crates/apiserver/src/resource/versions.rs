//! The other versions of a call's kind, for owners that wrote those.
//!
//! Where a webhook converts, nothing can be converted while owners are compared: what is missing is written
//! down, fetched, and the comparison made again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use skiff_api::{
    managed::{Schema, Unconverted, Versions},
    resource::{self, AnyResource, Resource},
    status::Status,
};

use super::Call;
use crate::kind::KindRef;

/// The versions of a kind.
pub(super) struct Others<'a> {
    call: &'a Call,
    /// Those of a custom kind that are served.
    served: Vec<KindRef>,
    asked: Mutex<Vec<Asked>>,
}

/// An object that somebody else converts.
struct Asked {
    object: Value,
    to: String,
    answer: Option<Value>,
}

impl<'a> Others<'a> {
    pub(super) fn of(call: &'a Call) -> Self {
        let served = match call.kind.resource.custom() {
            Some(of) => call.state.kinds.of_definition(&of.definition),
            None => Vec::new(),
        };
        Self { call, served, asked: Mutex::default() }
    }

    fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches what was missing; false: nothing was.
    pub(super) async fn fetch(&self) -> Result<bool, Status> {
        let Some(converter) = &self.call.kind.converter else { return Ok(false) };
        let open = self.asked().iter().find(|one| one.answer.is_none()).map(|one| (one.object.clone(), one.to.clone()));
        let Some((object, to)) = open else { return Ok(false) };
        let mut answer = converter.convert(&self.call.state, &to, std::slice::from_ref(&object)).await?;
        for one in self.asked().iter_mut().filter(|one| one.answer.is_none() && one.to == to && one.object == object) {
            one.answer = answer.pop();
        }
        Ok(true)
    }

    /// The built-in kind that shows the same stored objects in that version.
    fn builtin(own: &'static Resource, api_version: &str) -> Option<&'static Resource> {
        let found = resource::find_api_kind(api_version, own.kind)?;
        std::ptr::eq(found.stored_as(), own.stored_as()).then_some(found)
    }

    fn fetched(&self, object: Value, to: &str) -> Result<Value, Unconverted> {
        let mut asked = self.asked();
        match asked.iter().find(|one| one.to == to && one.object == object) {
            Some(one) => one.answer.clone().ok_or(Unconverted),
            None => {
                asked.push(Asked { object, to: to.to_owned(), answer: None });
                Err(Unconverted)
            }
        }
    }
}

impl Versions for Others<'_> {
    fn schema(&self, api_version: &str) -> Option<Schema<'_>> {
        match &self.call.kind.resource {
            AnyResource::Builtin(own) => Self::builtin(own, api_version).map(|found| Schema::of_type(found.type_name)),
            AnyResource::Custom(own) => {
                if let Some(kind) = self.served.iter().find(|kind| kind.api_version == api_version) {
                    return Some(kind.resource.schema());
                }
                let (group, version) = api_version.split_once('/')?;
                let known = group == own.group && own.versions.iter().any(|one| one == version);
                known.then_some(Schema::Deduced)
            }
        }
    }

    fn convert(&self, object: &Value, from: &str, to: &str) -> Result<Value, Unconverted> {
        let mut object = object.clone();
        match &self.call.kind.resource {
            AnyResource::Builtin(own) => {
                let find = |api_version| Self::builtin(own, api_version).ok_or(Unconverted);
                find(from)?.to_stored(&mut object);
                find(to)?.from_stored(&mut object);
            }
            AnyResource::Custom(_) => {
                object["kind"] = self.call.kind.resource.kind().into();
                if self.call.kind.converter.is_some() && object.get("metadata").is_some() {
                    object["apiVersion"] = from.into();
                    return self.fetched(object, to);
                }
                object["apiVersion"] = to.into();
            }
        }
        Ok(object)
    }
}
