//! Keys and values of sets: short runs of registers, kept inline because there are tens of thousands.

use std::{fmt, net::Ipv4Addr};

const CAPACITY: usize = 31;

/// The bytes of a key or value: fields one behind the other, each padded to four bytes as in registers.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Data {
    length: u8,
    bytes: [u8; CAPACITY],
}

impl Data {
    /// No fields yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { length: 0, bytes: [0; CAPACITY] }
    }

    /// With an address added.
    #[must_use]
    pub fn ip(self, address: Ipv4Addr) -> Self {
        self.field(address.octets())
    }

    /// With an IP protocol number added.
    #[must_use]
    pub fn protocol(self, protocol: u8) -> Self {
        self.field([protocol, 0, 0, 0])
    }

    /// With a port added.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        let [high, low] = port.to_be_bytes();
        self.field([high, low, 0, 0])
    }

    /// With a number added, in the machine's byte order as computed numbers are.
    #[must_use]
    pub fn number(self, number: u32) -> Self {
        self.field(number.to_ne_bytes())
    }

    /// With a bit pattern of one byte added.
    #[must_use]
    pub fn byte(self, byte: u8) -> Self {
        self.field([byte, 0, 0, 0])
    }

    /// The first `length` bytes only: what a comparison with a shorter field takes.
    #[must_use]
    pub fn cut(mut self, length: usize) -> Self {
        self.length = self.length.min(u8::try_from(length).unwrap_or(u8::MAX));
        self
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Bytes as read from the kernel; `None` if there are too many.
    #[must_use]
    pub fn from_bytes(from: &[u8]) -> Option<Self> {
        let mut bytes = [0; CAPACITY];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        Some(Self { length: u8::try_from(from.len()).ok()?, bytes })
    }

    fn field(mut self, bytes: [u8; 4]) -> Self {
        let start = usize::from(self.length);
        // No key or value of ours has more than seven fields; one that had would show in every test.
        debug_assert!(start + 4 <= CAPACITY, "a key has at most seven fields");
        if let Some(place) = self.bytes.get_mut(start..start + 4) {
            place.copy_from_slice(&bytes);
            self.length += 4;
        }
        self
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.bytes().iter().enumerate() {
            let gap = if place > 0 && place % 4 == 0 { " " } else { "" };
            write!(f, "{gap}{byte:02x}")?;
        }
        Ok(())
    }
}

/// What a field of a key or value is, so that `nft list` shows it as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 address.
    Ipv4,
    /// An IP protocol.
    Protocol,
    /// A port.
    Port,
    /// A number.
    Number,
}

impl Kind {
    /// How many bytes a value has, before it is padded to a register.
    pub(super) fn width(self) -> u32 {
        match self {
            Self::Protocol => 1,
            Self::Port => 2,
            Self::Ipv4 | Self::Number => 4,
        }
    }

    /// The type's number in libnftables.
    pub(super) fn id(self) -> u32 {
        match self {
            Self::Ipv4 => 7,
            Self::Protocol => 12,
            Self::Port => 13,
            // "mark": a number in the machine's byte order.
            Self::Number => 19,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_laid_out_as_registers() {
        let key = Data::new().ip(Ipv4Addr::new(10, 96, 0, 1)).protocol(6).port(443);
        assert_eq!(key.bytes(), [10, 96, 0, 1, 6, 0, 0, 0, 1, 187, 0, 0]);
        assert_eq!(format!("{key:?}"), "0a600001 06000000 01bb0000");
        assert_eq!(key.cut(2).bytes(), [10, 96]);
        assert_eq!(Data::from_bytes(key.bytes()), Some(key));
        assert_eq!(Data::from_bytes(&[0; 32]), None);
    }
}
