//! The variables that tell a container where the services of its namespace are.

use k8s_openapi::api::core::v1::{Service, ServicePort};

/// The variables of `services`, in the order given.
pub(crate) fn variables<'s>(services: impl IntoIterator<Item = &'s Service>) -> Vec<(String, String)> {
    services.into_iter().filter_map(of_service).flatten().collect()
}

/// Whether a pod of `namespace` learns of `service`: those of its own namespace if it asked for
/// links, and the API server's in any case.
pub(crate) fn concerns(service: &Service, namespace: &str, links: bool) -> bool {
    let (own, name) = (service.metadata.namespace.as_deref(), service.metadata.name.as_deref());
    (own == Some("default") && name == Some("kubernetes")) || (links && own == Some(namespace))
}

fn of_service(service: &Service) -> Option<Vec<(String, String)>> {
    let spec = service.spec.as_ref()?;
    let ip = spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None")?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    let ports = spec.ports.as_deref().unwrap_or_default();
    let first = ports.first()?;
    let prefix = service.metadata.name.as_deref()?.to_uppercase().replace('-', "_");
    let mut variables = vec![
        (format!("{prefix}_SERVICE_HOST"), ip.to_owned()),
        (format!("{prefix}_SERVICE_PORT"), first.port.to_string()),
    ];
    for port in ports {
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            let name = name.to_uppercase().replace('-', "_");
            variables.push((format!("{prefix}_SERVICE_PORT_{name}"), port.port.to_string()));
        }
    }
    variables.push((format!("{prefix}_PORT"), url(first, ip)));
    for port in ports {
        let protocol = protocol(port);
        let prefix = format!("{prefix}_PORT_{}_{protocol}", port.port);
        variables.push((prefix.clone(), url(port, ip)));
        variables.push((format!("{prefix}_PROTO"), protocol.to_lowercase()));
        variables.push((format!("{prefix}_PORT"), port.port.to_string()));
        variables.push((format!("{prefix}_ADDR"), ip.to_owned()));
    }
    Some(variables)
}

fn protocol(port: &ServicePort) -> String {
    port.protocol.as_deref().unwrap_or("TCP").to_uppercase()
}

fn url(port: &ServicePort, ip: &str) -> String {
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    format!("{}://{host}:{}", protocol(port).to_lowercase(), port.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(value: serde_json::Value) -> Service {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_service_gives_its_variables() {
        let web = service(serde_json::json!({
            "metadata": {"name": "my-web", "namespace": "default"},
            "spec": {"clusterIP": "10.96.1.2", "ports": [
                {"name": "http-a", "port": 80, "protocol": "TCP"}, {"name": "q", "port": 53, "protocol": "UDP"}]}
        }));
        let got: Vec<String> = variables([&web]).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        let wanted = [
            "MY_WEB_SERVICE_HOST=10.96.1.2",
            "MY_WEB_SERVICE_PORT=80",
            "MY_WEB_SERVICE_PORT_HTTP_A=80",
            "MY_WEB_SERVICE_PORT_Q=53",
            "MY_WEB_PORT=tcp://10.96.1.2:80",
            "MY_WEB_PORT_80_TCP=tcp://10.96.1.2:80",
            "MY_WEB_PORT_80_TCP_PROTO=tcp",
            "MY_WEB_PORT_80_TCP_PORT=80",
            "MY_WEB_PORT_80_TCP_ADDR=10.96.1.2",
            "MY_WEB_PORT_53_UDP=udp://10.96.1.2:53",
            "MY_WEB_PORT_53_UDP_PROTO=udp",
            "MY_WEB_PORT_53_UDP_PORT=53",
            "MY_WEB_PORT_53_UDP_ADDR=10.96.1.2",
        ];
        assert_eq!(got, wanted);
    }

    #[test]
    fn headless_and_external_services_give_none() {
        for spec in [
            serde_json::json!({"clusterIP": "None", "ports": [{"port": 80}]}),
            serde_json::json!({"type": "ExternalName", "externalName": "a.example"}),
            serde_json::json!({"clusterIP": "10.96.1.2"}),
        ] {
            let service = service(serde_json::json!({"metadata": {"name": "a"}, "spec": spec}));
            assert!(variables([&service]).is_empty());
        }
    }

    #[test]
    fn links_reach_one_namespace_and_the_api_server() {
        let named = |namespace: &str, name: &str| {
            service(serde_json::json!({"metadata": {"name": name, "namespace": namespace}}))
        };
        assert!(concerns(&named("default", "kubernetes"), "other", false));
        assert!(concerns(&named("other", "web"), "other", true));
        assert!(!concerns(&named("other", "web"), "other", false));
        assert!(!concerns(&named("default", "web"), "other", true));
    }
}
