//! Bytes per second through the relay, as a share of what the same sockets do directly.
//!
//! Run: `cargo bench -p skiff-loadbalancer`.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use skiff_loadbalancer::fixed;

const LASTING: Duration = Duration::from_secs(3);
const CHUNK: usize = 128 * 1024;
const TRIPS: u32 = 20_000;

/// A server that takes all and answers one byte to each connection's end, or echoes if the first byte says so.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                let mut buffer = vec![0; CHUNK];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if length == 1 && stream.write_all(&buffer[..1]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn throughput(address: SocketAddr) -> f64 {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let chunk = vec![7; CHUNK];
    let (start, mut sent) = (Instant::now(), 0_usize);
    while start.elapsed() < LASTING {
        stream.write_all(&chunk).expect("room");
        sent += chunk.len();
    }
    sent as f64 / start.elapsed().as_secs_f64() / 1e9
}

fn trip(address: SocketAddr) -> Duration {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("a socket option");
    let start = Instant::now();
    for _ in 0..TRIPS {
        stream.write_all(&[1]).expect("room");
        stream.read_exact(&mut [0]).expect("an answer");
    }
    start.elapsed() / TRIPS
}

fn main() {
    let backend = server();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let relay = runtime.block_on(fixed::relay(([127, 0, 0, 1], 0).into(), vec![backend])).expect("a free port");
    let (direct, relayed) = (throughput(backend), throughput(relay));
    println!("relay: {relayed:.2} GB/s, directly {direct:.2} GB/s ({:.0} %)", 100.0 * relayed / direct);
    let (direct, relayed) = (trip(backend), trip(relay));
    println!("relay: a round trip of one byte {relayed:?}, directly {direct:?}");
}
