//! Names to addresses as `/etc/hosts` and `/etc/resolv.conf` say.
//!
//! Ours because this program is linked statically: the C library's resolver would look for shared libraries that an
//! image without anything else does not have.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

const A: u16 = 1;
const AAAA: u16 = 28;
const DNS_PORT: u16 = 53;
const MOST_SERVERS: usize = 3;

/// What the two files say.
#[derive(Debug, PartialEq)]
pub(crate) struct Resolver {
    hosts: Vec<(IpAddr, Vec<String>)>,
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
    timeout: Duration,
    attempts: u32,
}

/// Why a name has no address.
#[derive(Debug, PartialEq)]
pub(crate) enum LookupError {
    /// The servers say that there is none.
    NotFound(String),
    /// No server gave an answer.
    NoAnswer(String),
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(name) => write!(f, "could not resolve host: {name}"),
            Self::NoAnswer(name) => write!(f, "could not resolve host: {name}: no DNS server answered"),
        }
    }
}

/// One server's answer for one full name.
enum Answer {
    Addresses(Vec<IpAddr>),
    Truncated,
    Failed,
}

impl Resolver {
    pub(crate) fn from_system() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self::parse(&read("/etc/hosts"), &read("/etc/resolv.conf"))
    }

    fn parse(hosts: &str, conf: &str) -> Self {
        let mut resolver = Self {
            hosts: hosts.lines().filter_map(parse_host).collect(),
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(2),
            attempts: 2,
        };
        for line in conf.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse().ok());
                    resolver.servers.extend(address.map(|address| SocketAddr::new(address, DNS_PORT)));
                }
                Some("search" | "domain") => resolver.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| resolver.option(word)),
                _ => {}
            }
        }
        if resolver.servers.is_empty() {
            resolver.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DNS_PORT));
        }
        resolver.servers.truncate(MOST_SERVERS);
        resolver
    }

    fn option(&mut self, word: &str) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        match (name, value.parse::<u32>()) {
            ("ndots", Ok(ndots)) => self.ndots = ndots.min(15) as usize,
            ("timeout", Ok(seconds)) => self.timeout = Duration::from_secs(seconds.clamp(1, 30).into()),
            ("attempts", Ok(attempts)) => self.attempts = attempts.clamp(1, 5),
            _ => {}
        }
    }

    /// The full names to ask for, in order: few dots mean that the search list comes first.
    fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let searched = self.search.iter().map(|domain| format!("{name}.{}", domain.trim_end_matches('.')));
        let as_is = std::iter::once(name.to_owned());
        if name.matches('.').count() >= self.ndots {
            as_is.chain(searched).collect()
        } else {
            searched.chain(as_is).collect()
        }
    }

    /// All addresses of a name, IPv4 first.
    pub(crate) fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let known = self.hosts.iter().filter(|(_, names)| names.iter().any(|known| known.eq_ignore_ascii_case(name)));
        let known: Vec<IpAddr> = known.map(|(address, _)| *address).collect();
        if !known.is_empty() {
            return Ok(known);
        }
        let mut answered = false;
        for full in self.candidates(name) {
            let mut addresses = Vec::new();
            for kind in [A, AAAA] {
                if let Some(found) = self.ask(&full, kind) {
                    answered = true;
                    addresses.extend(found);
                }
            }
            if !addresses.is_empty() {
                return Ok(addresses);
            }
        }
        let name = name.to_owned();
        Err(if answered { LookupError::NotFound(name) } else { LookupError::NoAnswer(name) })
    }

    /// Asks the servers in turn; nothing when none answers.
    fn ask(&self, name: &str, kind: u16) -> Option<Vec<IpAddr>> {
        let id = random();
        let query = encode(id, name, kind)?;
        for _ in 0..self.attempts {
            for server in &self.servers {
                let answer = match udp(*server, &query, self.timeout).map(|bytes| decode(&bytes, &query, kind)) {
                    Ok(Answer::Truncated) => {
                        tcp(*server, &query, self.timeout).map(|bytes| decode(&bytes, &query, kind))
                    }
                    other => other,
                };
                if let Ok(Answer::Addresses(addresses)) = answer {
                    return Some(addresses);
                }
            }
        }
        None
    }
}

fn parse_host(line: &str) -> Option<(IpAddr, Vec<String>)> {
    let mut words = line.split('#').next()?.split_whitespace();
    let address = words.next()?.parse().ok()?;
    Some((address, words.map(str::to_owned).collect()))
}

fn random() -> u16 {
    let hash = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (hash & 0xffff) as u16
}

fn udp(server: SocketAddr, query: &[u8], timeout: Duration) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_read_timeout(Some(timeout))?;
    socket.connect(server)?;
    socket.send(query)?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer)?;
        // A late answer to somebody else's question is not ours.
        if buffer[..length].starts_with(&query[..2]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

fn tcp(server: SocketAddr, query: &[u8], timeout: Duration) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let length = u16::try_from(query.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// A question; nothing when the name cannot be one.
fn encode(id: u16, name: &str, kind: u16) -> Option<Vec<u8>> {
    let mut out = id.to_be_bytes().to_vec();
    // Recursion desired, one question.
    out.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        out.push(length);
        out.extend(label.bytes());
    }
    out.push(0);
    out.extend(kind.to_be_bytes());
    out.extend(1_u16.to_be_bytes());
    Some(out)
}

fn decode(answer: &[u8], query: &[u8], kind: u16) -> Answer {
    read(answer, query, kind).unwrap_or(Answer::Failed)
}

fn read(answer: &[u8], query: &[u8], kind: u16) -> Option<Answer> {
    let number = |at: usize| Some(u16::from_be_bytes([*answer.get(at)?, *answer.get(at + 1)?]));
    if number(0)? != u16::from_be_bytes([query[0], query[1]]) {
        return None;
    }
    let (truncated, code) = (answer.get(2)? & 2 != 0, answer.get(3)? & 15);
    if truncated {
        return Some(Answer::Truncated);
    }
    match code {
        0 => {}
        3 => return Some(Answer::Addresses(Vec::new())),
        _ => return None,
    }
    let mut at = 12;
    for _ in 0..number(4)? {
        at = skip_name(answer, at)? + 4;
    }
    let mut addresses = Vec::new();
    for _ in 0..number(6)? {
        at = skip_name(answer, at)?;
        let (found, length) = (number(at)?, usize::from(number(at + 8)?));
        let data = answer.get(at + 10..at + 10 + length)?;
        at += 10 + length;
        // Aliases come along with what they stand for.
        if found == kind {
            addresses.extend(
                <[u8; 4]>::try_from(data).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(data).map(IpAddr::from)),
            );
        }
    }
    Some(Answer::Addresses(addresses))
}

fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += usize::from(length) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = "search default.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";

    #[test]
    fn few_dots_ask_the_search_list_first() {
        let resolver = Resolver::parse("", CONF);
        let names = resolver.candidates("httpenv");
        assert_eq!(names, ["httpenv.default.svc.cluster.local", "httpenv.svc.cluster.local", "httpenv"]);
        assert_eq!(resolver.candidates("a.b.c.d.e.f")[0], "a.b.c.d.e.f");
        assert_eq!(resolver.candidates("httpenv."), ["httpenv"]);
    }

    #[test]
    fn the_hosts_file_comes_before_any_server() {
        let resolver = Resolver::parse("127.0.0.1 localhost # me\nfd00::1 Six six.local\n", "");
        assert_eq!(resolver.lookup("LOCALHOST").unwrap(), [IpAddr::from([127, 0, 0, 1])]);
        assert_eq!(resolver.lookup("six").unwrap(), ["fd00::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(resolver.lookup("10.1.2.3").unwrap(), [IpAddr::from([10, 1, 2, 3])]);
    }

    #[test]
    fn answers_are_read_through_aliases() {
        let query = encode(7, "a.b", A).unwrap();
        let mut answer = query.clone();
        (answer[2], answer[3], answer[7]) = (0x81, 0x80, 2);
        // a.b is an alias of c, and c has an address.
        answer.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 3, 1, b'c', 0]);
        answer.extend([1, b'c', 0, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 1, 2, 3]);
        let Answer::Addresses(found) = decode(&answer, &query, A) else { panic!("no addresses") };
        assert_eq!(found, [IpAddr::from([10, 1, 2, 3])]);
        for end in 0..answer.len() {
            assert!(matches!(decode(&answer[..end], &query, A), Answer::Failed), "cut at {end}");
        }
    }

    #[test]
    fn names_that_cannot_be_asked_for_are_not() {
        assert_eq!(encode(1, "a..b", A), None);
        assert_eq!(encode(1, &"x".repeat(64), A), None);
    }
}
