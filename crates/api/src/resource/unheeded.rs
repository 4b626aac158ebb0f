//! Kinds that are stored, checked and listed, and that no part of the cluster acts on: whoever writes one
//! is told so. Without that, an object that does nothing looks like one that is about to do something.

use serde_json::Value;

/// What becomes of the objects of a kind instead of what the API promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheeded {
    /// What follows "is stored, but"; `None`: its controller is missing.
    but: Option<&'static str>,
    /// Only objects with a value at this JSON pointer are meant,
    given: &'static str,
    /// and if that is text, it starts with this.
    starting: &'static str,
}

impl Unheeded {
    /// A kind whose controller is missing.
    pub(crate) const NO_CONTROLLER: Self = Self { but: None, given: "", starting: "" };

    /// A kind that is stored, but …
    pub(crate) const fn but(what: &'static str) -> Self {
        Self { but: Some(what), ..Self::NO_CONTROLLER }
    }

    /// The same only for objects that have something at `pointer`; text there has to start with `starting`.
    pub(crate) const fn given(self, pointer: &'static str, starting: &'static str) -> Self {
        Self { given: pointer, starting, ..self }
    }

    /// What to tell whoever writes this object of that kind.
    pub(crate) fn warning(self, kind: &str, object: &Value) -> Option<String> {
        let meant = match object.pointer(self.given)? {
            Value::Null => false,
            Value::Array(list) => !list.is_empty(),
            Value::String(text) => text.starts_with(self.starting),
            _ => true,
        };
        meant.then(|| match self.but {
            Some(but) => format!("{kind} is stored, but {but}"),
            None => format!("{kind} is stored, but nothing acts on it: skiff has no {kind} controller yet"),
        })
    }
}
