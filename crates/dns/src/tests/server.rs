//! A real server on loopback, asked by hickory's client and, where it is installed, by `dig`.

use std::{net::SocketAddr, process::Command, time::Duration};

use hickory_proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{Name, RecordType},
};
use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::objects::{cluster, namespace, service};
use crate::{Config, Upstreams, bind, fixed};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; it ends with the guard.
fn start(upstreams: Vec<SocketAddr>, objects: fixed::Objects) -> (SocketAddr, DropGuard) {
    start_with(Config { upstreams: Upstreams::Servers(upstreams), ..Config::default() }, objects)
}

fn start_with(config: Config, objects: fixed::Objects) -> (SocketAddr, DropGuard) {
    let bound = bind(Config { listen: vec![([127, 0, 0, 1], 0).into()], ..config }).unwrap();
    let address = bound.addresses()[0];
    let stop = CancellationToken::new();
    tokio::spawn(fixed::serve(bound, objects, stop.clone()));
    (address, stop.drop_guard())
}

fn resolver(server: SocketAddr) -> TokioResolver {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    Resolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap()
}

async fn exchange(server: SocketAddr, message: &Message) -> (Message, usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&message.to_vec().unwrap(), server).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("an answer").unwrap();
    (Message::from_vec(&buffer[..length]).unwrap(), length)
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.id = 4711;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

#[tokio::test]
async fn a_client_resolves_over_udp_and_tcp() {
    let (server, _guard) = start(Vec::new(), cluster());
    let resolver = resolver(server);
    let found = resolver.lookup_ip("httpenv.default.svc.cluster.local.").await.unwrap();
    assert_eq!(found.iter().map(|ip| ip.to_string()).collect::<Vec<_>>(), ["10.96.1.1"]);
    // A hundred addresses do not fit into a datagram: the client comes back over TCP.
    let found = resolver.lookup_ip("many.shop.svc.cluster.local.").await.unwrap();
    assert_eq!(found.iter().count(), 100);
}

#[tokio::test]
async fn answers_are_cut_to_what_the_client_takes() {
    let (server, _guard) = start(Vec::new(), cluster());
    let mut asked = query("MANY.shop.svc.cluster.local.", RecordType::A);
    let (plain, length) = exchange(server, &asked).await;
    assert!(plain.metadata.truncation && length <= 512, "{length}");
    assert!(plain.edns.is_none(), "who does not speak EDNS gets none");
    assert_eq!(plain.queries[0].name().to_ascii(), "MANY.shop.svc.cluster.local.");
    assert!(plain.metadata.authoritative && plain.metadata.recursion_available);
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    asked.set_edns(edns);
    let (cut, length) = exchange(server, &asked).await;
    assert!(cut.metadata.truncation && length <= 1232 && length > 1100, "{length}");
    assert!(cut.edns.is_some() && cut.answers.len() > plain.answers.len());
    asked.set_edns({
        let mut edns = Edns::new();
        edns.set_max_payload(4096);
        edns
    });
    let (whole, _) = exchange(server, &asked).await;
    assert!(!whole.metadata.truncation);
    assert_eq!(whole.answers.len(), 100);
}

#[tokio::test]
async fn several_questions_on_one_tcp_connection() {
    let (server, _guard) = start(Vec::new(), cluster());
    let mut stream = TcpStream::connect(server).await.unwrap();
    for _ in 0..3 {
        let message = query("many.shop.svc.cluster.local.", RecordType::A).to_vec().unwrap();
        stream.write_u16(u16::try_from(message.len()).unwrap()).await.unwrap();
        stream.write_all(&message).await.unwrap();
        let length = timeout(PATIENCE, stream.read_u16()).await.unwrap().unwrap();
        let mut answer = vec![0; length.into()];
        stream.read_exact(&mut answer).await.unwrap();
        let answer = Message::from_vec(&answer).unwrap();
        assert_eq!((answer.answers.len(), answer.metadata.truncation), (100, false));
    }
}

/// Another server of ours that stands for the rest of the world: it knows `www.n.svc.example.com.`
fn another() -> (SocketAddr, DropGuard) {
    let world = fixed::Objects {
        namespaces: vec![namespace("n")],
        services: vec![service("n", "www", "10.96.9.9", None)],
        ..fixed::Objects::default()
    };
    start_with(
        Config { domain: "example.com".to_owned(), upstreams: Upstreams::Servers(Vec::new()), ..Config::default() },
        world,
    )
}

#[tokio::test]
async fn other_names_go_upstream() {
    let (upstream, _world) = another();
    let mut objects = cluster();
    objects.services.push(service("shop", "out", "www.n.svc.example.com", None));
    let (server, _guard) = start(vec![upstream], objects);
    let (direct, _) = exchange(server, &query("www.n.svc.example.com.", RecordType::A)).await;
    assert_eq!((direct.answers.len(), direct.metadata.authoritative), (1, false));
    let (alias, _) = exchange(server, &query("out.shop.svc.cluster.local.", RecordType::A)).await;
    let kinds: Vec<RecordType> = alias.answers.iter().map(hickory_proto::rr::Record::record_type).collect();
    assert_eq!(kinds, [RecordType::CNAME, RecordType::A]);
    let (missing, _) = exchange(server, &query("nobody.n.svc.example.com.", RecordType::A)).await;
    assert_eq!((missing.metadata.response_code, missing.authorities.len()), (ResponseCode::NXDomain, 1));
    let (none, _) = exchange(server, &query("www.n.svc.example.com.", RecordType::AAAA)).await;
    assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
    let (ours, _) = exchange(server, &query("nobody.default.svc.cluster.local.", RecordType::A)).await;
    assert_eq!(ours.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn without_an_upstream_the_answer_is_quick() {
    let (server, _guard) = start(Vec::new(), cluster());
    let asked = std::time::Instant::now();
    let (answer, _) = exchange(server, &query("www.example.com.", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(asked.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn an_upstream_that_is_dead_fails_in_time() {
    let dead = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (server, _guard) = start(vec![dead.local_addr().unwrap()], cluster());
    let (answer, _) = exchange(server, &query("www.example.com.", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
}

/// Two servers that are each other's upstream.
#[tokio::test]
async fn a_loop_ends() {
    let first = bind(Config { listen: vec![([127, 0, 0, 1], 0).into()], ..Config::default() }).unwrap();
    let address = first.addresses()[0];
    drop(first);
    let (second, _second) = start(vec![address], cluster());
    let config = Config { listen: vec![address], upstreams: Upstreams::Servers(vec![second]), ..Config::default() };
    let bound = bind(config).unwrap();
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    tokio::spawn(fixed::serve(bound, cluster(), stop));
    let (answer, _) = exchange(address, &query("www.example.com.", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    let asked = std::time::Instant::now();
    let (answer, _) = exchange(address, &query("www.example.net.", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(asked.elapsed() < Duration::from_millis(500), "the loop is known by now");
}

#[tokio::test]
async fn ourselves_as_upstream_is_not_asked() {
    let listen: SocketAddr =
        bind(Config { listen: vec![([127, 0, 0, 1], 0).into()], ..Config::default() }).unwrap().addresses()[0];
    let bound = bind(Config { listen: vec![listen], upstreams: Upstreams::Servers(vec![listen]), ..Config::default() })
        .unwrap();
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    tokio::spawn(fixed::serve(bound, cluster(), stop));
    let (answer, _) = exchange(listen, &query("www.example.com.", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn an_address_that_is_not_there_yet_is_bound() {
    let listen = vec!["169.254.20.10:0".parse().unwrap()];
    let bound = bind(Config { listen, ..Config::default() }).unwrap();
    assert_ne!(bound.addresses()[0].port(), 0);
}

#[test]
fn a_taken_address_and_a_wrong_domain_are_refused() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = vec![taken.local_addr().unwrap()];
    assert!(bind(Config { listen, ..Config::default() }).unwrap_err().to_string().contains("another DNS server"));
    for domain in ["", ".", "a..b"] {
        assert!(bind(Config { domain: domain.to_owned(), ..Config::default() }).is_err(), "{domain}");
    }
}

#[tokio::test]
async fn dig_is_content() {
    if Command::new("dig").arg("-v").output().is_err() {
        return;
    }
    let (server, _guard) = start(Vec::new(), cluster());
    let dig = move |arguments: &str| {
        let mut command = Command::new("dig");
        command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string(), "+time=5", "+tries=1"]);
        command.args(arguments.split(' '));
        tokio::task::spawn_blocking(move || String::from_utf8(command.output().unwrap().stdout).unwrap())
    };
    for (arguments, expected) in [
        ("+short httpenv.default.svc.cluster.local", "10.96.1.1\n"),
        ("+short -t TXT dns-version.cluster.local", "\"1.1.0\"\n"),
        (
            "+short -t SRV _http._tcp.httpenv.default.svc.cluster.local",
            "0 100 8888 httpenv.default.svc.cluster.local.\n",
        ),
        ("+short -x 10.96.1.1", "httpenv.default.svc.cluster.local.\n"),
        ("+short +tcp kubernetes.default.svc.cluster.local", "10.96.0.1\n"),
    ] {
        assert_eq!(dig(arguments).await.unwrap(), expected, "{arguments}");
    }
    let whole = dig("-t A nobody.default.svc.cluster.local").await.unwrap();
    assert!(whole.contains("status: NXDOMAIN") && whole.contains("AUTHORITY: 1") && whole.contains("EDNS: version: 0"));
    assert!(whole.contains("cluster.local.\t\t5\tIN\tSOA"), "{whole}");
    assert!(!whole.contains("malformed"), "{whole}");
}

/// More than one burst, with questions of each way among them.
#[tokio::test]
async fn each_question_of_a_burst_is_answered() {
    let (upstream, _world) = another();
    let (server, _guard) = start(vec![upstream], cluster());
    let asked = [
        ("httpenv.default.svc.cluster.local.", RecordType::A, ResponseCode::NoError),
        ("www.n.svc.example.com.", RecordType::A, ResponseCode::NoError),
        ("nobody.default.svc.cluster.local.", RecordType::AAAA, ResponseCode::NXDomain),
        ("_http._tcp.httpenv.default.svc.cluster.local.", RecordType::SRV, ResponseCode::NoError),
    ];
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    for id in 0..100_u16 {
        let (name, kind, _) = asked[usize::from(id) % asked.len()];
        let mut message = query(name, kind);
        message.metadata.id = id;
        socket.send(&message.to_vec().unwrap()).await.unwrap();
    }
    let (mut seen, mut buffer) = (std::collections::BTreeSet::new(), [0; 512]);
    while seen.len() < 100 {
        let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("an answer").unwrap();
        let answer = Message::from_vec(&buffer[..length]).unwrap().metadata;
        let (name, _, code) = asked[usize::from(answer.id) % asked.len()];
        assert_eq!(answer.response_code, code, "{name}");
        assert!(seen.insert(answer.id), "answered twice");
    }
}
