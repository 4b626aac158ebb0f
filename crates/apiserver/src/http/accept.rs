//! Which form of answer a client accepts: plain objects, a `Table`, or metadata only; JSON or YAML.

use http::{
    HeaderMap,
    header::{ACCEPT, USER_AGENT},
};

use super::query::Query;

/// How the answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `application/json`
    #[default]
    Json,
    /// `application/yaml`
    Yaml,
}

impl Encoding {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
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
}

/// The first offer in the client's order that we have. `None` is 406 Not Acceptable.
pub(crate) fn negotiate(headers: &HeaderMap) -> Option<Accepted> {
    let mut values = headers.get_all(ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return Some(Accepted::default());
    }
    let mut offers: Vec<(u16, &str)> = Vec::new();
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
    offers.iter().filter(|(quality, _)| *quality > 0).find_map(|(_, offer)| understand(offer))
}

/// Whether the answer is to be laid out for people: as they say, or if they use curl or wget.
pub(crate) fn pretty(query: &Query, headers: &HeaderMap) -> bool {
    query.optional_flag("pretty").unwrap_or_else(|| {
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        agent.starts_with("curl/") || agent.starts_with("Wget/")
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

fn understand(offer: &str) -> Option<Accepted> {
    let mut parts = offer.split(';').map(str::trim);
    let encoding = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/json" | "*/*" | "application/*" => Encoding::Json,
        "application/yaml" => Encoding::Yaml,
        _ => return None,
    };
    let (mut kind, mut group, mut version) = ("", "", "");
    for parameter in parts {
        match parameter.split_once('=') {
            Some(("as", value)) => kind = value,
            Some(("g", value)) => group = value,
            Some(("v", value)) => version = value,
            _ => {}
        }
    }
    let (form, version) = match (kind, group, version) {
        ("", _, _) => (Form::Object, ""),
        ("Table", "meta.k8s.io", "v1") => (Form::Table, "v1"),
        ("Table", "meta.k8s.io", "v1beta1") => (Form::Table, "v1beta1"),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1") => (Form::Metadata, "v1"),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1beta1") => {
            (Form::Metadata, "v1beta1")
        }
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => (Form::Discovery, "v2"),
        _ => return None,
    };
    Some(Accepted { encoding, form, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &str) -> Option<Accepted> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        negotiate(&headers)
    }

    #[test]
    fn the_first_offer_that_we_have_wins() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(asked(kubectl).unwrap().form, Form::Table);
        assert_eq!(asked("application/vnd.kubernetes.protobuf, */*").unwrap(), Accepted::default());
        assert_eq!(asked("application/yaml").unwrap().encoding, Encoding::Yaml);
        assert_eq!(asked("application/json;q=0.1,application/yaml").unwrap().encoding, Encoding::Yaml);
        assert_eq!(asked("application/json;as=Table;v=v9;g=meta.k8s.io"), None);
        assert_eq!(asked("application/vnd.kubernetes.protobuf"), None);
        assert_eq!(asked("text/html"), None);
        let discovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        assert_eq!(asked(discovery).unwrap().form, Form::Discovery);
    }
}
