//! Output: tables as the server made them, JSON, YAML, names, templates.

mod columns;
mod format;
mod table;

pub(crate) use format::{Format, as_list, name, print_object};
pub(crate) use table::{Layout, Table, labels};

use serde_json::Value;

use crate::error::Error;

/// An object as YAML.
pub(crate) fn yaml(value: &Value) -> Result<String, Error> {
    // Long texts stay on one line, as kubectl writes them.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| Error::usage(format!("cannot be written as YAML: {error}")))
}
