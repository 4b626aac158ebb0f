//! `port-forward`: local ports that lead to a pod's. Each connection has a WebSocket of its own.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::ExitCode,
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use futures::{SinkExt as _, StreamExt as _, future::join_all, stream::FuturesUnordered};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    error::Error,
    session::{JSON, Session},
    stream,
    verbs::logs::pod_of,
};

const DATA: u8 = 0;
const ERRORS: u8 = 1;

/// Flags of `port-forward`.
#[derive(Args, Clone, Debug)]
pub struct PortForward {
    /// A pod, or `deployment/NAME` or `service/NAME` for one of its pods
    #[arg(value_name = "POD | TYPE/NAME")]
    target: String,
    /// Ports: `8080`, `8080:80`, or `:80` for any that is free here
    #[arg(value_name = "[LOCAL:]REMOTE", required = true)]
    ports: Vec<String>,
    /// Addresses to listen on
    #[arg(long, value_delimiter = ',', default_value = "localhost")]
    address: Vec<String>,
}

impl PortForward {
    /// Forwards until it is interrupted.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let pod = pod_of(session, &self.target).await?;
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        if pod["status"]["phase"] != "Running" {
            let phase = pod["status"]["phase"].as_str().unwrap_or_default();
            return Err(Error::Failed(format!(
                "unable to forward port because pod is not running. Current status={phase}"
            )));
        }
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_else(|| session.namespace());
        let service = self.service(session).await?;
        let mut serving = Vec::new();
        for text in &self.ports {
            let (local, remote) = ports(text)?;
            let target = service.as_ref().map_or(Ok(remote), |service| target_port(service, remote, &pod))?;
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/portforward?ports={target}");
            for listener in self.listen(local).await? {
                session.say(&format!("Forwarding from {} -> {target}", listener.local_addr()?))?;
                serving.push(serve(session, listener, path.clone(), target));
            }
        }
        join_all(serving).await;
        Ok(ExitCode::SUCCESS)
    }

    async fn service(&self, session: &Session) -> Result<Option<Value>, Error> {
        match self.target.split_once('/') {
            Some(("service" | "services" | "svc", name)) => {
                let path = format!("/api/v1/namespaces/{}/services/{name}", session.namespace());
                session.get(&path, JSON).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Listens on that port at all addresses. With any port, all have the same one where that is possible.
    async fn listen(&self, port: u16) -> Result<Vec<TcpListener>, Error> {
        let mut listeners: Vec<TcpListener> = Vec::new();
        let mut failed = None;
        for text in &self.address {
            let addresses: Vec<IpAddr> = match text.as_str() {
                "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
                text => vec![text.parse().map_err(|_| Error::usage(format!("{text} is not a valid IP")))?],
            };
            for address in addresses {
                let port = listeners.first().and_then(|one| one.local_addr().ok()).map_or(port, |one| one.port());
                match TcpListener::bind((address, port)).await {
                    Ok(listener) => listeners.push(listener),
                    Err(error) => failed = Some(format!("unable to listen on port {port}: {error}")),
                }
            }
        }
        // A machine without IPv6 has one address of localhost.
        match (listeners.is_empty(), failed) {
            (true, Some(why)) => Err(Error::Failed(why)),
            _ => Ok(listeners),
        }
    }
}

/// `8080:80`, as the port here and the port there.
fn ports(text: &str) -> Result<(u16, u16), Error> {
    let (local, remote) = text.split_once(':').unwrap_or((text, text));
    let port = |text: &str| {
        text.parse::<u16>().map_err(|_| Error::usage(format!("error parsing port {text:?}: it is no port number")))
    };
    let remote = port(remote)?;
    if remote == 0 {
        return Err(Error::usage("remote port must be > 0"));
    }
    Ok((if local.is_empty() { 0 } else { port(local)? }, remote))
}

/// The pod's port behind a Service's.
fn target_port(service: &Value, port: u16, pod: &Value) -> Result<u16, Error> {
    let none = || Error::Failed(format!("Service does not have a service port {port}"));
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let found = ports.into_iter().find(|one| one["port"] == port).ok_or_else(none)?;
    let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    match &found["targetPort"] {
        Value::String(name) => {
            let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
            let mut all = containers.flat_map(|one| one["ports"].as_array().into_iter().flatten());
            let named = all.find(|one| one["name"] == name.as_str());
            named.and_then(|one| number(&one["containerPort"])).ok_or_else(none)
        }
        target => Ok(number(target).unwrap_or(port)),
    }
}

async fn serve(session: &Session, listener: TcpListener, path: String, port: u16) {
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // It may be closed already.
                    let _ = session.say(&format!("Handling connection for {port}"));
                    connections.push(carry(session, stream, &path));
                }
                Err(error) => {
                    eprintln!("error: {error}");
                    // Until there are descriptors again.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(done) = connections.next(), if !connections.is_empty() => {
                if let Err(error) = done {
                    eprintln!("{error}");
                }
            }
        }
    }
}

async fn carry(session: &Session, stream: TcpStream, path: &str) -> Result<(), Error> {
    let (mut sink, mut incoming) = session.socket(path).await?.split();
    let (mut from, mut to) = stream.into_split();
    let upload = async {
        let mut buffer = vec![0; 32 << 10];
        loop {
            let read = from.read(&mut buffer).await.unwrap_or(0);
            let said = if read == 0 { stream::end(DATA) } else { stream::message(DATA, &buffer[..read]) };
            if sink.send(said).await.is_err() || read == 0 {
                return std::future::pending::<()>().await;
            }
        }
    };
    let download = async {
        // The first message of either channel is the port's number.
        let mut greeted = [false; 2];
        while let Some(Ok(message)) = incoming.next().await {
            let Some((channel @ (DATA | ERRORS), bytes)) = stream::received(message) else { continue };
            if !std::mem::replace(&mut greeted[usize::from(channel)], true) {
                continue;
            }
            take(channel, bytes, &mut to).await?;
        }
        Ok(())
    };
    tokio::select! {
        done = download => done,
        () = upload => Ok(()),
    }
}

async fn take(channel: u8, bytes: Bytes, to: &mut tokio::net::tcp::OwnedWriteHalf) -> Result<(), Error> {
    if channel == ERRORS {
        return Err(Error::Failed(String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(to.write_all(&bytes).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_here_and_there() {
        assert_eq!(ports("80").unwrap(), (80, 80));
        assert_eq!(ports("8080:80").unwrap(), (8080, 80));
        assert_eq!(ports(":80").unwrap(), (0, 80));
        for bad in ["", "x", "80:", "80:0", "70000"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_services_port_leads_to_the_pods() {
        let service = json!({"spec": {"ports": [{"port": 80, "targetPort": "web"}, {"port": 81, "targetPort": 90}]}});
        let pod = json!({"spec": {"containers": [{"ports": [{"name": "web", "containerPort": 8080}]}]}});
        assert_eq!(target_port(&service, 80, &pod).unwrap(), 8080);
        assert_eq!(target_port(&service, 81, &pod).unwrap(), 90);
        assert!(target_port(&service, 82, &pod).is_err());
    }
}
