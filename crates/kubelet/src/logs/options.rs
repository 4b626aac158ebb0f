//! What a request for logs asks for, from its query.

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::line::Stream;

/// The options of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) follow: bool,
    pub(crate) previous: bool,
    pub(crate) timestamps: bool,
    pub(crate) tail: Option<usize>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) limit: Option<u64>,
    /// One stream only.
    pub(crate) stream: Option<Stream>,
}

/// A query that makes no sense.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum OptionsError {
    /// A value that does not parse.
    #[error("invalid value {value:?} for {name}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Two that exclude each other.
    #[error("at most one of `sinceTime` or `sinceSeconds` may be specified")]
    BothSince,
    /// The last lines of one stream.
    #[error("`tailLines` and specific `stream` are mutually exclusive for now")]
    TailOfStream,
}

impl Options {
    /// Reads a query string.
    pub(crate) fn parse(query: &str, now: Timestamp) -> Result<Self, OptionsError> {
        let mut options = Self::default();
        let mut since_both = (false, false);
        for (name, value) in pairs(query) {
            let bad = |name| OptionsError::Value { name, value: value.clone() };
            match name.as_str() {
                "follow" => options.follow = truth(&value).ok_or_else(|| bad("follow"))?,
                "previous" => options.previous = truth(&value).ok_or_else(|| bad("previous"))?,
                "timestamps" => options.timestamps = truth(&value).ok_or_else(|| bad("timestamps"))?,
                "tailLines" => options.tail = Some(value.parse().map_err(|_| bad("tailLines"))?),
                "limitBytes" => {
                    let limit = value.parse().ok().filter(|&limit| limit > 0);
                    options.limit = Some(limit.ok_or_else(|| bad("limitBytes"))?);
                }
                "sinceSeconds" => {
                    let seconds = value.parse::<i64>().ok().filter(|&seconds| seconds > 0);
                    let ago = SignedDuration::from_secs(seconds.ok_or_else(|| bad("sinceSeconds"))?);
                    options.since = Some(now.saturating_sub(ago).unwrap_or(Timestamp::MIN));
                    since_both.0 = true;
                }
                "sinceTime" => {
                    options.since = Some(value.parse().map_err(|_| bad("sinceTime"))?);
                    since_both.1 = true;
                }
                "stream" => {
                    options.stream = match value.as_str() {
                        "" | "All" => None,
                        "Stdout" => Some(Stream::Out),
                        "Stderr" => Some(Stream::Err),
                        _ => return Err(bad("stream")),
                    };
                }
                // `container` and `pretty` are answered by the API server.
                _ => {}
            }
        }
        match (since_both, options.stream.is_some() && options.tail.is_some()) {
            ((true, true), _) => Err(OptionsError::BothSince),
            (_, true) => Err(OptionsError::TailOfStream),
            _ => Ok(options),
        }
    }
}

fn truth(value: &str) -> Option<bool> {
    match value {
        "" | "true" | "1" | "True" | "t" | "T" => Some(true),
        "false" | "0" | "False" | "f" | "F" => Some(false),
        _ => None,
    }
}

/// The decoded pairs of a query.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// Undoes percent encoding.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_parse() {
        let now = Timestamp::from_second(1000).unwrap();
        let options = Options::parse("follow=true&tailLines=5&timestamps=1&sinceSeconds=10&limitBytes=7", now).unwrap();
        let wanted = Options {
            follow: true,
            previous: false,
            timestamps: true,
            tail: Some(5),
            since: Some(Timestamp::from_second(990).unwrap()),
            limit: Some(7),
            stream: None,
        };
        assert_eq!(options, wanted);
        let at = Options::parse("sinceTime=2024-01-02T03%3A04%3A05Z&container=x", now).unwrap().since.unwrap();
        assert_eq!(at.to_string(), "2024-01-02T03:04:05Z");
        assert_eq!(Options::parse("stream=Stderr", now).unwrap().stream, Some(Stream::Err));
        assert_eq!(Options::parse("stream=All&tailLines=1", now).unwrap().stream, None);
        for bad in [
            "tailLines=-1",
            "tailLines=x",
            "limitBytes=0",
            "sinceSeconds=0",
            "follow=maybe",
            "sinceTime=x",
            "sinceSeconds=1&sinceTime=2024-01-02T03:04:05Z",
            "stream=stdout",
            "stream=Stdout&tailLines=1",
        ] {
            assert!(Options::parse(bad, now).is_err(), "{bad}");
        }
    }
}
