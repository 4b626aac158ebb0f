//! One line of a CRI log: `2024-01-02T03:04:05.678901234Z stdout F text`.

use jiff::Timestamp;

/// What a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// A line's parts, borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'l> {
    stamp: &'l [u8],
    pub(crate) stream: Stream,
    /// A line of the program that goes on in the next line of the log.
    pub(crate) partial: bool,
    text: &'l [u8],
}

impl<'l> Line<'l> {
    /// Parses `line`, with or without its newline.
    pub(crate) fn parse(line: &'l [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut parts = line.splitn(4, |&byte| byte == b' ');
        let (stamp, stream, tag) = (parts.next()?, parts.next()?, parts.next()?);
        let text = parts.next().unwrap_or_default();
        let stream = match stream {
            b"stdout" => Stream::Out,
            b"stderr" => Stream::Err,
            _ => return None,
        };
        Some(Self { stamp, stream, partial: tag.split(|&byte| byte == b':').any(|tag| tag == b"P"), text })
    }

    /// When it was written.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        std::str::from_utf8(self.stamp).ok()?.parse().ok()
    }

    /// Appends what is shown of it. `fresh`: it begins a line of the program.
    pub(crate) fn show(&self, timestamps: bool, fresh: bool, out: &mut Vec<u8>) {
        if timestamps && fresh {
            out.extend_from_slice(self.stamp);
            out.push(b' ');
        }
        out.extend_from_slice(self.text);
        if !self.partial {
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, timestamps: bool, fresh: bool) -> String {
        let mut out = Vec::new();
        Line::parse(line.as_bytes()).unwrap().show(timestamps, fresh, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_taken_apart() {
        let line = "2024-01-02T03:04:05.678901234Z stdout F hello  world\n";
        assert_eq!(shown(line, false, true), "hello  world\n");
        assert_eq!(shown(line, true, true), "2024-01-02T03:04:05.678901234Z hello  world\n");
        assert_eq!(shown("2024-01-02T03:04:05Z stderr P part", true, true), "2024-01-02T03:04:05Z part");
        assert_eq!(shown("2024-01-02T03:04:05Z stderr F rest\n", true, false), "rest\n");
        assert_eq!(shown("2024-01-02T03:04:05Z stdout F \n", false, true), "\n");
        assert_eq!(shown("2024-01-02T03:04:05Z stdout F\n", false, true), "\n");
        let time = Line::parse(line.as_bytes()).unwrap().time().unwrap();
        assert_eq!(time.to_string(), "2024-01-02T03:04:05.678901234Z");
        assert!(Line::parse(b"nonsense").is_none());
        assert!(Line::parse(b"").is_none());
    }
}
