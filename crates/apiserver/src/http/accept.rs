//! Which form of answer a client accepts: plain objects, a `Table`, or metadata only; JSON or YAML.

use http::{
    HeaderMap,
    header::{ACCEPT, USER_AGENT},
};

use super::query::Query;
use crate::protobuf;

/// How the answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `application/json`
    #[default]
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

/// In the order in which they are offered, and taken where a client takes any.
const ENCODINGS: [Encoding; 3] = [Encoding::Json, Encoding::Yaml, Encoding::Protobuf];

impl Encoding {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => protobuf::MEDIA_TYPE,
        }
    }

    /// Whether events can be sent one after the other in it.
    pub(crate) fn streams(self) -> bool {
        self != Self::Yaml
    }
}

/// What the objects are turned into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// The objects as they are.
    #[default]
    Object,
    /// A `meta.k8s.io` `Table`.
    Table,
    /// `PartialObjectMetadata`, or a list of them.
    Metadata,
    /// Aggregated discovery, `apidiscovery.k8s.io`.
    Discovery,
}

/// The form that a request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) encoding: Encoding,
    pub(crate) form: Form,
    /// The version of the form's group: `v1` or `v1beta1` of `meta.k8s.io`, `v2` of `apidiscovery.k8s.io`.
    pub(crate) version: &'static str,
    /// Whether the offer itself asks for an answer laid out for people.
    pub(crate) pretty: bool,
}

/// The first offer in the client's order that we have. `None` is 406 Not Acceptable.
///
/// `has` says in which encodings each form is to be had.
pub(crate) fn negotiate(headers: &HeaderMap, has: impl Fn(Encoding, Form) -> bool) -> Option<Accepted> {
    let mut offers: Vec<(u16, &str)> = Vec::new();
    let values = headers.get_all(ACCEPT).iter();
    for offer in values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        let offer = offer.trim();
        if !offer.is_empty() {
            offers.push((quality(offer), offer));
        }
    }
    if offers.is_empty() {
        return Some(Accepted::default());
    }
    offers.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
    offers.iter().filter(|(quality, _)| *quality > 0).find_map(|(_, offer)| understand(offer, &has))
}

/// Whether the answer is to be laid out for people: as they say, or if they use curl, wget or a browser.
pub(crate) fn pretty(query: &Query, headers: &HeaderMap) -> bool {
    query.optional_flag("pretty").unwrap_or_else(|| {
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        ["curl", "Wget", "Mozilla/5.0"].iter().any(|one| agent.starts_with(one))
    })
}

/// The `q` of an offer, in thousandths.
fn quality(offer: &str) -> u16 {
    let given = offer.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    match given.and_then(|value| value.parse::<f32>().ok()) {
        Some(value) if value <= 0.0 => 0,
        Some(value) if value < 1.0 => (value * 1000.0) as u16,
        _ => 1000,
    }
}

fn understand(offer: &str, has: impl Fn(Encoding, Form) -> bool) -> Option<Accepted> {
    let mut parts = offer.split(';').map(str::trim);
    let media_type = parts.next()?.to_ascii_lowercase();
    let any = matches!(media_type.as_str(), "*/*" | "application/*");
    let (mut converted, mut streamed) = (None::<[&str; 3]>, false);
    let mut pretty = false;
    for parameter in parts {
        match parameter.split_once('=') {
            Some(("as", value)) => converted.get_or_insert_default()[0] = value,
            Some(("g", value)) => converted.get_or_insert_default()[1] = value,
            Some(("v", value)) => converted.get_or_insert_default()[2] = value,
            Some(("stream", "watch")) => streamed = true,
            Some(("stream" | "sv", value)) if !value.is_empty() => return None,
            Some(("pretty", value)) => pretty = value == "1",
            _ => {}
        }
    }
    let (form, version) = form(converted)?;
    let fits = |encoding: &Encoding| {
        (any || media_type == encoding.media_type()) && (!streamed || encoding.streams()) && has(*encoding, form)
    };
    let encoding = ENCODINGS.into_iter().find(fits)?;
    Some(Accepted { encoding, form, version, pretty })
}

/// What an offer wants objects to be turned into: kind, group and version.
fn form(converted: Option<[&str; 3]>) -> Option<(Form, &'static str)> {
    let Some(converted) = converted else { return Some((Form::Object, "")) };
    Some(match converted {
        ["Table", "meta.k8s.io", "v1"] => (Form::Table, "v1"),
        ["Table", "meta.k8s.io", "v1beta1"] => (Form::Table, "v1beta1"),
        ["PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1"] => (Form::Metadata, "v1"),
        ["PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1beta1"] => {
            (Form::Metadata, "v1beta1")
        }
        ["APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2"] => (Form::Discovery, "v2"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &str) -> Option<Accepted> {
        asked_of(accept, true)
    }

    fn asked_of(accept: &str, protobuf: bool) -> Option<Accepted> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        negotiate(&headers, |encoding, form| match (encoding, form) {
            (Encoding::Protobuf, Form::Object) => protobuf,
            (Encoding::Protobuf, form) => form == Form::Metadata,
            _ => true,
        })
    }

    #[test]
    fn the_first_offer_that_we_have_wins() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(asked(kubectl).unwrap().form, Form::Table);
        assert_eq!(asked("application/vnd.kubernetes.protobuf, */*").unwrap().encoding, Encoding::Protobuf);
        assert_eq!(asked("*/*").unwrap(), Accepted::default());
        assert_eq!(asked("application/yaml").unwrap().encoding, Encoding::Yaml);
        assert_eq!(asked("application/json;q=0.1,application/yaml").unwrap().encoding, Encoding::Yaml);
        assert_eq!(asked("application/json;as=Table;v=v9;g=meta.k8s.io"), None);
        assert_eq!(asked("application/json;g=meta.k8s.io"), None, "a group of nothing");
        assert_eq!(asked("text/html"), None);
        let discovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        assert_eq!(asked(discovery).unwrap().form, Form::Discovery);
    }

    #[test]
    fn protobuf_is_to_be_had_where_it_is() {
        assert_eq!(asked_of("application/vnd.kubernetes.protobuf,application/json", false), Some(Accepted::default()));
        assert_eq!(asked_of("application/vnd.kubernetes.protobuf", false), None);
        let table = "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io";
        assert_eq!(asked(table), None);
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
        assert_eq!(asked_of(metadata, false).unwrap().form, Form::Metadata);
        assert_eq!(asked("application/yaml;stream=watch"), None);
        assert_eq!(asked("application/vnd.kubernetes.protobuf;stream=watch").unwrap().encoding, Encoding::Protobuf);
        assert!(asked("application/json;pretty=1").unwrap().pretty);
    }
}
