//! The smallest HTTP/1.1 client that does: one request at a time over a Unix socket, JSON in and out.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use serde_json::Value;

/// A kept-alive connection.
pub(crate) struct Connection {
    reader: BufReader<UnixStream>,
}

impl Connection {
    pub(crate) fn open(socket: &Path) -> Self {
        Self { reader: BufReader::with_capacity(256 << 10, UnixStream::connect(socket).unwrap()) }
    }

    fn send(&mut self, method: &str, path: &str, body: &str) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.reader.get_mut().write_all(request.as_bytes()).unwrap();
    }

    /// Sends a request and returns the status code and the body.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
        self.send(method, path, body);
        let (code, length) = self.head();
        let mut answer = Vec::new();
        match length {
            Some(length) => {
                answer.resize(length, 0);
                self.reader.read_exact(&mut answer).unwrap();
            }
            None => while self.chunk(&mut answer) {},
        }
        (code, answer)
    }

    /// The same with a success expected.
    pub(crate) fn ok(&mut self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let (code, answer) = self.call(method, path, body);
        assert!((200..300).contains(&code), "{method} {path}: {code} {}", String::from_utf8_lossy(&answer));
        answer
    }

    /// Starts a watch; its events are read by [`Connection::event`].
    pub(crate) fn watch(mut self, path: &str) -> Self {
        self.send("GET", path, "");
        let (code, _) = self.head();
        assert_eq!(code, 200, "{path}");
        self
    }

    /// The next events of a watch, as they came in one piece.
    pub(crate) fn events(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        assert!(self.chunk(&mut line), "the watch ended");
        line
    }

    fn head(&mut self) -> (u16, Option<usize>) {
        let (mut code, mut length) = (0, None);
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            let line = line.trim().to_lowercase();
            if line.is_empty() {
                return (code, length);
            }
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                code = rest[..3].parse().unwrap();
            }
            if let Some(rest) = line.strip_prefix("content-length:") {
                length = Some(rest.trim().parse().unwrap());
            }
        }
    }

    fn chunk(&mut self, into: &mut Vec<u8>) -> bool {
        let mut size = String::new();
        self.reader.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let start = into.len();
        into.resize(start + size, 0);
        self.reader.read_exact(&mut into[start..]).unwrap();
        let mut end = [0; 2];
        self.reader.read_exact(&mut end).unwrap();
        size > 0
    }
}

/// A body as JSON.
pub(crate) fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}
