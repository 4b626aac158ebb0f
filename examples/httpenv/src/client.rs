//! An HTTP/1.1 client for one GET, enough to talk to services from inside a pod without a shell.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::resolver::Resolver;

const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: u64 = 64 << 20;

/// The body of a successful answer, or what went wrong.
pub(crate) fn get(url: &str) -> Result<String, String> {
    let url = Url::parse(url)?;
    let addresses = Resolver::from_system().lookup(url.host).map_err(|error| error.to_string())?;
    let mut failure = "the name has no address".to_owned();
    for address in addresses {
        let address = SocketAddr::new(address, url.port);
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => return exchange(stream, &url),
            Err(error) => failure = format!("cannot connect to {address}: {error}"),
        }
    }
    Err(failure)
}

fn exchange(mut stream: TcpStream, url: &Url<'_>) -> Result<String, String> {
    let run = |stream: &mut TcpStream| -> std::io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: httpenv\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            url.path, url.authority
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = run(&mut stream).map_err(|error| format!("no answer: {error}"))?;
    let (status, body) = parse(&answer).ok_or("the answer is no HTTP")?;
    let body = String::from_utf8_lossy(&body).into_owned();
    if (200..300).contains(&status) { Ok(body) } else { Err(format!("status {status}: {}", body.trim_end())) }
}

struct Url<'a> {
    authority: &'a str,
    host: &'a str,
    port: u16,
    path: &'a str,
}

impl<'a> Url<'a> {
    /// `http://` may be left out, as curl allows.
    fn parse(url: &'a str) -> Result<Self, String> {
        if url.starts_with("https://") {
            return Err("only http:// is supported".to_owned());
        }
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(80), str::parse).map_err(|_| "the port is no number".to_owned())?;
        let path = if path.is_empty() { "/" } else { path };
        if host.is_empty() { Err("there is no host".to_owned()) } else { Ok(Self { authority, host, port, path }) }
    }
}

/// Status and body; the body ends with the connection, unless it comes in chunks.
fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?.to_ascii_lowercase();
    let status = head.strip_prefix("http/1.")?.split_whitespace().nth(1)?.parse().ok()?;
    let body = &answer[end + 4..];
    let chunked = head.lines().any(|line| line.starts_with("transfer-encoding:") && line.ends_with("chunked"));
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    match length {
        _ if chunked => Some((status, unchunk(body)?)),
        Some(length) if body.len() < length => None,
        _ => Some((status, body.to_vec())),
    }
}

fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let line = body.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&body[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        body = &body[line + 2..];
        if size == 0 {
            return Some(out);
        }
        out.extend_from_slice(body.get(..size)?);
        body = body.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let url = Url::parse("httpenv.default:8888/a?b").unwrap();
        assert_eq!((url.host, url.port, url.path), ("httpenv.default", 8888, "/a?b"));
        let url = Url::parse("http://[fd00::1]:81").unwrap();
        assert_eq!((url.host, url.port, url.path), ("fd00::1", 81, "/"));
        assert!(Url::parse("https://x").is_err());
        assert!(Url::parse("http://:80").is_err());
    }

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        let plain = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        assert_eq!(plain, (200, b"hi".to_vec()));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi"), None);
        let chunked = b"HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3;x\r\n yo\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap(), (404, b"hi yo".to_vec()));
        assert_eq!(parse(&chunked[..chunked.len() - 7]), None);
    }
}
