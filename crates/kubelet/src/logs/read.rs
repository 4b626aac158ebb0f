//! Reads the log of one attempt of a container, through its rotated files, oldest first.

use std::{
    collections::VecDeque,
    fs, io,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::{StreamExt as _, stream, stream::BoxStream};
use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    Options,
    follow::Follower,
    line::{Line, Stream},
};

/// How much is sent at a time.
const CHUNK: usize = 32 << 10;
/// A line that is longer is cut; the writer never makes such.
const LONGEST_LINE: u64 = 1 << 20;

/// The text of a log. With `follow` it goes on until `ended` says true or the caller leaves.
pub(crate) fn stream(
    path: PathBuf,
    options: &Options,
    ended: watch::Receiver<bool>,
) -> BoxStream<'static, io::Result<Bytes>> {
    let shower = Shower::new(options);
    if options.follow {
        let follower = Follower::new(path, shower, ended);
        return stream::try_unfold(follower, |mut follower| async move {
            Ok(follower.next().await?.map(|bytes| (bytes, follower)))
        })
        .boxed();
    }
    let reader = Reader { files: oldest_first(&path).into(), open: None, shower };
    stream::try_unfold(reader, |mut reader| async move {
        let task = tokio::task::spawn_blocking(move || {
            let chunk = reader.chunk();
            (chunk, reader)
        });
        let (chunk, reader) = task.await.map_err(io::Error::other)?;
        Ok(chunk?.map(|bytes| (bytes, reader)))
    })
    .boxed()
}

/// The rotated files of a log and itself: `<path>.4` … `<path>.1`, `<path>`.
pub(super) fn oldest_first(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = (1..)
        .map(|number| PathBuf::from(format!("{}.{number}", path.display())))
        .take_while(|rotated| rotated.exists())
        .collect();
    files.reverse();
    files.push(path.to_owned());
    files
}

/// Turns log lines into what is shown, by the request's options.
pub(super) struct Shower {
    stream: Option<Stream>,
    timestamps: bool,
    since: Option<Timestamp>,
    left: Option<u64>,
    /// The next line begins a line of the program.
    fresh: bool,
    /// Lines held back until it is known that they are among the last.
    tail: Option<(usize, VecDeque<Vec<u8>>)>,
}

impl Shower {
    fn new(options: &Options) -> Self {
        Self {
            stream: options.stream,
            timestamps: options.timestamps,
            since: options.since,
            left: options.limit,
            fresh: true,
            tail: options.tail.map(|count| (count, VecDeque::new())),
        }
    }

    /// Whether the byte limit is used up.
    pub(super) fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// Takes a raw line.
    pub(super) fn take(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        let Some(line) = Line::parse(raw) else { return };
        if self.stream.is_some_and(|wanted| wanted != line.stream) {
            return;
        }
        let early = |since: Timestamp| line.time().is_some_and(|time| time < since);
        if self.since.is_some_and(early) {
            self.fresh = !line.partial;
            return;
        }
        let fresh = std::mem::replace(&mut self.fresh, !line.partial);
        let Some((count, held)) = &mut self.tail else {
            let mut shown = Vec::new();
            line.show(self.timestamps, fresh, &mut shown);
            return self.emit(&shown, out);
        };
        match held.back_mut() {
            Some(last) if !fresh => line.show(self.timestamps, fresh, last),
            _ => {
                let mut shown = Vec::new();
                line.show(self.timestamps, fresh, &mut shown);
                held.push_back(shown);
                if held.len() > *count {
                    held.pop_front();
                }
            }
        }
    }

    /// The end of what there was: the held back lines are the last ones.
    pub(super) fn release(&mut self, out: &mut Vec<u8>) {
        for shown in self.tail.take().into_iter().flat_map(|(_, held)| held) {
            self.emit(&shown, out);
        }
    }

    fn emit(&mut self, shown: &[u8], out: &mut Vec<u8>) {
        match &mut self.left {
            None => out.extend_from_slice(shown),
            Some(left) => {
                let fits = shown.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                out.extend_from_slice(&shown[..fits]);
                *left -= fits as u64;
            }
        }
    }
}

/// A log file that is being read, which another process goes on writing.
pub(super) struct Tail {
    reader: BufReader<fs::File>,
    unfinished: Vec<u8>,
}

impl Tail {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { reader: BufReader::new(fs::File::open(path)?), unfinished: Vec::new() })
    }

    pub(super) fn file(&self) -> &fs::File {
        self.reader.get_ref()
    }

    /// The next whole line; none when there is no more for now.
    pub(super) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let room = LONGEST_LINE.saturating_sub(self.unfinished.len() as u64).max(1);
        // At the end of the file its buffer is empty: the next call sees what was added meanwhile.
        (&mut self.reader).take(room).read_until(b'\n', &mut self.unfinished)?;
        let whole = self.unfinished.ends_with(b"\n") || self.unfinished.len() as u64 >= LONGEST_LINE;
        if whole {
            return Ok(Some(std::mem::take(&mut self.unfinished)));
        }
        Ok(None)
    }
}

/// The end of a log, for a container that left no other last word.
pub(crate) fn last_lines(path: &Path, lines: usize, bytes: usize) -> Vec<u8> {
    let shower = Shower::new(&Options { tail: Some(lines), ..Options::default() });
    let mut reader = Reader { files: oldest_first(path).into(), open: None, shower };
    let mut text = Vec::new();
    while let Ok(Some(chunk)) = reader.chunk() {
        text.extend_from_slice(&chunk);
    }
    text.split_off(text.len().saturating_sub(bytes))
}

struct Reader {
    files: VecDeque<PathBuf>,
    open: Option<Tail>,
    shower: Shower,
}

impl Reader {
    fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut out = Vec::new();
        while out.len() < CHUNK && !self.shower.is_full() {
            if self.open.is_none() {
                let Some(path) = self.files.pop_front() else {
                    self.shower.release(&mut out);
                    break;
                };
                self.open = match Tail::open(&path) {
                    Ok(tail) => Some(tail),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
            }
            match self.open.as_mut().map(Tail::line).transpose()?.flatten() {
                Some(line) => self.shower.take(&line, &mut out),
                None => self.open = None,
            }
        }
        Ok((!out.is_empty()).then(|| Bytes::from(out)))
    }
}

#[cfg(test)]
mod tests;
