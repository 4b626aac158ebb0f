//! Reads tar archives: ustar, GNU long names and pax records.
//!
//! Ours rather than the `tar` crate's iterator, because names and pax records come from strangers: they are bounded
//! here, and pax values may hold any byte (`security.capability` does). Header fields are still parsed by that crate.

use std::io::{self, Read, Seek, SeekFrom};

/// Go's and GNU's writers stay far below this.
const LONGEST_RECORD: u64 = 1 << 20;
const BLOCK: u64 = 512;

/// One thing in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// The name as written.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds and nanoseconds since 1970.
    pub(crate) mtime: (i64, i64),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where its content starts, counted from where the reader started.
    pub(crate) offset: u64,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    File {
        size: u64,
    },
    Folder,
    Symlink {
        target: Vec<u8>,
    },
    HardLink {
        target: Vec<u8>,
    },
    Character {
        major: u32,
        minor: u32,
    },
    Block {
        major: u32,
        minor: u32,
    },
    Fifo,
    /// Something this reader does not know, by its letter or name.
    Other(String),
}

/// A source that can pass over bytes.
pub(crate) trait Skip: Read {
    fn skip(&mut self, bytes: u64) -> io::Result<()>;
}

impl Skip for std::fs::File {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let to = i64::try_from(bytes).map_err(|_| damaged("an entry is too large"))?;
        self.seek(SeekFrom::Current(to)).map(drop)
    }
}

/// Walks over the items of an archive; between two items the content of the first can be read.
pub(crate) struct Tape<R> {
    from: R,
    position: u64,
    /// Content of the current item that was not read yet, and the padding after it.
    content: u64,
    padding: u64,
}

#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Option<(i64, i64)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    sparse: bool,
}

/// A header's number: octal digits, or binary when the first bit is set. Blank means zero, as writers leave out what
/// they do not know.
fn field(bytes: &[u8]) -> io::Result<u64> {
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        let (high, low) = bytes.split_at(bytes.len().saturating_sub(8));
        // A negative number or one over 64 bits; a time before 1970 is cut to the lower bits, which is itself.
        let negative = bytes[0] == 0xff;
        if high.iter().skip(1).any(|byte| *byte != if negative { 0xff } else { 0 }) {
            return Err(damaged("a number in a header is out of range"));
        }
        let masked = low.iter().enumerate().map(|(i, b)| if high.is_empty() && i == 0 { b & 0x7f } else { *b });
        return Ok(masked.fold(0, |number, byte| number << 8 | u64::from(byte)));
    }
    let digits = bytes.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
    digits
        .iter()
        .try_fold(0_u64, |number, digit| match digit {
            b'0'..=b'7' => number.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
            _ => None,
        })
        .ok_or_else(|| damaged("a number in a header is malformed: not a tar archive, or damaged"))
}

fn small(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(field(bytes)?).map_err(|_| damaged("a number in a header is out of range"))
}

fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl<R: Skip> Tape<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, position: 0, content: 0, padding: 0 }
    }

    /// The next item, or nothing at the archive's end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Item>> {
        let mut extension = Extension::default();
        loop {
            self.pass()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = field(&header.as_old().size)?;
            match header.entry_type().as_byte() {
                b'L' => extension.name = Some(until_nul(self.record(size)?)),
                b'K' => extension.target = Some(until_nul(self.record(size)?)),
                b'x' => extension.apply_pax(&self.record(size)?)?,
                b'g' => drop(self.record(size)?),
                _ => return self.item(&header, size, extension).map(Some),
            }
        }
    }

    /// Reads on in the current item's content; 0 at its end, an error when the archive ends before.
    pub(crate) fn read_content(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = buf.len().min(usize::try_from(self.content).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let n = self.from.read(&mut buf[..want])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content -= n as u64;
        self.position += n as u64;
        Ok(n)
    }

    fn pass(&mut self) -> io::Result<()> {
        let rest = self.content.checked_add(self.padding).ok_or_else(|| damaged("an entry is too large"))?;
        if rest > 0 {
            self.from.skip(rest)?;
        }
        self.position += rest;
        (self.content, self.padding) = (0, 0);
        Ok(())
    }

    /// The next header; nothing at the end mark or where the archive just ends, as some writers leave the mark out.
    fn header(&mut self) -> io::Result<Option<tar::Header>> {
        let mut header = tar::Header::new_old();
        let bytes = header.as_mut_bytes();
        let mut filled = 0;
        while filled < bytes.len() {
            match self.from.read(&mut bytes[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.position += BLOCK;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum: u32 =
            bytes.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) }).sum();
        if field(&header.as_old().cksum)? != u64::from(sum) {
            return Err(damaged("a header's checksum is wrong: not a tar archive, or damaged"));
        }
        Ok(Some(header))
    }

    fn start(&mut self, size: u64) {
        self.content = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
    }

    fn record(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > LONGEST_RECORD {
            return Err(damaged("a long name or pax record is over 1 MiB"));
        }
        self.start(size);
        let mut out = Vec::new();
        let mut buf = [0; 4096];
        loop {
            match self.read_content(&mut buf)? {
                0 => return Ok(out),
                n => out.extend_from_slice(&buf[..n]),
            }
        }
    }

    fn item(&mut self, header: &tar::Header, size: u64, extension: Extension) -> io::Result<Item> {
        let name = extension.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let target = || {
            extension.target.clone().or_else(|| header.link_name_bytes().map(|t| t.into_owned())).unwrap_or_default()
        };
        let old = header.as_old();
        let device = || -> io::Result<(u32, u32)> {
            let ustar = header.as_ustar().map(|header| (&header.dev_major, &header.dev_minor));
            let gnu = header.as_gnu().map(|header| (&header.dev_major, &header.dev_minor));
            let Some((major, minor)) = ustar.or(gnu) else { return Ok((0, 0)) };
            Ok((small(major)?, small(minor)?))
        };
        let size = extension.size.unwrap_or(size);
        let kind = match header.entry_type().as_byte() {
            _ if extension.sparse => Kind::Other("sparse file".to_owned()),
            b'0' | 0 if name.ends_with(b"/") => Kind::Folder,
            b'0' | b'7' | 0 => Kind::File { size },
            b'1' => Kind::HardLink { target: target() },
            b'2' => Kind::Symlink { target: target() },
            b'3' => device().map(|(major, minor)| Kind::Character { major, minor })?,
            b'4' => device().map(|(major, minor)| Kind::Block { major, minor })?,
            b'5' => Kind::Folder,
            b'6' => Kind::Fifo,
            b'S' => Kind::Other("sparse file".to_owned()),
            other => Kind::Other(char::from(other).to_string()),
        };
        // Links have none, though some writers give them the size of what they point to.
        let regular = matches!(header.entry_type().as_byte(), b'0' | b'7' | 0);
        self.start(if regular || matches!(kind, Kind::Other(_)) { size } else { 0 });
        Ok(Item {
            name,
            kind,
            mode: small(&old.mode)? & 0o7777,
            uid: extension.uid.map_or_else(|| small(&old.uid), Ok)?,
            gid: extension.gid.map_or_else(|| small(&old.gid), Ok)?,
            mtime: extension.mtime.map_or_else(|| Ok((field(&old.mtime)?.cast_signed(), 0)), io::Result::Ok)?,
            xattrs: extension.xattrs,
            offset: self.position,
        })
    }
}

impl Extension {
    /// Records are `<length> <key>=<value>\n`, the length counting the whole record.
    fn apply_pax(&mut self, mut records: &[u8]) -> io::Result<()> {
        let bad = || damaged("a pax record is malformed");
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ').ok_or_else(bad)?;
            let length = number::<usize>(&records[..space]).ok_or_else(bad)?;
            if length > records.len() || length < space + 3 || records[length - 1] != b'\n' {
                return Err(bad());
            }
            let (record, rest) = records.split_at(length);
            let record = &record[space + 1..length - 1];
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
            self.set(&record[..equals], &record[equals + 1..]).ok_or_else(bad)?;
            records = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"path" => self.name = Some(value.to_vec()),
            b"linkpath" => self.target = Some(value.to_vec()),
            b"size" => self.size = Some(number(value)?),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"mtime" => self.mtime = Some(timestamp(value)?),
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Some(())
    }
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `seconds[.fraction]`, possibly before 1970.
fn timestamp(text: &[u8]) -> Option<(i64, i64)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: i64 = if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok()? } else { return None };
    Some(if whole.starts_with('-') && nanos > 0 { (seconds - 1, 1_000_000_000 - nanos) } else { (seconds, nanos) })
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}
