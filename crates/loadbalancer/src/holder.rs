//! Who holds a port: read from `/proc`, only when binding it has failed.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use skiff_api::endpoints::Protocol;

use crate::plan::Socket;

const LISTENING: &str = "0A";

/// A process that holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its short name.
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// What is known about a socket that is in the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InTheWay {
    /// Whether it is bound to all addresses.
    pub(crate) everywhere: bool,
    pub(crate) holder: Option<Holder>,
}

/// Finds what is in the way of `socket`. Blocks: reads much of `/proc`.
pub(crate) fn find(socket: Socket) -> InTheWay {
    let names: &[&str] = match (socket.protocol, socket.address) {
        (Protocol::Udp, IpAddr::V4(_)) => &["udp", "udp6"],
        (Protocol::Udp, IpAddr::V6(_)) => &["udp6"],
        (_, IpAddr::V4(_)) => &["tcp", "tcp6"],
        (_, IpAddr::V6(_)) => &["tcp6"],
    };
    let tables = names.iter().filter_map(|name| fs::read_to_string(Path::new("/proc/net").join(name)).ok());
    let mut rows: Vec<Row> = tables.flat_map(|table| rows(&table)).filter(|row| row.blocks(socket)).collect();
    rows.sort_by_key(|row| (!row.listening, row.address.is_unspecified()));
    let Some(row) = rows.first() else { return InTheWay::default() };
    InTheWay { everywhere: row.address.is_unspecified(), holder: process(row.inode) }
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    address: IpAddr,
    port: u16,
    listening: bool,
    inode: u64,
}

impl Row {
    fn blocks(&self, socket: Socket) -> bool {
        self.port == socket.port && (self.address == socket.address || self.address.is_unspecified())
    }
}

fn rows(table: &str) -> Vec<Row> {
    table.lines().skip(1).filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    Some(Row {
        address: address_of(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        listening: *fields.get(3)? == LISTENING,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// Each 32-bit word is printed in the machine's byte order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

fn process(inode: u64) -> Option<Holder> {
    let wanted = format!("socket:[{inode}]");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(descriptors) = fs::read_dir(entry.path().join("fd")) else { continue };
        let holds =
            descriptors.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == &*wanted));
        if holds {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default().trim().to_owned();
            return Some(Holder { pid, name });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_kernel_s_tables_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4711 1 0 100 0 0 10 0\n   \
                     1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 12 1\n  x";
        let found = rows(table);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], Row { address: [127, 0, 0, 1].into(), port: 8080, listening: true, inode: 4711 });
        assert_eq!((found[1].address, found[1].port), (Ipv6Addr::LOCALHOST.into(), 80));
    }

    #[test]
    fn a_listener_of_ours_is_found_with_its_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = find(Socket { protocol: Protocol::Tcp, address: address.ip(), port: address.port() });
        assert!(!found.everywhere);
        assert_eq!(found.holder.unwrap().pid, std::process::id());
        let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = everywhere.local_addr().unwrap().port();
        assert!(find(Socket { protocol: Protocol::Tcp, address: address.ip(), port }).everywhere);
    }
}
