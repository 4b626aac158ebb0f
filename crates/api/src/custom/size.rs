//! How large values of a schema may be, for what expressions about them may cost.

use super::schema::{Additional, Schema, Sort};

/// What nothing limits is limited by what a request may hold.
const UNBOUNDED: f64 = 3_145_726.0;

impl Schema {
    /// The schema of a list's items or a map's values.
    pub(crate) fn inner(&self) -> Option<&Self> {
        match &self.additional {
            Additional::Of(of) => Some(of),
            _ => self.items.as_deref(),
        }
    }

    /// How many items, entries or bytes a value has at most.
    pub(crate) fn most(&self) -> f64 {
        let limits = self.limits();
        match self.sort {
            Sort::String => match (self.format(), limits.text) {
                (Some("duration" | "date" | "date-time"), _) => 32.0,
                (_, Some(most)) => 4.0 * most as f64,
                _ => UNBOUNDED,
            },
            Sort::Array => limits
                .items
                .map_or_else(|| UNBOUNDED / (self.items.as_deref().map_or(1.0, Self::least) + 1.0), |most| most as f64),
            Sort::Object => match (self.inner(), limits.entries) {
                (None, _) => 0.0,
                (Some(_), Some(most)) => most as f64,
                (Some(of), None) => UNBOUNDED / (of.least() + 6.0),
            },
            _ => 0.0,
        }
    }

    /// How many bytes a value has at least, as text.
    pub(crate) fn least(&self) -> f64 {
        match self.sort {
            Sort::Boolean => 4.0,
            Sort::Integer | Sort::Number => 1.0,
            Sort::Object => {
                let required = self.required().filter_map(|name| Some((name, self.properties.get(name)?)));
                let fields = required.filter(|(_, of)| of.default.is_none());
                2.0 + fields.map(|(name, of)| name.len() as f64 + 4.0 + of.least()).sum::<f64>()
            }
            _ => 2.0,
        }
    }
}
