//! From a request's body to an object of its kind, with the messages of kube-apiserver.

use serde_json::Value;

use super::Resource;
use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::schema::{self, DecodeError, Decoded};
use crate::status::{Qualified, Status};

/// What happens to unknown and duplicate fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are left out silently.
    Ignore,
    /// They are left out with a warning.
    #[default]
    Warn,
    /// They are an error.
    Strict,
}

impl FieldValidation {
    /// Reads the query parameter `fieldValidation`.
    pub fn parse(text: &str) -> Result<Self, Status> {
        match text {
            "" | "Warn" => Ok(Self::Warn),
            "Ignore" => Ok(Self::Ignore),
            "Strict" => Ok(Self::Strict),
            other => {
                let path = Path::new("fieldValidation");
                let error = FieldError::not_supported(&path, other, &["", "Ignore", "Strict", "Warn"]);
                Err(Status::bad_request(format!("invalid query parameters: {error}")))
            }
        }
    }
}

impl Resource {
    /// Reads an object of this kind from a request's body. `Ok` comes with the warnings to be sent.
    pub fn decode(&self, body: &[u8], validation: FieldValidation) -> Result<(Value, Vec<String>), Status> {
        let mut source = serde_json::Deserializer::from_slice(body);
        let decoded = schema::decode(self.type_name, &mut source);
        let decoded = decoded.and_then(|d| source.end().map(|()| d).map_err(|e| DecodeError::Syntax(e.to_string())));
        self.accept(decoded, validation, body)
    }

    /// The same for a body that was parsed already (YAML, for example).
    pub fn decode_value(&self, body: &Value, validation: FieldValidation) -> Result<(Value, Vec<String>), Status> {
        self.accept(schema::decode(self.type_name, body), validation, b"")
    }

    /// The same for the outcome of a patch, which is at fault where a field is wrong.
    pub fn decode_patched(
        &self,
        patched: &Value,
        patch: &[u8],
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), Status> {
        let at = Path::new("patch");
        let invalid = |detail: String| {
            let error = FieldError::invalid(&at, String::from_utf8_lossy(patch).into_owned(), detail);
            Status::invalid(Qualified::new("", ""), "", &[error])
        };
        match schema::decode(self.type_name, patched) {
            Ok(decoded) if validation == FieldValidation::Strict && !decoded.strict.is_empty() => {
                Err(invalid(strict_error(&decoded.strict)))
            }
            Ok(decoded) => {
                let (mut object, warnings) = (decoded.object, decoded.strict);
                self.set_kind(&mut object);
                Ok((object, if validation == FieldValidation::Warn { warnings } else { Vec::new() }))
            }
            Err(error) => Err(Status::bad_request(error.to_string())),
        }
    }

    fn accept(
        &self,
        decoded: Result<Decoded, DecodeError>,
        validation: FieldValidation,
        body: &[u8],
    ) -> Result<(Value, Vec<String>), Status> {
        let cannot = |why: &str| {
            let (kind, version) = (self.kind, self.version);
            Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
        };
        let Decoded { mut object, strict } = decoded.map_err(|error| match error {
            DecodeError::Syntax(error) => Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse \
                 error: {error} ({})",
                self.kind,
                summary(body)
            )),
            DecodeError::Type(error) => cannot(&error),
        })?;
        self.check_kind(&object)?;
        if validation == FieldValidation::Strict && !strict.is_empty() {
            return Err(cannot(&strict_error(&strict)));
        }
        self.set_kind(&mut object);
        Ok((object, if validation == FieldValidation::Warn { strict } else { Vec::new() }))
    }

    fn check_kind(&self, object: &Value) -> Result<(), Status> {
        let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
        let expected = self.api_version();
        match version {
            Some(version) if !version.is_empty() && version != expected => Err(Status::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version ({expected})"
            ))),
            _ => match kind {
                Some(kind) if !kind.is_empty() && kind != self.kind => Err(Status::bad_request(format!(
                    "the kind in the data ({kind}) does not match the expected kind ({})",
                    self.kind
                ))),
                _ => Ok(()),
            },
        }
    }

    pub(super) fn set_kind(&self, object: &mut Value) {
        if let Some(map) = object.as_object_mut() {
            map.insert("apiVersion".to_owned(), self.api_version().into());
            map.insert("kind".to_owned(), self.kind.into());
            if let Some(metadata) = meta::child_mut(map, "metadata") {
                meta::leave_out_empty(metadata);
            }
        }
    }
}

fn strict_error(errors: &[String]) -> String {
    format!("strict decoding error: {}", errors.join(", "))
}

/// The beginning of a body that could not be read.
fn summary(body: &[u8]) -> String {
    const MOST: usize = 30;
    let start = &body[..body.len().min(MOST)];
    let text = match body.first() {
        None => return "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(start).into_owned(),
        Some(_) => start.iter().map(|b| format!("{b:02x}")).collect(),
    };
    if body.len() > MOST { format!("{text} ...") } else { text }
}
