//! Questions per second that one core answers, and how long the slowest percent waits; beside it, a loop that
//! sends each datagram straight back, which is the most that sockets allow.
//!
//! The server has one thread on the first core. A client on the last one keeps a window of questions under way
//! over loopback, and sends and receives in bursts, so that it is not what is measured.
//! Run: `cargo bench -p skiff-dns`.

use std::{
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    sync::mpsc::Sender,
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
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use skiff_dns::{Config, Upstreams, bind, fixed};
use skiff_linux::datagrams::{Inbox, Outbox, Peer};
use tokio_util::sync::CancellationToken;

const SERVICES: u32 = 10_000;
const WINDOWS: [usize; 3] = [1, 16, 64];
const LASTING: Duration = Duration::from_secs(3);

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

fn pin(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core).expect("a core that exists");
    sched_setaffinity(Pid::from_raw(0), &cores).expect("a core that is ours");
}

/// Runs `serve` on the first core; it tells its address.
fn start(serve: impl FnOnce(Sender<SocketAddr>) + Send + 'static) -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        pin(0);
        serve(sender);
    });
    receiver.recv().expect("an address")
}

fn serve(started: Sender<SocketAddr>, stop: CancellationToken) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let config = Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            upstreams: Upstreams::Servers(Vec::new()),
            ..Config::default()
        };
        let bound = bind(config).expect("a free port");
        started.send(bound.addresses()[0]).expect("somebody who waits");
        fixed::serve(bound, objects(), stop).await.expect("sockets that work");
    });
}

/// One call to receive and one to send for each datagram.
fn echo(started: Sender<SocketAddr>, stop: CancellationToken) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time limit");
    started.send(socket.local_addr().expect("an address")).expect("somebody who waits");
    let mut buffer = [0; 4096];
    while !stop.is_cancelled() {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            socket.send_to(&buffer[..length], from).expect("room");
        }
    }
}

fn question(id: u16, name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.id = id;
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    message.to_vec().expect("a message")
}

fn questions(name: impl Fn(u16) -> String, kind: RecordType) -> Vec<Vec<u8>> {
    (0..4096).map(|id| question(id, &name(id), kind)).collect()
}

/// Keeps `window` questions under way.
fn load(what: &str, server: SocketAddr, window: usize, questions: &[Vec<u8>]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a time limit");
    let (peer, mut inbox, mut outbox) = (Peer::from(server), Inbox::default(), Outbox::default());
    let (start, mut next) = (Instant::now(), 0);
    let (mut asked, mut waits) = (vec![start; questions.len()], Vec::new());
    let mut ask = |outbox: &mut Outbox, asked: &mut [Instant], now: Instant| {
        asked[next] = now;
        outbox.push(&peer, |out| {
            out.extend_from_slice(&questions[next]);
            Some(())
        });
        next = (next + 1) % questions.len();
    };
    (0..window).for_each(|_| ask(&mut outbox, &mut asked, start));
    let mut now = start;
    while now - start < LASTING {
        outbox.send(socket.as_fd()).expect("room");
        inbox.receive(socket.as_fd()).expect("an answer");
        now = Instant::now();
        for (answer, _) in inbox.iter() {
            let id = usize::from(u16::from_be_bytes([answer[0], answer[1]]));
            waits.push((now - asked[id]).as_nanos());
            ask(&mut outbox, &mut asked, now);
        }
    }
    waits.sort_unstable();
    let at = |share: usize| waits[waits.len() * share / 100] as f64 / 1000.0;
    let rate = waits.len() as f64 / (now - start).as_secs_f64();
    println!("dns: {what}, {window} under way: {rate:.0} per second, p50 {:.1} us, p99 {:.1} us", at(50), at(99));
}

fn main() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    pin(cores - 1);
    let stop = CancellationToken::new();
    let token = stop.clone();
    let raw = start(move |started| echo(started, token));
    let token = stop.clone();
    let server = start(move |started| serve(started, token));
    let service = |id: u16| format!("s{}.default.svc.cluster.local.", id * 2);
    let addresses = questions(service, RecordType::A);
    println!("dns: one core, {SERVICES} services");
    for window in WINDOWS {
        load("datagrams sent straight back", raw, window, &addresses);
        load("addresses", server, window, &addresses);
    }
    let nobody = |id: u16| format!("x{id}.default.svc.cluster.local.");
    let reverse = |id: u16| format!("{}.{}.96.10.in-addr.arpa.", id % 256, id / 256);
    load("no such address", server, 64, &questions(service, RecordType::AAAA));
    load("no such name", server, 64, &questions(nobody, RecordType::A));
    load("reverse names (the long way)", server, 64, &questions(reverse, RecordType::PTR));
    stop.cancel();
}
