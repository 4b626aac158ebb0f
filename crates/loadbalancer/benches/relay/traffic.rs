//! Servers in the pod, and the clients that measure.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use socket2::SockRef;

/// The ports of the servers: HTTP, one that takes all, one that gives without end.
pub(crate) const HTTP: u16 = 80;
pub(crate) const SINK: u16 = 81;
pub(crate) const SOURCE: u16 = 82;

const LASTING: Duration = Duration::from_millis(400);
const CHUNK: usize = 128 * 1024;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
const ANSWER: [u8; 256] = {
    let head = *b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 190\r\n\r\n";
    let mut answer = [b'x'; 256];
    let mut at = 0;
    while at < head.len() {
        answer[at] = head[at];
        at += 1;
    }
    answer
};

/// Starts the servers; each connection has a thread.
pub(crate) fn serve() {
    each(HTTP, |mut stream| {
        let mut request = [0; REQUEST.len()];
        while stream.read_exact(&mut request).is_ok() && stream.write_all(&ANSWER).is_ok() {}
    });
    each(SINK, |mut stream| {
        let mut buffer = vec![0; CHUNK];
        while let Ok(1..) = stream.read(&mut buffer) {}
    });
    each(SOURCE, |mut stream| {
        let buffer = vec![7; CHUNK];
        while stream.write_all(&buffer).is_ok() {}
    });
}

fn each(port: u16, work: fn(TcpStream)) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("a free port");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // That it delays is no more than slow.
            let _ = stream.set_nodelay(true);
            thread::spawn(move || work(stream));
        }
    });
}

fn connect(address: Ipv4Addr, port: u16) -> TcpStream {
    let stream = TcpStream::connect((address, port)).expect("a connection");
    stream.set_nodelay(true).expect("a socket option");
    // Ports are not to run out over many short connections.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket option");
    stream
}

fn request(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(REQUEST)?;
    stream.read_exact(&mut [0; ANSWER.len()])
}

/// What some threads do in a second; `work` does one thing and says how much that was.
fn rate<S>(threads: usize, start: impl Fn() -> S + Sync, work: impl Fn(&mut S) -> usize + Sync) -> f64 {
    let started = Instant::now();
    let done: usize = thread::scope(|scope| {
        let one = || {
            let (mut state, mut done) = (start(), 0);
            while started.elapsed() < LASTING {
                done += work(&mut state);
            }
            done
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread that does not panic")).sum()
    });
    done as f64 / started.elapsed().as_secs_f64()
}

/// Requests a second over connections that stay.
pub(crate) fn keep_alive(address: Ipv4Addr) -> f64 {
    rate(
        16,
        || connect(address, HTTP),
        |stream| {
            request(stream).expect("an answer");
            1
        },
    )
}

/// Requests a second, each over a connection of its own.
pub(crate) fn connections(address: Ipv4Addr) -> f64 {
    rate(
        4,
        || (),
        |()| {
            request(&mut connect(address, HTTP)).expect("an answer");
            1
        },
    )
}

/// Megabytes a second to the pod.
pub(crate) fn upload(address: Ipv4Addr) -> f64 {
    let chunk = vec![7; CHUNK];
    let send = |stream: &mut TcpStream| {
        stream.write_all(&chunk).expect("room");
        chunk.len()
    };
    rate(1, || connect(address, SINK), send) / 1e6
}

/// Megabytes a second from the pod.
pub(crate) fn download(address: Ipv4Addr) -> f64 {
    let start = || (connect(address, SOURCE), vec![0; CHUNK]);
    rate(1, start, |(stream, buffer)| stream.read(buffer).expect("bytes")) / 1e6
}
