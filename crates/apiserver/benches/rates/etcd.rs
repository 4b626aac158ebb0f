//! etcd alone, on the same disk and in the same run: what keeping an object costs it without any API server before it.
//!
//! Debian's `etcd-server`; where it is missing, that is said and nothing is measured. The client is as small as one can be:
//! a call of gRPC is a POST over HTTP/2 whose body is a zero, a length of four bytes, and the message.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::join_all;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::Report;

/// As much as the store keeps of the ConfigMap that the other benchmarks create.
const VALUE: usize = 700;

type Sender = SendRequest<Full<Bytes>>;

/// The process, which ends with this.
struct Etcd {
    process: Child,
    address: SocketAddr,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(folder: &Path) -> Option<Etcd> {
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let (clients, peers) = (free(), free());
    let (to_clients, to_peers) = (format!("http://{clients}"), format!("http://{peers}"));
    let process = Command::new("etcd")
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .args(["--listen-client-urls", &to_clients, "--advertise-client-urls", &to_clients])
        .args(["--listen-peer-urls", &to_peers, "--initial-advertise-peer-urls", &to_peers])
        .args(["--initial-cluster", &format!("default={to_peers}"), "--log-level", "error"])
        .stderr(Stdio::null())
        .spawn();
    match process {
        Ok(process) => Some(Etcd { process, address: clients }),
        Err(error) => {
            eprintln!("SKIPPED: etcd was not measured: {error} (Debian has it as etcd-server)");
            None
        }
    }
}

async fn connect(address: SocketAddr) -> Option<Sender> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}

/// Until it answers.
async fn ready(etcd: &Etcd) -> Sender {
    let started = Instant::now();
    loop {
        if let Some(mut sender) = connect(etcd.address).await
            && call(&mut sender, "Range", &fields(&[(1, b"none")])).await
        {
            return sender;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "etcd does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A message of fields of bytes.
fn fields(all: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, bytes) in all {
        out.push(number << 3 | 2);
        let mut left = bytes.len();
        while left >= 0x80 {
            out.push(left as u8 | 0x80);
            left >>= 7;
        }
        out.push(left as u8);
        out.extend_from_slice(bytes);
    }
    out
}

/// Calls a method of `etcdserverpb.KV`; whether it went well.
async fn call(sender: &mut Sender, method: &str, message: &[u8]) -> bool {
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend_from_slice(message);
    let request = Request::post(format!("http://etcd/etcdserverpb.KV/{method}"));
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    if sender.ready().await.is_err() {
        return false;
    }
    let Ok(response) = sender.send_request(request.body(Full::from(body)).unwrap()).await else { return false };
    let Ok(answer) = response.into_body().collect().await else { return false };
    answer.trailers().and_then(|trailers| trailers.get("grpc-status")).is_some_and(|status| status == "0")
}

/// Some clients, each with a connection of its own, share `count` calls.
async fn rate(report: &mut Report, etcd: &Etcd, name: &str, clients: usize, count: usize, get: bool) {
    let mut senders = Vec::new();
    for _ in 0..clients {
        senders.push(connect(etcd.address).await.unwrap());
    }
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    let one = |mut sender: Sender| {
        let next = &next;
        async move {
            let mut times = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return times;
                }
                let key = format!("/registry/configmaps/default/c-{}", if get { index % 1000 } else { index });
                let begun = Instant::now();
                let done = if get {
                    call(&mut sender, "Range", &fields(&[(1, key.as_bytes())])).await
                } else {
                    call(&mut sender, "Put", &fields(&[(1, key.as_bytes()), (2, &[b'x'; VALUE])])).await
                };
                assert!(done, "{name}");
                times.push(begun.elapsed());
            }
        }
    };
    let mut times: Vec<Duration> = join_all(senders.into_iter().map(one)).await.into_iter().flatten().collect();
    let took = started.elapsed();
    times.sort_unstable();
    report.add(format!("etcd alone: {name}"), count as f64 / took.as_secs_f64(), "/s");
    report.add(format!("etcd alone: {name}, median"), times[times.len() / 2].as_secs_f64() * 1e3, "ms");
}

/// Measures it.
pub(crate) async fn measure(report: &mut Report, folder: &Path) {
    let Some(etcd) = start(folder) else { return };
    drop(ready(&etcd).await);
    rate(report, &etcd, "put, 700 bytes, 1 client", 1, 1000, false).await;
    rate(report, &etcd, "put, 700 bytes, 32 clients", 32, 10_000, false).await;
    rate(report, &etcd, "get, 32 clients", 32, 40_000, true).await;
}
