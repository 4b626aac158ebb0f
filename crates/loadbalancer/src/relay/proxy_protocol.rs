//! The header of the PROXY protocol, version 2: tells a backend who its client is.

use std::net::{IpAddr, SocketAddr};

use skiff_api::endpoints::Protocol;

const SIGNATURE: [u8; 12] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A];
/// Version 2, command PROXY.
const VERSION_COMMAND: u8 = 0x21;

/// The header for a connection from `client` to `to`, which are of one family.
pub(crate) fn header(protocol: Protocol, client: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let transport = if protocol == Protocol::Udp { 2 } else { 1 };
    let mut header = SIGNATURE.to_vec();
    header.push(VERSION_COMMAND);
    match (client.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            header.extend([0x10 | transport, 0, 12]);
            header.extend(source.octets());
            header.extend(target.octets());
        }
        (source, target) => {
            let wide = |address| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            header.extend([0x20 | transport, 0, 36]);
            header.extend(wide(source).octets());
            header.extend(wide(target).octets());
        }
    }
    header.extend(client.port().to_be_bytes());
    header.extend(to.port().to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_the_wire_form() {
        let found = header(Protocol::Tcp, ([127, 0, 0, 1], 0x1234).into(), ([127, 0, 0, 2], 80).into());
        let expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x02\x12\x34\0\x50";
        assert_eq!(found, expected);
        let v6 = header(Protocol::Udp, "[::1]:1".parse().unwrap(), "[::1]:2".parse().unwrap());
        assert_eq!((v6[13], v6[15], v6.len()), (0x22, 36, 52));
    }
}
