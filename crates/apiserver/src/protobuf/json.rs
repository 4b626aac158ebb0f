//! Reads JSON text in place, value by value, without making a tree of it: what is stored goes from
//! JSON to protobuf in one pass.

use std::borrow::Cow;

use super::ProtobufError;

/// A position in JSON text.
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The first byte of the next value.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Passes `null`, if that is what comes.
    pub(super) fn null(&mut self) -> bool {
        let null = self.peek() == Some(b'n');
        if null {
            self.scalar();
        }
        null
    }

    /// Enters an object or a list.
    pub(super) fn open(&mut self, bracket: u8) -> Result<(), ProtobufError> {
        self.expect(bracket)
    }

    /// Whether there is another item before the closing bracket; passes what separates them.
    pub(super) fn more(&mut self, close: u8, first: &mut bool) -> Result<bool, ProtobufError> {
        let is_first = std::mem::take(first);
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !is_first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if is_first => Ok(true),
            _ => Err(ProtobufError::Json),
        }
    }

    /// The name of the next field of an object.
    pub(super) fn key(&mut self) -> Result<Cow<'a, str>, ProtobufError> {
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// A string, without copying it if it has no escapes.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, ProtobufError> {
        if self.peek() != Some(b'"') {
            return Err(ProtobufError::Json);
        }
        let start = self.at;
        let escaped = self.pass_string()?;
        let quoted = &self.text[start..self.at];
        if escaped {
            return serde_json::from_slice(quoted).map(Cow::Owned).map_err(|_| ProtobufError::Json);
        }
        let inner = &quoted[1..quoted.len() - 1];
        std::str::from_utf8(inner).map(Cow::Borrowed).map_err(|_| ProtobufError::Text)
    }

    /// A number, `true`, `false` or `null`, as it is written.
    pub(super) fn scalar(&mut self) -> &'a str {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace());
        let end = end.unwrap_or(rest.len());
        self.at += end;
        std::str::from_utf8(&rest[..end]).unwrap_or_default()
    }

    /// Any value, as it is written.
    pub(super) fn raw(&mut self) -> Result<&'a [u8], ProtobufError> {
        self.peek();
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.pass_string()?;
                }
                Some(b'{' | b'[') => {
                    self.at += 1;
                    depth += 1;
                }
                Some(b'}' | b']') => {
                    self.at += 1;
                    depth = depth.checked_sub(1).ok_or(ProtobufError::Json)?;
                }
                Some(b',' | b':') if depth > 0 => self.at += 1,
                Some(_) => {
                    let before = self.at;
                    self.scalar_or_key();
                    if self.at == before {
                        return Err(ProtobufError::Json);
                    }
                }
                None => return Err(ProtobufError::Json),
            }
            if depth == 0 {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    fn scalar_or_key(&mut self) {
        let rest = &self.text[self.at..];
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':' | b'"') || byte.is_ascii_whitespace();
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
    }

    /// Passes a string; whether it has escapes.
    fn pass_string(&mut self) -> Result<bool, ProtobufError> {
        let mut escaped = false;
        let mut at = self.at + 1;
        loop {
            match self.text.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(_) => at += 1,
                None => return Err(ProtobufError::Json),
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), ProtobufError> {
        if self.peek() != Some(byte) {
            return Err(ProtobufError::Json);
        }
        self.at += 1;
        Ok(())
    }
}
