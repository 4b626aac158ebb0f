//! `expose`: a Service for what another object selects.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use super::run::pairs;
use crate::{
    error::Error,
    names,
    objects::Picked,
    output::{How, Output},
    session::Session,
};

/// Flags of `expose`.
#[derive(Args, Clone, Debug, Default)]
pub struct Expose {
    /// The object: `deployment web`, `pod/web`, `service/web`
    #[arg(value_name = "TYPE NAME", required = true)]
    words: Vec<String>,
    /// The port that the service serves on; copied from the object if it is left out
    #[arg(long)]
    port: Option<String>,
    /// Name or number of the port of the container that traffic goes to
    #[arg(long)]
    target_port: Option<String>,
    /// The protocol of the service: TCP, UDP or SCTP
    #[arg(long)]
    protocol: Option<String>,
    /// The name of the service, if not the object's
    #[arg(long)]
    name: Option<String>,
    /// ClusterIP, NodePort, LoadBalancer or ExternalName
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// The labels that the service selects pods by, if not the object's
    #[arg(long, value_delimiter = ',', value_name = "KEY=VALUE")]
    selector: Vec<String>,
    /// Labels of the service, if not the object's
    #[arg(long, short, value_delimiter = ',', value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// An additional address that the service is reached by
    #[arg(long, value_name = "ADDRESS")]
    external_ip: Option<String>,
    /// The address to ask for from the load balancer
    #[arg(long, value_name = "ADDRESS")]
    load_balancer_ip: Option<String>,
    /// The cluster address; `None` for a headless service
    #[arg(long, value_name = "ADDRESS")]
    cluster_ip: Option<String>,
    /// None or ClientIP
    #[arg(long)]
    session_affinity: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// A port of the object that is exposed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Port {
    number: u16,
    protocol: Option<String>,
}

impl Expose {
    /// Creates the service.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let (resource, name) = names::single(session.discovery().await?, &self.words)?;
        let one = Picked { resource, name, namespace: session.namespace().to_owned(), file: None };
        if !matches!(one.resource.kind.as_str(), "Deployment" | "ReplicaSet" | "Pod" | "Service") {
            return Err(Error::usage(format!("cannot expose a {}", one.resource.kind)));
        }
        let object = one.get(session).await?;
        let how = How { manager: "expose", done: "exposed", namespaced: true };
        self.output.create(session, self.service(&object)?, how).await?;
        Ok(ExitCode::SUCCESS)
    }

    fn service(&self, object: &Value) -> Result<Value, Error> {
        let own: String = object["metadata"]["name"].as_str().unwrap_or_default().chars().take(63).collect::<String>();
        let mut metadata = json!({ "creationTimestamp": null, "name": self.name.clone().unwrap_or(own) });
        if !self.labels.is_empty() {
            metadata["labels"] = pairs("label", &self.labels)?;
        } else if object["metadata"]["labels"].is_object() {
            metadata["labels"] = object["metadata"]["labels"].clone();
        }
        let selector = if self.selector.is_empty() { selector(object)? } else { pairs("selector", &self.selector)? };
        let mut spec = Map::from_iter([("ports".to_owned(), self.ports(object)?), ("selector".to_owned(), selector)]);
        let flags = [
            ("type", &self.kind),
            ("loadBalancerIP", &self.load_balancer_ip),
            ("clusterIP", &self.cluster_ip),
            ("sessionAffinity", &self.session_affinity),
        ];
        spec.extend(flags.into_iter().filter_map(|(field, flag)| Some((field.to_owned(), json!(flag.as_ref()?)))));
        if let Some(address) = &self.external_ip {
            spec.insert("externalIPs".to_owned(), json!([address]));
        }
        let status = json!({ "loadBalancer": {} });
        Ok(json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": status }))
    }

    fn ports(&self, object: &Value) -> Result<Value, Error> {
        let known = ports(object);
        let chosen = match &self.port {
            None => known,
            Some(text) => text.split(',').map(|part| chosen(part, &known)).collect::<Result<Vec<Port>, Error>>()?,
        };
        if chosen.is_empty() {
            return Err(Error::usage("couldn't find port via --port flag or introspection"));
        }
        let several = chosen.len() > 1;
        let port = |(at, port): (usize, &Port)| {
            let protocol = self.protocol.as_ref().or(port.protocol.as_ref()).map_or("TCP", String::as_str);
            let target = self.target_port.as_deref().map_or_else(|| json!(port.number), number_or_name);
            let mut made = json!({ "port": port.number, "protocol": protocol, "targetPort": target });
            if several {
                made["name"] = json!(format!("port-{}", at + 1));
            }
            made
        };
        Ok(chosen.iter().enumerate().map(port).collect())
    }
}

fn chosen(text: &str, known: &[Port]) -> Result<Port, Error> {
    // A number out of range is the server's to refuse, a word is not.
    let number = text
        .trim()
        .parse()
        .map_err(|_| Error::usage(format!("invalid port {text:?}: must be between 1 and 65535, inclusive")))?;
    let protocol = known.iter().find(|port| port.number == number).and_then(|port| port.protocol.clone());
    Ok(Port { number, protocol })
}

fn number_or_name(text: &str) -> Value {
    text.parse::<u16>().map_or_else(|_| json!(text), |number| json!(number))
}

/// What the pods of an object are selected by.
fn selector(object: &Value) -> Result<Value, Error> {
    let (map, missing) = match object["kind"].as_str() {
        Some("Pod") => (&object["metadata"]["labels"], "the pod has no labels and cannot be exposed"),
        Some("Service") => (&object["spec"]["selector"], "the service has no pod selector set"),
        _ => {
            let expressions = &object["spec"]["selector"]["matchExpressions"];
            if expressions.as_array().is_some_and(|list| !list.is_empty()) {
                return Err(Error::usage(format!(
                    "couldn't convert expressions - \"{expressions}\" to map-based selector format"
                )));
            }
            (
                &object["spec"]["selector"]["matchLabels"],
                "invalid deployment: no selectors, therefore cannot be exposed",
            )
        }
    };
    map.as_object().filter(|map| !map.is_empty()).map(|_| map.clone()).ok_or_else(|| Error::usage(missing))
}

/// The ports that the object has already.
fn ports(object: &Value) -> Vec<Port> {
    let read = |port: &Value, field: &str| {
        let number = port[field].as_u64().and_then(|number| u16::try_from(number).ok())?;
        Some(Port { number, protocol: port["protocol"].as_str().map(str::to_owned) })
    };
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    if object["kind"] == "Service" {
        return list(&object["spec"]["ports"]).iter().filter_map(|port| read(port, "port")).collect();
    }
    let pod = if object["kind"] == "Pod" { &object["spec"] } else { &object["spec"]["template"]["spec"] };
    let all = list(&pod["containers"]);
    all.iter().flat_map(|one| list(&one["ports"])).filter_map(|port| read(&port, "containerPort")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment() -> Value {
        json!({
            "kind": "Deployment",
            "metadata": { "name": "web", "labels": { "team": "a" } },
            "spec": {
                "selector": { "matchLabels": { "app": "web" } },
                "template": { "spec": { "containers": [{ "ports": [{ "containerPort": 53, "protocol": "UDP" }, { "containerPort": 80 }] }] } },
            },
        })
    }

    #[test]
    fn a_service_for_a_deployment() {
        let expose = Expose { port: Some("8888".to_owned()), ..Expose::default() };
        let service = expose.service(&deployment()).unwrap();
        assert_eq!(service["spec"]["selector"], json!({ "app": "web" }));
        assert_eq!(service["spec"]["ports"], json!([{ "port": 8888, "protocol": "TCP", "targetPort": 8888 }]));
        assert_eq!(service["metadata"]["labels"], json!({ "team": "a" }));
        let typed = Expose { kind: Some("NodePort".to_owned()), name: Some("np".to_owned()), ..expose };
        let service = typed.service(&deployment()).unwrap();
        assert_eq!((&service["spec"]["type"], &service["metadata"]["name"]), (&json!("NodePort"), &json!("np")));
    }

    #[test]
    fn ports_are_copied_with_their_protocols() {
        let service = Expose::default().service(&deployment()).unwrap();
        let expected = json!([
            { "name": "port-1", "port": 53, "protocol": "UDP", "targetPort": 53 },
            { "name": "port-2", "port": 80, "protocol": "TCP", "targetPort": 80 },
        ]);
        assert_eq!(service["spec"]["ports"], expected);
        let pod = json!({ "kind": "Pod", "metadata": { "name": "p", "labels": { "a": "b" } }, "spec": {} });
        let error = Expose::default().service(&pod).unwrap_err().to_string();
        assert_eq!(error, "error: couldn't find port via --port flag or introspection");
        let named = Expose { port: Some("80".to_owned()), target_port: Some("http".to_owned()), ..Expose::default() };
        assert_eq!(named.service(&pod).unwrap()["spec"]["ports"][0]["targetPort"], "http");
    }

    #[test]
    fn what_cannot_be_selected_cannot_be_exposed() {
        let bare = json!({ "kind": "Pod", "metadata": { "name": "p" } });
        let port = Expose { port: Some("80".to_owned()), ..Expose::default() };
        assert!(port.service(&bare).unwrap_err().to_string().contains("has no labels"));
        let mut odd = deployment();
        odd["spec"]["selector"]["matchExpressions"] = json!([{ "key": "a", "operator": "Exists" }]);
        assert!(port.service(&odd).unwrap_err().to_string().contains("couldn't convert expressions"));
        let none = Expose { port: Some("x".to_owned()), ..Expose::default() };
        assert!(none.service(&deployment()).is_err());
    }
}
