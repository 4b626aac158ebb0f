//! A container's output as CRI log lines: `<time> <stream> <F|P> <text>`, where `P` marks a piece of a line that goes on
//! in the next entry. Files are rotated by size: `<path>.1` is the newest of the old ones.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::spec::Log;

/// The longest text of one entry; longer lines come in pieces.
const LONGEST: usize = 16 << 10;

/// Where both streams of a container go.
#[derive(Debug)]
pub(super) struct Writer {
    log: Log,
    file: File,
    size: u64,
}

/// One stream, with the line that is not whole yet.
#[derive(Debug)]
pub(super) struct Stream {
    name: &'static str,
    partial: Vec<u8>,
}

impl Stream {
    pub(super) fn new(name: &'static str) -> Stream {
        Stream { name, partial: Vec::new() }
    }

    /// The entries that `bytes` complete, into `out`.
    pub(super) fn push(&mut self, mut bytes: &[u8], now: Timestamp, out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let room = LONGEST - self.partial.len();
            match bytes.iter().take(room + 1).position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.partial.extend_from_slice(&bytes[..end]);
                    self.flush('F', now, out);
                    bytes = &bytes[end + 1..];
                }
                None if bytes.len() > room => {
                    self.partial.extend_from_slice(&bytes[..room]);
                    self.flush('P', now, out);
                    bytes = &bytes[room..];
                }
                None => {
                    self.partial.extend_from_slice(bytes);
                    return;
                }
            }
        }
    }

    /// The rest of a stream that has ended.
    pub(super) fn finish(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        if !self.partial.is_empty() {
            self.flush('P', now, out);
        }
    }

    fn flush(&mut self, tag: char, now: Timestamp, out: &mut Vec<u8>) {
        // Writing to a vector can't fail.
        write!(out, "{now:.9} {} {tag} ", self.name).ok();
        out.append(&mut self.partial);
        out.push(b'\n');
        self.partial.shrink_to(1024);
    }
}

impl Writer {
    pub(super) fn open(log: Log) -> io::Result<Writer> {
        if let Some(folder) = log.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&log.path)?;
        let size = file.metadata()?.len();
        Ok(Writer { log, file, size })
    }

    /// Appends whole entries. When the disk is full they are lost, as the container must not stand still for it.
    pub(super) fn write(&mut self, entries: &[u8]) {
        let mut rest = entries;
        while !rest.is_empty() {
            if self.size >= self.log.max_size {
                // Without a new file the old one grows on: nothing is lost.
                self.rotate().ok();
            }
            let room = self.log.max_size.saturating_sub(self.size);
            let (now, later) = rest.split_at(entries_within(rest, room));
            if self.file.write_all(now).is_err() {
                return;
            }
            self.size += now.len() as u64;
            rest = later;
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        let oldest = self.log.max_files.saturating_sub(1);
        if oldest == 0 {
            self.file.set_len(0)?;
        } else {
            for number in (1..oldest).rev() {
                // Not there yet is no fault.
                fs::rename(self.numbered(number), self.numbered(number + 1)).ok();
            }
            fs::rename(&self.log.path, self.numbered(1))?;
            self.file = OpenOptions::new().create(true).append(true).open(&self.log.path)?;
        }
        self.size = 0;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut path = self.log.path.clone().into_os_string();
        path.push(format!(".{number}"));
        path.into()
    }
}

/// How many bytes of whole entries reach or just pass `room`; at least one entry.
fn entries_within(entries: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let Some(from) = room.checked_sub(1).filter(|from| *from < entries.len()) else {
        return if room == 0 { first_entry(entries, 0) } else { entries.len() };
    };
    first_entry(entries, from)
}

fn first_entry(entries: &[u8], from: usize) -> usize {
    entries[from..].iter().position(|byte| *byte == b'\n').map_or(entries.len(), |end| from + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]]) -> String {
        let (mut stream, mut out) = (Stream::new("stdout"), Vec::new());
        pieces.iter().for_each(|piece| stream.push(piece, Timestamp::UNIX_EPOCH, &mut out));
        stream.finish(Timestamp::UNIX_EPOCH, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_and_pieces() {
        let at = "1970-01-01T00:00:00.000000000Z stdout";
        assert_eq!(lines(&[b"one\ntw", b"o\n\nend"]), format!("{at} F one\n{at} F two\n{at} F \n{at} P end\n"));
        let long = "x".repeat(LONGEST);
        assert_eq!(lines(&[long.as_bytes(), b"\n"]), format!("{at} F {long}\n"));
        assert_eq!(lines(&[long.as_bytes(), b"y\n"]), format!("{at} P {long}\n{at} F y\n"));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_wherever_reads_cut(
            text in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'a')], 0..400),
            cut in 0..400usize,
        ) {
            let (head, tail) = text.split_at(cut.min(text.len()));
            let mut back = Vec::new();
            for entry in lines(&[head, tail]).lines() {
                let mut fields = entry.splitn(4, ' ');
                let full = fields.nth(2) == Some("F");
                back.extend_from_slice(fields.next().unwrap().as_bytes());
                if full { back.push(b'\n'); }
            }
            prop_assert_eq!(back, text);
        }
    }

    #[test]
    fn rotation_keeps_whole_entries_and_the_newest_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/0.log");
        let mut writer = Writer::open(Log { path: path.clone(), max_size: 10, max_files: 3 }).unwrap();
        writer.write(b"aaaa\nbbbb\ncccc\ndddd\neeee\n");
        writer.write(b"a line of its own that is far too long\nf\n");
        let read = |suffix: &str| fs::read_to_string(format!("{}{suffix}", path.display())).ok();
        assert_eq!(read("").unwrap(), "f\n");
        assert_eq!(read(".1").unwrap(), "eeee\na line of its own that is far too long\n");
        assert_eq!(read(".2").unwrap(), "cccc\ndddd\n");
        assert_eq!(read(".3"), None);
    }
}
