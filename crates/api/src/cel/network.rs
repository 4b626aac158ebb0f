//! Kubernetes's types for addresses and URLs.

use std::net::IpAddr;

use ipnet::IpNet;

use super::value::Val;

/// A URL, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct Url {
    pub(super) text: String,
    scheme: String,
    host: String,
    path: String,
    query: String,
}

/// Reads an absolute URL, or an absolute path.
pub(super) fn url(text: &str) -> Option<Url> {
    if text.chars().any(|letter| letter.is_control() || letter == ' ') {
        return None;
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None if text.starts_with('/') => ("", text),
        None => return None,
    };
    if !scheme.is_empty() && !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        return None;
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match scheme.is_empty() {
        true => ("", rest),
        false => rest.find('/').map_or((rest, ""), |at| rest.split_at(at)),
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let port = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map(|(_, port)| port);
    if port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let own = str::to_owned;
    Some(Url { text: own(text), scheme: own(scheme), host: own(host), path: own(path), query: own(query) })
}

impl Url {
    fn port(&self) -> &str {
        self.host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map(|(_, port)| port).unwrap_or_default()
    }

    fn hostname(&self) -> &str {
        let host = self.host.strip_suffix(self.port()).unwrap_or(&self.host);
        host.trim_end_matches(':').trim_start_matches('[').trim_end_matches(']')
    }
}

/// The methods of URLs.
pub(super) fn url_method<'a>(name: &str, url: &Url) -> Option<Val<'a>> {
    Some(match name {
        "getScheme" => Val::text(&url.scheme),
        "getHost" => Val::text(&url.host),
        "getHostname" => Val::text(url.hostname()),
        "getPort" => Val::text(url.port()),
        "getEscapedPath" => Val::text(&url.path),
        "getQuery" => {
            let mut pairs: Vec<(String, Vec<Val<'a>>)> = Vec::new();
            for pair in url.query.split('&').filter(|pair| !pair.is_empty()) {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                match pairs.iter_mut().find(|(own, _)| own == key) {
                    Some((_, values)) => values.push(Val::text(value)),
                    None => pairs.push((key.to_owned(), vec![Val::text(value)])),
                }
            }
            let pairs = pairs.into_iter().map(|(key, values)| (Val::text(key), Val::List(values.into())));
            Val::Map(pairs.collect::<Vec<_>>().into())
        }
        _ => return None,
    })
}

/// An address without a zone, and no IPv4 address in the clothes of IPv6.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    match text.parse().ok()? {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => None,
        ip => Some(ip),
    }
}

/// A range of addresses.
pub(super) fn cidr(text: &str) -> Option<IpNet> {
    let net: IpNet = text.parse().ok()?;
    ip(&net.addr().to_string()).map(|_| net)
}

/// The methods of addresses.
pub(super) fn ip_method<'a>(name: &str, ip: &IpAddr) -> Option<Val<'a>> {
    let (local, multicast_local) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    Some(match name {
        "family" => Val::Int(if ip.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => Val::Bool(ip.is_unspecified()),
        "isLoopback" => Val::Bool(ip.is_loopback()),
        "isLinkLocalMulticast" => Val::Bool(multicast_local),
        "isLinkLocalUnicast" => Val::Bool(local),
        "isGlobalUnicast" => {
            Val::Bool(!(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || local || broadcast))
        }
        _ => return None,
    })
}

/// The methods of ranges.
pub(super) fn cidr_method<'a>(name: &str, net: &IpNet, other: Option<&Val<'a>>) -> Option<Val<'a>> {
    Some(match (name, other) {
        ("ip", None) => Val::Ip(net.addr()),
        ("prefixLength", None) => Val::Int(i64::from(net.prefix_len())),
        ("masked", None) => Val::Cidr(net.trunc()),
        ("containsIP", Some(Val::Ip(ip))) => Val::Bool(net.contains(ip)),
        ("containsIP", Some(Val::Text(text))) => Val::Bool(net.contains(&ip(text)?)),
        ("containsCIDR", Some(Val::Cidr(other))) => Val::Bool(net.contains(other)),
        ("containsCIDR", Some(Val::Text(text))) => Val::Bool(net.contains(&cidr(text)?)),
        _ => return None,
    })
}
