//! The HTTP/1.1 server: one thread for each connection, with a small stack, since a sample should be short to read.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const STACK: usize = 128 << 10;
const MOST_CONNECTIONS: usize = 4096;
const LONGEST_HEAD: u64 = 32 << 10;
const LONGEST_BODY: u64 = 16 << 20;
const IDLE: Duration = Duration::from_secs(75);
/// Answers take microseconds; who needs longer has gone away.
const FINISHING: Duration = Duration::from_millis(500);

/// What all connections share.
pub(crate) struct Server {
    body: String,
    connections: AtomicUsize,
    /// Requests that were read and not yet answered.
    answering: AtomicUsize,
}

/// One line on standard output; a closed one is no reason to end.
pub(crate) fn log(line: &str) {
    let _ = writeln!(std::io::stdout(), "httpenv: {line}");
}

/// The environment, sorted by name, with the host's name even where nobody set it.
pub(crate) fn environment() -> String {
    let mut variables: BTreeMap<String, String> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    variables.entry("HOSTNAME".to_owned()).or_insert_with(|| {
        nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    });
    let json: serde_json::Map<String, serde_json::Value> =
        variables.into_iter().map(|(name, value)| (name, value.into())).collect();
    format!("{:#}\n", serde_json::Value::Object(json))
}

impl Server {
    /// Listens on the port and answers from then on, on threads of its own.
    pub(crate) fn start(port: u16) -> Result<Arc<Self>, String> {
        let listeners = listen(port).map_err(|error| format!("cannot listen on port {port}: {error}"))?;
        let server =
            Arc::new(Self { body: environment(), connections: AtomicUsize::new(0), answering: AtomicUsize::new(0) });
        for listener in listeners {
            let at = listener.local_addr().map_or_else(|_| port.to_string(), |address| address.to_string());
            let accepting = Arc::clone(&server);
            std::thread::Builder::new()
                .stack_size(STACK)
                .spawn(move || accepting.accept(&listener))
                .map_err(|error| format!("cannot start a thread: {error}"))?;
            log(&format!("listening on {at}"));
        }
        Ok(server)
    }

    /// Lets the answers under way get out.
    pub(crate) fn finish(&self) {
        let end = Instant::now() + FINISHING;
        while self.answering.load(Ordering::Acquire) > 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            let (stream, peer) = match listener.accept() {
                Ok((stream, peer)) => (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port())),
                Err(error) => {
                    log(&format!("cannot accept: {error}"));
                    // Out of descriptors, most likely: let some connections end.
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                }
            };
            if self.connections.fetch_add(1, Ordering::AcqRel) >= MOST_CONNECTIONS {
                self.connections.fetch_sub(1, Ordering::AcqRel);
                continue;
            }
            let server = Arc::clone(self);
            let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
                // The peer is gone when this fails, so there is nobody to tell.
                let _ = server.serve(&stream, peer);
                server.connections.fetch_sub(1, Ordering::AcqRel);
            });
            if let Err(error) = thread {
                self.connections.fetch_sub(1, Ordering::AcqRel);
                log(&format!("cannot start a thread for {peer}: {error}"));
            }
        }
    }

    fn serve(&self, stream: &TcpStream, peer: SocketAddr) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_write_timeout(Some(IDLE))?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader)? {
            self.answering.fetch_add(1, Ordering::AcqRel);
            let answered = self.answer(stream, &request, &mut reader);
            self.answering.fetch_sub(1, Ordering::AcqRel);
            log(&format!("{peer} {} {} {}", request.method, request.target, answered?));
            if request.close {
                break;
            }
        }
        Ok(())
    }

    fn answer(&self, mut stream: &TcpStream, request: &Request, reader: &mut impl Read) -> std::io::Result<u16> {
        let (status, text, body) = match request.fault {
            None => (200, "OK", self.body.as_str()),
            Some(fault) => (fault.0, fault.1, ""),
        };
        std::io::copy(&mut reader.take(request.body), &mut std::io::sink())?;
        let connection = if request.close { "close" } else { "keep-alive" };
        let mut message = format!(
            "HTTP/1.1 {status} {text}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: {connection}\r\n\r\n",
            body.len()
        );
        if request.method != "HEAD" {
            message.push_str(body);
        }
        stream.write_all(message.as_bytes())?;
        Ok(status)
    }
}

/// Both families where there are two; one socket usually serves both.
fn listen(port: u16) -> std::io::Result<Vec<TcpListener>> {
    let six = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port));
    let four = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
    match (six, four) {
        (Ok(six), Ok(four)) => Ok(vec![six, four]),
        // The first one has taken IPv4 along.
        (Ok(six), Err(_)) => Ok(vec![six]),
        (Err(_), four) => Ok(vec![four?]),
    }
}

/// What has to be known of a request to answer it.
#[derive(Debug, PartialEq)]
struct Request {
    method: String,
    target: String,
    /// Length of the body to pass over.
    body: u64,
    close: bool,
    fault: Option<(u16, &'static str)>,
}

impl Request {
    /// Nothing when the peer has no further request.
    fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Self>> {
        let mut head = reader.take(LONGEST_HEAD);
        let mut line = String::new();
        while line.trim().is_empty() {
            line.clear();
            if head.read_line(&mut line)? == 0 {
                return Ok(None);
            }
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, target, version) = (words.next(), words.next(), words.next());
        let mut request = Self {
            method: method.unwrap_or_default(),
            target: target.unwrap_or_default(),
            body: 0,
            close: version.as_deref() != Some("HTTP/1.1"),
            fault: version.is_none().then_some((400, "Bad Request")),
        };
        loop {
            line.clear();
            if head.read_line(&mut line)? == 0 {
                // Cut off: by the peer or by the limit.
                request.refuse(431, "Request Header Fields Too Large");
                return Ok(if head.limit() == 0 { Some(request) } else { None });
            }
            let header = line.trim_end();
            if header.is_empty() {
                return Ok(Some(request));
            }
            request.header(header);
        }
    }

    fn header(&mut self, header: &str) {
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        let value = value.trim().to_ascii_lowercase();
        match name.to_ascii_lowercase().as_str() {
            "connection" if value.contains("close") => self.close = true,
            "connection" if value.contains("keep-alive") => self.close = self.fault.is_some(),
            "content-length" => match value.parse() {
                Ok(length) if length <= LONGEST_BODY => self.body = length,
                _ => self.refuse(413, "Content Too Large"),
            },
            // The body's end cannot be told without reading it, so the connection ends with the answer.
            "transfer-encoding" => self.close = true,
            _ => {}
        }
    }

    fn refuse(&mut self, status: u16, text: &'static str) {
        (self.fault, self.close, self.body) = (Some((status, text)), true, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Request> {
        Request::read(&mut text.as_bytes()).unwrap()
    }

    #[test]
    fn requests_are_kept_alive_as_their_version_says() {
        assert!(!read("GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap().close);
        assert!(read("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap().close);
        assert!(read("GET / HTTP/1.0\r\n\r\n").unwrap().close);
        assert!(!read("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap().close);
    }

    #[test]
    fn bodies_are_measured_and_bounded() {
        assert_eq!(read("POST /x HTTP/1.1\r\nContent-Length: 12\r\n\r\n").unwrap().body, 12);
        let large = read("POST /x HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n").unwrap();
        assert_eq!(large.fault.unwrap().0, 413);
        assert!(large.close);
    }

    #[test]
    fn cut_off_and_endless_heads_end() {
        assert_eq!(read(""), None);
        assert_eq!(read("GET / HTTP/1.1\r\nHo"), None);
        let endless = format!("GET / HTTP/1.1\r\n{}", "x: y\r\n".repeat(20_000));
        assert_eq!(read(&endless).unwrap().fault.unwrap().0, 431);
    }

    #[test]
    fn the_host_name_is_always_there() {
        let json: serde_json::Value = serde_json::from_str(&environment()).unwrap();
        assert!(json.get("HOSTNAME").is_some_and(serde_json::Value::is_string));
    }
}
