//! The versions of one kind: whoever wrote an object in another version owns fields of that one, so that
//! what a write changes has to be seen as that version shows it.

use std::borrow::Cow;

use serde_json::Value;

use super::compare::{Difference, compare};
use super::schema::Schema;
use super::{Author, Set};

/// What is known of the versions of a kind.
pub trait Versions {
    /// How objects of a version merge; `None`: there is no such version, or no more.
    fn schema(&self, api_version: &str) -> Option<Schema<'_>>;

    /// An object in that version.
    fn convert(&self, object: &Value, from: &str, to: &str) -> Result<Value, Unconverted>;
}

/// Who converts has to be asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the object is not available in another version yet")]
pub struct Unconverted;

/// How a write is judged.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// How objects merge in the version in which they are written.
    pub schema: Schema<'a>,
    /// The other versions of the kind.
    pub versions: &'a dyn Versions,
    /// What nobody comes to own by this write.
    pub reset: &'a Set,
}

impl<'a> Rules<'a> {
    /// How objects merge in that version.
    pub(super) fn schema_of(&self, author: &Author<'_>, api_version: &str) -> Option<Schema<'a>> {
        if api_version == author.api_version { Some(self.schema) } else { self.versions.schema(api_version) }
    }

    /// An object of one version in another.
    pub(super) fn convert<'v>(&self, object: &'v Value, from: &str, to: &str) -> Result<Cow<'v, Value>, Unconverted> {
        if from == to { Ok(Cow::Borrowed(object)) } else { self.versions.convert(object, from, to).map(Cow::Owned) }
    }
}

/// What a write changes, as the versions of the kind show it. Each is looked at only if somebody owns
/// something there.
pub(super) struct Changes<'a> {
    rules: Rules<'a>,
    author: &'a Author<'a>,
    live: &'a Value,
    new: &'a Value,
    found: Vec<(String, Option<Difference>)>,
}

impl<'a> Changes<'a> {
    /// What is different between the two; they are of the author's version.
    pub(super) fn between(rules: Rules<'a>, author: &'a Author<'a>, live: &'a Value, new: &'a Value) -> Self {
        let own = compare(rules.schema, live, new).without(rules.reset);
        Self { rules, author, live, new, found: vec![(author.api_version.to_owned(), Some(own))] }
    }

    /// In the author's own version.
    pub(super) fn own(&self) -> &Difference {
        static NONE: Difference = Difference { added: Set::NONE, modified: Set::NONE, removed: Set::NONE };
        self.found.first().and_then(|(_, found)| found.as_ref()).unwrap_or(&NONE)
    }

    /// In that version; `None`: there is no such version any more.
    pub(super) fn at(&mut self, api_version: &str) -> Result<Option<&Difference>, Unconverted> {
        let at = match self.found.iter().position(|(known, _)| known == api_version) {
            Some(at) => at,
            None => {
                let found = self.compare(api_version)?;
                self.found.push((api_version.to_owned(), found));
                self.found.len() - 1
            }
        };
        Ok(self.found.get(at).and_then(|(_, found)| found.as_ref()))
    }

    fn compare(&self, api_version: &str) -> Result<Option<Difference>, Unconverted> {
        let Some(schema) = self.rules.schema_of(self.author, api_version) else { return Ok(None) };
        let convert = |object: &'a Value| self.rules.convert(object, self.author.api_version, api_version);
        Ok(Some(compare(schema, &*convert(self.live)?, &*convert(self.new)?).without(self.rules.reset)))
    }
}
