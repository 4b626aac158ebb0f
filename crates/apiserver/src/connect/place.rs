//! Where a proxied request goes: `[scheme:]name[:port]` of a pod, Service or node, looked up.

use std::net::IpAddr;

use rand::Rng as _;
use serde_json::Value;
use skiff_api::status::Status;

use crate::resource::Call;

/// What a name in a proxy's path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named<'a> {
    pub(super) scheme: &'a str,
    pub(super) name: &'a str,
    pub(super) port: &'a str,
}

impl<'a> Named<'a> {
    /// `None`: it cannot be such a name.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let named = match parts.as_slice() {
            [name] => Self { scheme: "", name, port: "" },
            [name, port] => Self { scheme: "", name, port },
            [scheme @ ("http" | "https" | ""), name, port] => Self { scheme, name, port },
            _ => return None,
        };
        (!named.name.is_empty()).then_some(named)
    }
}

/// An address with a port.
pub(super) type Place = (IpAddr, u16);

/// Where a pod listens.
pub(super) fn of_pod(pod: &Value, named: &Named<'_>) -> Result<Place, Status> {
    let bad = |why: String| Status::bad_request(why);
    let first =
        || pod["spec"]["containers"].as_array()?.iter().find_map(|one| one["ports"][0]["containerPort"].as_u64());
    let port = match named.port {
        "" => first().unwrap_or(80),
        port => port.parse().map_err(|_| bad(format!("invalid port {port:?}")))?,
    };
    let port = u16::try_from(port).map_err(|_| bad(format!("invalid port {port}")))?;
    let address = pod["status"]["podIP"].as_str().and_then(|address| address.parse().ok());
    let address = address.ok_or_else(|| bad("address not allowed".to_owned()))?;
    check(address)?;
    Ok((address, port))
}

/// One of the ready endpoints of a Service.
pub(super) fn of_service(call: &Call, named: &Named<'_>) -> Result<Place, Status> {
    let state = &call.state;
    let service = state.object("", "services", call.namespace(), named.name);
    let service = service.ok_or_else(|| Status::not_found(call.resource(), named.name))?;
    let wanted = port_name(&service, named)?;
    let endpoints = state.object("", "endpoints", call.namespace(), named.name).unwrap_or_default();
    let mut places = Vec::new();
    for subset in endpoints["subsets"].as_array().into_iter().flatten() {
        let ports = subset["ports"].as_array().into_iter().flatten();
        let port = ports.filter(|port| port["name"].as_str().unwrap_or_default() == wanted).find_map(|port| {
            let number = port["port"].as_u64()?;
            u16::try_from(number).ok()
        });
        let addresses = subset["addresses"].as_array().into_iter().flatten();
        let addresses = addresses.filter_map(|address| address["ip"].as_str()?.parse::<IpAddr>().ok());
        places.extend(addresses.filter_map(|address| Some((address, port?))));
    }
    if places.is_empty() {
        return Err(Status::service_unavailable(format!("no endpoints available for service {:?}", named.name)));
    }
    let (address, port) = places[rand::rng().random_range(0..places.len())];
    check(address)?;
    Ok((address, port))
}

/// The name of the port that is meant: by its number, its name, or the one without a name.
fn port_name(service: &Value, named: &Named<'_>) -> Result<String, Status> {
    let Ok(number) = named.port.parse::<u64>() else { return Ok(named.port.to_owned()) };
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let found = ports.into_iter().find(|port| port["port"].as_u64() == Some(number));
    found.map(|port| port["name"].as_str().unwrap_or_default().to_owned()).ok_or_else(|| {
        Status::service_unavailable(format!("no service port {number} found for service {:?}", named.name))
    })
}

/// The server's own loopback and its neighbours' metadata services are nobody's pods.
fn check(address: IpAddr) -> Result<(), Status> {
    let local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if local || address.is_loopback() || address.is_multicast() || address.is_unspecified() {
        return Err(Status::bad_request("address not allowed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_taken_apart() {
        let named = |scheme, name, port| Some(Named { scheme, name, port });
        assert_eq!(Named::parse("web"), named("", "web", ""));
        assert_eq!(Named::parse("web:http"), named("", "web", "http"));
        assert_eq!(Named::parse("https:web:8443"), named("https", "web", "8443"));
        assert_eq!(Named::parse("https:web:"), named("https", "web", ""));
        for bad in ["", ":80", "ftp:web:1", "a:b:c:d"] {
            assert_eq!(Named::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_pods_first_port_is_the_default() {
        let pod = |ip: &str| {
            json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "ports": [{"containerPort": 8080}]}]},
                "status": {"podIP": ip}})
        };
        let of = |ip, text| of_pod(&pod(ip), &Named::parse(text).unwrap());
        assert_eq!(of("10.1.2.3", "p").unwrap().1, 8080);
        assert_eq!(of("10.1.2.3", "p:90").unwrap().1, 90);
        for (ip, text) in [("10.1.2.3", "p:x"), ("10.1.2.3", "p:70000"), ("127.0.0.1", "p"), ("169.254.169.254", "p")] {
            assert_eq!(of(ip, text).unwrap_err().code, 400, "{ip} {text}");
        }
    }
}
