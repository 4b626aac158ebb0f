//! The other versions of a call's kind, for owners that wrote those.

use serde_json::Value;
use skiff_api::{
    managed::{Schema, Unconverted, Versions},
    resource::{self, AnyResource, Resource},
};

use super::Call;
use crate::kind::KindRef;

/// The versions of a kind.
pub(super) struct Others<'a> {
    call: &'a Call,
    /// Those of a custom kind that are served.
    served: Vec<KindRef>,
}

impl<'a> Others<'a> {
    pub(super) fn of(call: &'a Call) -> Self {
        let served = match call.kind.resource.custom() {
            Some(of) => call.state.kinds.of_definition(&of.definition),
            None => Vec::new(),
        };
        Self { call, served }
    }

    /// The built-in kind that shows the same stored objects in that version.
    fn builtin(&self, own: &'static Resource, api_version: &str) -> Option<&'static Resource> {
        let found = resource::find_api_kind(api_version, own.kind)?;
        std::ptr::eq(found.stored_as(), own.stored_as()).then_some(found)
    }
}

impl Versions for Others<'_> {
    fn schema(&self, api_version: &str) -> Option<Schema<'_>> {
        match &self.call.kind.resource {
            AnyResource::Builtin(own) => self.builtin(own, api_version).map(|found| Schema::of_type(found.type_name)),
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
                let find = |api_version| self.builtin(own, api_version).ok_or(Unconverted);
                find(from)?.to_stored(&mut object);
                find(to)?.from_stored(&mut object);
            }
            AnyResource::Custom(_) => object["apiVersion"] = to.into(),
        }
        Ok(object)
    }
}
