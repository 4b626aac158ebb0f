//! Relays between real sockets on loopback.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    relay::{Shared, tcp, udp},
    route::{Route, Slot},
};

const PATIENCE: Duration = Duration::from_secs(30);

struct Relay {
    address: SocketAddr,
    slot: Arc<Slot>,
    task: AbortOnDropHandle<()>,
}

async fn relay(route: Route) -> Relay {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, slot) = (listener.local_addr().unwrap(), Arc::new(Slot::default()));
    slot.set(route);
    let task = tokio::spawn(tcp::listen(listener, Arc::clone(&slot), true, Shared::new(4096)));
    Relay { address, slot, task: AbortOnDropHandle::new(task) }
}

fn to(endpoints: &[SocketAddr]) -> Route {
    Route { endpoints: endpoints.to_vec(), ..Route::default() }
}

async fn backend() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A connected client with the backend's end of it.
async fn pair() -> (TcpStream, TcpStream, Relay) {
    let (listener, address) = backend().await;
    let relay = relay(to(&[address])).await;
    let client = TcpStream::connect(relay.address).await.unwrap();
    let (server, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    (client, server, relay)
}

#[tokio::test]
async fn one_side_may_end_before_the_other() {
    let (mut client, mut server, _relay) = pair().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut asked = String::new();
    timeout(PATIENCE, server.read_to_string(&mut asked)).await.unwrap().unwrap();
    assert_eq!(asked, "question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    let mut answered = String::new();
    timeout(PATIENCE, client.read_to_string(&mut answered)).await.unwrap().unwrap();
    assert_eq!(answered, "answer");
}

#[tokio::test]
async fn a_reset_is_passed_on() {
    for from_client in [true, false] {
        let (client, server, _relay) = pair().await;
        let (resets, mut sees) = if from_client { (client, server) } else { (server, client) };
        SockRef::from(&resets).set_linger(Some(Duration::ZERO)).unwrap();
        drop(resets);
        let error = timeout(PATIENCE, sees.read(&mut [0; 8])).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn nobody_there_is_a_reset_at_once() {
    let (listener, gone) = backend().await;
    drop(listener);
    for route in [to(&[]), to(&[gone])] {
        let relay = relay(route).await;
        let mut client = TcpStream::connect(relay.address).await.unwrap();
        let error = timeout(PATIENCE, client.read(&mut [0; 8])).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_dead_endpoint_is_passed_over() {
    let (dead, gone) = backend().await;
    drop(dead);
    let (listener, alive) = backend().await;
    let relay = relay(to(&[gone, alive])).await;
    for _ in 0..20 {
        let _client = TcpStream::connect(relay.address).await.unwrap();
        timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn connections_outlive_endpoints_and_listeners() {
    let (mut client, mut server, relay) = pair().await;
    relay.slot.set(to(&[]));
    relay.task.abort();
    assert!(relay.task.await.unwrap_err().is_cancelled());
    assert!(TcpStream::connect(relay.address).await.is_err(), "the listener is closed");
    client.write_all(b"still").await.unwrap();
    let mut read = [0; 5];
    timeout(PATIENCE, server.read_exact(&mut read)).await.unwrap().unwrap();
    assert_eq!(&read, b"still");
}

#[tokio::test]
async fn who_does_not_read_stops_who_writes() {
    let (client, server, _relay) = pair().await;
    let chunk = vec![7; 1 << 20];
    let mut written = 0;
    let full = async {
        loop {
            server.writable().await.unwrap();
            if let Ok(some) = server.try_write(&chunk) {
                written += some;
            }
        }
    };
    // It stalls once sockets and pipe are full: no progress for a while is the proof.
    assert!(timeout(Duration::from_secs(2), full).await.is_err());
    assert!(written < 64 << 20, "{written} bytes were taken in");
    drop(server);
    let mut client = client;
    let mut read = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match timeout(PATIENCE, client.read(&mut buffer)).await.unwrap().unwrap() {
            0 => break,
            some => read += some,
        }
    }
    assert_eq!(read, written, "nothing is lost");
}

/// Short messages are copied and long ones spliced: neither may overtake the other.
#[tokio::test]
async fn messages_of_all_sizes_arrive_in_order() {
    let (client, server, _relay) = pair().await;
    let sizes = [1, 100, 16_383, 16_384, 16_385, 3, 200_000, 1, 5 << 20, 70_000, 16_384, 16_384, 2];
    let total: usize = sizes.iter().sum();
    let pattern: Arc<Vec<u8>> = Arc::new((0..total).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect());
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let mut all = JoinSet::new();
    for (mut write, mut read) in [(client_write, server_read), (server_write, client_read)] {
        let (sent, expected) = (Arc::clone(&pattern), Arc::clone(&pattern));
        all.spawn(async move {
            let mut rest = &sent[..];
            for size in sizes {
                let (message, later) = rest.split_at(size);
                write.write_all(message).await.unwrap();
                rest = later;
                tokio::task::yield_now().await;
            }
        });
        all.spawn(async move {
            let mut got = Vec::new();
            read.read_to_end(&mut got).await.unwrap();
            assert!(got == *expected, "{} of {total} bytes, or not those that were sent", got.len());
        });
    }
    while let Some(done) = timeout(PATIENCE, all.join_next()).await.unwrap() {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_thousand_connections() {
    let (listener, address) = backend().await;
    let _echo = AbortOnDropHandle::new(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    }));
    let relay = relay(to(&[address])).await;
    let mut clients = JoinSet::new();
    for n in 0..1000_u32 {
        let address = relay.address;
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            for round in 0..3 {
                let sent = (n * 3 + round).to_be_bytes();
                stream.write_all(&sent).await?;
                let mut back = [0; 4];
                stream.read_exact(&mut back).await?;
                assert_eq!(sent, back);
            }
            Ok::<_, std::io::Error>(stream)
        });
    }
    let mut open = Vec::new();
    while let Some(done) = timeout(PATIENCE, clients.join_next()).await.unwrap() {
        open.push(done.unwrap().unwrap());
    }
    assert_eq!(open.len(), 1000);
}

#[tokio::test]
async fn the_backend_is_told_who_asks() {
    let (listener, address) = backend().await;
    let relay = relay(Route { proxy_protocol: true, ..to(&[address]) }).await;
    let mut client = TcpStream::connect(relay.address).await.unwrap();
    client.write_all(b"!").await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    let mut read = [0; 29];
    timeout(PATIENCE, server.read_exact(&mut read)).await.unwrap().unwrap();
    assert_eq!(read[..12], *b"\r\n\r\n\0\r\nQUIT\n");
    assert_eq!(read[24..26], client.local_addr().unwrap().port().to_be_bytes());
    assert_eq!(read[28], b'!');
}

#[tokio::test]
async fn sources_that_are_not_allowed_are_turned_away() {
    let (_listener, address) = backend().await;
    let elsewhere = vec!["192.0.2.0/24".parse().unwrap()];
    let relay = relay(Route { sources: elsewhere, ..to(&[address]) }).await;
    let mut client = TcpStream::connect(relay.address).await.unwrap();
    assert!(timeout(PATIENCE, client.read(&mut [0; 1])).await.unwrap().is_err());
}

async fn echo() -> (SocketAddr, AbortOnDropHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let named = [&buffer[..length], address.port().to_string().as_bytes()].concat();
            socket.send_to(&named, client).await.unwrap();
        }
    });
    (address, AbortOnDropHandle::new(task))
}

#[tokio::test]
async fn datagrams_have_sessions() {
    let ((one, _one), (two, _two)) = (echo().await, echo().await);
    let listener = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let slot = Arc::new(Slot::default());
    slot.set(to(&[one]));
    let task = tokio::spawn(udp::listen(listener, Arc::clone(&slot), true, Duration::from_secs(60)));
    let _task = AbortOnDropHandle::new(task);
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(address).await.unwrap();
    let ask = async || {
        client.send(b"x").await.unwrap();
        let mut buffer = [0; 64];
        let length = timeout(PATIENCE, client.recv(&mut buffer)).await.unwrap().unwrap();
        String::from_utf8(buffer[1..length].to_vec()).unwrap()
    };
    assert_eq!(ask().await, one.port().to_string());
    slot.set(to(&[one, two]));
    for _ in 0..10 {
        assert_eq!(ask().await, one.port().to_string(), "a session stays where it is");
    }
    slot.set(to(&[two]));
    assert_eq!(ask().await, two.port().to_string(), "until its endpoint is gone");
}
