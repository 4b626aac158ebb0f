//! The options in a request's query, taken apart once; their meaning is the verbs' business.

use std::time::Duration;

use super::info::percent_decode;

/// The decoded pairs of a query, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

/// An option whose value has the wrong form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadOption {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    /// What was expected, in Kubernetes's words.
    pub(crate) expected: &'static str,
}

impl Query {
    /// Decodes `a=b&c=d`. What is no UTF-8 is left out, as Kubernetes's decoder does with broken pairs.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let decode = |text: &str| percent_decode(&text.replace('+', " "));
        let pairs = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        Self { pairs: pairs.collect() }
    }

    /// The first value of that name; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// All values of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether the name is there at all, be it without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(own, _)| own == name)
    }

    /// Kubernetes takes anything but `0` and `false` for true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.optional_flag(name).unwrap_or(false)
    }

    /// The same, telling absent from false.
    pub(crate) fn optional_flag(&self, name: &str) -> Option<bool> {
        let value = self.pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())?;
        Some(!matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
    }

    /// A whole number.
    pub(crate) fn integer(&self, name: &'static str) -> Result<Option<i64>, BadOption> {
        self.get(name)
            .map(|value| {
                value.parse().map_err(|_| BadOption { name, value: value.to_owned(), expected: "invalid syntax" })
            })
            .transpose()
    }

    /// A number of seconds, zero or more.
    pub(crate) fn seconds(&self, name: &'static str) -> Result<Option<Duration>, BadOption> {
        Ok(self.integer(name)?.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
    }

    /// The pairs again, as a query, but only those whose name passes.
    pub(crate) fn encode(&self, keep: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        for (name, value) in self.pairs.iter().filter(|(name, _)| keep(name)) {
            if !text.is_empty() {
                text.push('&');
            }
            percent_encode(name, &mut text);
            text.push('=');
            percent_encode(value, &mut text);
        }
        text
    }
}

fn percent_encode(text: &str, into: &mut String) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            into.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_encoded() {
        let query = Query::parse(Some("labelSelector=a%3Db%2Cc+in+(d)&watch&limit=5&limit=6&empty="));
        assert_eq!(query.get("labelSelector"), Some("a=b,c in (d)"));
        assert!(query.flag("watch"));
        assert_eq!(query.integer("limit"), Ok(Some(5)));
        assert_eq!(query.get("empty"), None);
        assert!(query.has("empty"));
        assert_eq!(query.all("limit").count(), 2);
        assert_eq!(query.encode(|name| name == "labelSelector"), "labelSelector=a%3Db%2Cc%20in%20%28d%29");
    }

    #[test]
    fn flags_are_true_unless_zero_or_false() {
        let query = Query::parse(Some("a=true&b=1&c=0&d=false&e=False"));
        assert_eq!([query.flag("a"), query.flag("b"), query.flag("c"), query.flag("d")], [true, true, false, false]);
        assert!(!query.flag("e"));
        assert_eq!(query.optional_flag("f"), None);
    }

    #[test]
    fn a_bad_number_is_an_error() {
        assert!(Query::parse(Some("limit=abc")).integer("limit").is_err());
        assert_eq!(Query::parse(Some("timeoutSeconds=-3")).seconds("timeoutSeconds"), Ok(Some(Duration::ZERO)));
    }
}
