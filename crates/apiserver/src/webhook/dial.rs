//! Where a webhook is, and the way there: a URL, or a Service, which is reached at one of its endpoints.

use std::fmt;
use std::io;
use std::net::IpAddr;

use rand::Rng as _;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::state::State;

/// Where a webhook is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `https://host:port/path`
    Address { host: String, port: Option<u16>, path: String },
    /// A Service of the cluster.
    Service { namespace: String, name: String, port: u16, path: String },
}

const HTTPS: u16 = 443;

impl Place {
    /// What was judged when it was written; a place that cannot be read leads nowhere.
    pub(super) fn parse(config: &Value) -> Self {
        let service = &config["service"];
        let text = |field: &str| service[field].as_str().unwrap_or_default().to_owned();
        if let Some(url) = config["url"].as_str() {
            let uri: http::Uri = url.parse().unwrap_or_default();
            let host = uri.host().unwrap_or_default();
            return Self::Address {
                host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
                port: uri.port_u16(),
                path: uri.path().to_owned(),
            };
        }
        let port = service["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        Self::Service {
            namespace: text("namespace"),
            name: text("name"),
            port: port.unwrap_or(HTTPS),
            path: text("path"),
        }
    }

    /// The name that its certificate has to have.
    pub(super) fn server_name(&self) -> String {
        match self {
            Self::Address { host, .. } => host.clone(),
            Self::Service { namespace, name, .. } => format!("{name}.{namespace}.svc"),
        }
    }

    /// Host and port, as its URL names them.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Address { host, port, .. } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
            }
            Self::Service { port, .. } => format!("{}:{port}", self.server_name()),
        }
    }

    /// The path there.
    pub(super) fn path(&self) -> &str {
        let (Self::Address { path, .. } | Self::Service { path, .. }) = self;
        if path.is_empty() { "/" } else { path }
    }

    /// A connection to it.
    pub(super) async fn dial(&self, state: &State) -> Result<TcpStream, String> {
        let (host, port) = match self {
            Self::Address { host, port, .. } => (host.clone(), port.unwrap_or(HTTPS)),
            Self::Service { namespace, name, port, .. } => endpoint(state, namespace, name, *port)?,
        };
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        let found = found.map_err(|_| format!("dial tcp: lookup {host}: no such host"))?;
        let mut why = format!("dial tcp: lookup {host}: no such host");
        for address in found {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // What is small should go at once; if that cannot be asked for, it goes a little later.
                    let _: io::Result<()> = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => why = format!("dial tcp {address}: connect: {}", words(&error)),
            }
        }
        Err(why)
    }
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.path())
    }
}

/// One of the ready endpoints of a Service: nothing has to be translated on the way there.
fn endpoint(state: &State, namespace: &str, name: &str, port: u16) -> Result<(String, u16), String> {
    let service = state.object("", "services", namespace, name).ok_or_else(|| format!("service {name:?} not found"))?;
    let spec = &service["spec"];
    if spec["type"] == "ExternalName" {
        return Ok((spec["externalName"].as_str().unwrap_or_default().to_owned(), port));
    }
    let ports = spec["ports"].as_array().into_iter().flatten();
    let wanted = ports.into_iter().find(|one| one["port"].as_u64() == Some(u64::from(port)));
    let wanted = wanted.ok_or_else(|| format!("no service port {port} found for service {name:?}"))?;
    let wanted = wanted["name"].as_str().unwrap_or_default();
    let endpoints = state.object("", "endpoints", namespace, name).unwrap_or_default();
    let places = places(&endpoints, wanted);
    if places.is_empty() {
        return Err(format!("no endpoints available for service {name:?}"));
    }
    let (address, port) = places[rand::rng().random_range(0..places.len())];
    Ok((address.to_string(), port))
}

/// The ready addresses with the port of that name.
fn places(endpoints: &Value, wanted: &str) -> Vec<(IpAddr, u16)> {
    let mut places = Vec::new();
    for subset in endpoints["subsets"].as_array().into_iter().flatten() {
        let mut ports = subset["ports"].as_array().into_iter().flatten();
        let port = ports.find(|port| port["name"].as_str().unwrap_or_default() == wanted);
        let port = port.and_then(|port| port["port"].as_u64()).and_then(|port| u16::try_from(port).ok());
        let Some(port) = port else { continue };
        let addresses = subset["addresses"].as_array().into_iter().flatten();
        places.extend(addresses.filter_map(|address| Some((address["ip"].as_str()?.parse().ok()?, port))));
    }
    places
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_have_names_and_addresses() {
        let url = Place::parse(&json!({"url": "https://[::1]:8443/convert"}));
        assert_eq!((url.server_name().as_str(), url.to_string().as_str()), ("::1", "https://[::1]:8443/convert"));
        let plain = Place::parse(&json!({"url": "https://hooks.example.com"}));
        assert_eq!((plain.authority().as_str(), plain.path()), ("hooks.example.com", "/"));
        let service = Place::parse(&json!({"service": {"namespace": "a", "name": "b", "path": "/c", "port": 9443}}));
        assert_eq!(service.server_name(), "b.a.svc");
        assert_eq!(service.to_string(), "https://b.a.svc:9443/c");
    }

    #[test]
    fn ready_addresses_of_the_port_are_the_places() {
        let endpoints = json!({"subsets": [
            {"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}], "notReadyAddresses": [{"ip": "10.0.0.3"}],
                "ports": [{"name": "other", "port": 80}, {"name": "hook", "port": 9443}]},
            {"addresses": [{"ip": "10.0.0.4"}], "ports": [{"name": "other", "port": 80}]}]});
        let found: Vec<String> = places(&endpoints, "hook").iter().map(|(ip, port)| format!("{ip}:{port}")).collect();
        assert_eq!(found, ["10.0.0.1:9443", "10.0.0.2:9443"]);
        assert!(places(&endpoints, "none").is_empty());
    }
}
