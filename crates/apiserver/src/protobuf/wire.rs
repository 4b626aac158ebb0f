//! The wire format of protobuf: numbered fields, each a number or bytes.

use super::ProtobufError;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Payload<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    payload: Payload<'a>,
}

impl<'a> Field<'a> {
    pub(super) fn bytes(&self) -> Result<&'a [u8], ProtobufError> {
        match self.payload {
            Payload::Bytes(bytes) => Ok(bytes),
            Payload::Number(_) => Err(ProtobufError::Malformed),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, ProtobufError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| ProtobufError::Text)
    }

    pub(super) fn unsigned(&self) -> Result<u64, ProtobufError> {
        match self.payload {
            Payload::Number(number) => Ok(number),
            Payload::Bytes(_) => Err(ProtobufError::Malformed),
        }
    }

    pub(super) fn integer(&self) -> Result<i64, ProtobufError> {
        self.unsigned().map(u64::cast_signed)
    }

    /// The numbers of a repeated field that is packed into bytes, or the single one that is not.
    pub(super) fn integers(&self) -> Result<Vec<i64>, ProtobufError> {
        let Payload::Bytes(bytes) = self.payload else { return Ok(vec![self.integer()?]) };
        let mut reader = Reader::new(bytes);
        let mut numbers = Vec::new();
        while !reader.rest.is_empty() {
            numbers.push(reader.varint()?.cast_signed());
        }
        Ok(numbers)
    }
}

/// Reads the fields of a message.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Field<'a>>, ProtobufError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let payload = match tag & 7 {
            0 => Payload::Number(self.varint()?),
            1 => Payload::Number(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| ProtobufError::Malformed)?;
                Payload::Bytes(self.take(length)?)
            }
            5 => Payload::Number(u64::from(u32::from_le_bytes(self.array()?))),
            _ => return Err(ProtobufError::Malformed),
        };
        Ok(Some(Field { number: tag >> 3, payload }))
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ProtobufError::Malformed)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtobufError> {
        self.take(N)?.try_into().map_err(|_| ProtobufError::Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ProtobufError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Appends a number in as many bytes as it needs.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // The low seven bits, with more to follow.
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field that holds a number.
pub(super) fn put_number(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

/// Appends a field that holds a number with a fraction.
pub(super) fn put_double(out: &mut Vec<u8>, number: u64, value: f64) {
    put_varint(out, number << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field that holds bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a field that holds what `write` appends.
pub(super) fn framed(
    out: &mut Vec<u8>,
    number: u64,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), ProtobufError>,
) -> Result<(), ProtobufError> {
    put_varint(out, number << 3 | 2);
    let at = out.len();
    out.push(0);
    write(out)?;
    let length = out.len() - at - 1;
    if length < 0x80 {
        out[at] = length as u8;
        return Ok(());
    }
    let mut prefix = Vec::with_capacity(10);
    put_varint(&mut prefix, length as u64);
    let more = prefix.len() - 1;
    out.resize(out.len() + more, 0);
    out.copy_within(at + 1..at + 1 + length, at + prefix.len());
    out[at..at + prefix.len()].copy_from_slice(&prefix);
    Ok(())
}
