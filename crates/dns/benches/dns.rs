//! Questions per second that the server answers, and how long the slowest percent waits.
//!
//! The server has one thread. A client in another thread keeps a window of questions under way over
//! loopback, so the figure is that of server and kernel together. Run: `cargo bench -p skiff-dns`.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Message, Query},
    rr::{Name, RecordType},
};
use k8s_openapi::{
    api::core::v1::{Namespace, Service, ServiceSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use skiff_dns::{Config, Upstreams, bind, fixed};
use tokio_util::sync::CancellationToken;

const SERVICES: u32 = 10_000;
const WINDOW: usize = 64;
const LASTING: Duration = Duration::from_secs(5);

fn objects() -> fixed::Objects {
    let meta = |name: String, namespace: Option<&str>| ObjectMeta {
        name: Some(name),
        namespace: namespace.map(str::to_owned),
        ..ObjectMeta::default()
    };
    let service = |n: u32| Service {
        metadata: meta(format!("s{n}"), Some("default")),
        spec: Some(ServiceSpec {
            cluster_ip: Some(format!("10.96.{}.{}", n / 256, n % 256)),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    };
    fixed::Objects {
        namespaces: vec![Namespace { metadata: meta("default".to_owned(), None), ..Namespace::default() }],
        services: (0..SERVICES).map(service).collect(),
        ..fixed::Objects::default()
    }
}

fn serve() -> (SocketAddr, CancellationToken) {
    let stop = CancellationToken::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    let token = stop.clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let config = Config {
                listen: vec![([127, 0, 0, 1], 0).into()],
                upstreams: Upstreams::Servers(Vec::new()),
                ..Config::default()
            };
            let bound = bind(config).expect("a free port");
            sender.send(bound.addresses()[0]).expect("somebody who waits");
            fixed::serve(bound, objects(), token).await
        })
    });
    (receiver.recv().expect("an address"), stop)
}

fn question(id: u16, service: u32) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.id = id;
    let name = Name::from_ascii(format!("s{service}.default.svc.cluster.local.")).expect("a name");
    message.add_query(Query::query(name, RecordType::A));
    message.to_vec().expect("a message")
}

fn main() {
    let (server, stop) = serve();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server).expect("a route");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a time limit");
    let questions: Vec<Vec<u8>> = (0..4096_u16).map(|id| question(id, u32::from(id) * 2)).collect();
    let mut asked = vec![Instant::now(); questions.len()];
    let (mut waits, mut buffer) = (Vec::new(), [0; 512]);
    for (id, question) in questions.iter().enumerate().take(WINDOW) {
        asked[id] = Instant::now();
        socket.send(question).expect("room");
    }
    let (start, mut next) = (Instant::now(), WINDOW);
    while start.elapsed() < LASTING {
        let length = socket.recv(&mut buffer).expect("an answer");
        assert!(length > 12 && buffer[7] == 1, "one answer each");
        waits.push(asked[usize::from(u16::from_be_bytes([buffer[0], buffer[1]]))].elapsed());
        let id = next % questions.len();
        asked[id] = Instant::now();
        socket.send(&questions[id]).expect("room");
        next += 1;
    }
    let elapsed = start.elapsed();
    stop.cancel();
    waits.sort_unstable();
    let at = |share: usize| waits[waits.len() * share / 100].as_micros();
    let rate = waits.len() as f64 / elapsed.as_secs_f64();
    println!("dns: {rate:.0} questions/s on one thread, {SERVICES} services, {WINDOW} under way");
    println!("dns: p50 {} us, p99 {} us", at(50), at(99));
}
