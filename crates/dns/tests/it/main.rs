//! The DNS server against the real API server, in process.
#![allow(clippy::unwrap_used)]

use std::{net::SocketAddr, time::Duration};

use hickory_proto::{
    op::{Message, Query},
    rr::{Name, RecordType},
};
use skiff_dns::{Config, Upstreams, bind};
use skiff_testkit::Cluster;
use tokio::{net::UdpSocket, time::timeout};

const PATIENCE: Duration = Duration::from_secs(60);

async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Vec<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    socket.send_to(&message.to_vec().unwrap(), server).await.unwrap();
    let mut buffer = [0; 512];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.unwrap().unwrap();
    Message::from_vec(&buffer[..length]).unwrap().answers.iter().map(|record| record.data.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_cluster_has_its_first_names() {
    let cluster = Cluster::start().await.unwrap();
    let listen = vec![([127, 0, 0, 1], 0).into()];
    let bound = bind(Config { listen, upstreams: Upstreams::Servers(Vec::new()), ..Config::default() }).unwrap();
    let server = bound.addresses()[0];
    let (informers, stop) = (cluster.informers().clone(), cluster.stop());
    let running = tokio::spawn(async move { bound.serve(&informers, stop).await });
    assert_eq!(ask(server, "kubernetes.default.svc.cluster.local.", RecordType::A).await, ["10.96.0.1"]);
    assert_eq!(ask(server, "kube-dns.kube-system.svc.cluster.local.", RecordType::A).await, ["10.96.0.10"]);
    assert_eq!(
        ask(server, "1.0.96.10.in-addr.arpa.", RecordType::PTR).await,
        ["kubernetes.default.svc.cluster.local."]
    );
    assert_eq!(
        ask(server, "_https._tcp.kubernetes.default.svc.cluster.local.", RecordType::SRV).await,
        ["0 100 443 kubernetes.default.svc.cluster.local."]
    );
    cluster.stop().cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
}
