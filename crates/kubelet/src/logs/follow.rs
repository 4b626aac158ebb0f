//! Goes on reading a log while it is written and rotated. The kernel tells of changes; nothing is
//! polled.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::StreamExt as _;
use inotify::{EventStream, Inotify, WatchMask};
use tokio::sync::watch;

use super::read::{Shower, Tail, oldest_first};

/// Reads a log to its end, and then as it grows.
pub(super) struct Follower {
    path: PathBuf,
    shower: Shower,
    ended: watch::Receiver<bool>,
    changes: Option<EventStream<[u8; 4096]>>,
    open: Option<Tail>,
    caught_up: bool,
    over: bool,
}

impl Follower {
    pub(super) fn new(path: PathBuf, shower: Shower, ended: watch::Receiver<bool>) -> Self {
        Self { path, shower, ended, changes: None, open: None, caught_up: false, over: false }
    }

    /// The next text; none at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if self.over || self.shower.is_full() {
                return Ok(None);
            }
            if self.changes.is_none() {
                self.changes = Some(watch_folder(&self.path)?);
            }
            // Seen before reading: what is written afterwards is reported as a change.
            let ended = *self.ended.borrow_and_update();
            let mut out = Vec::new();
            self.read(&mut out)?;
            self.over = ended;
            if !out.is_empty() {
                return Ok(Some(Bytes::from(out)));
            }
            if !ended {
                self.changed().await?;
            }
        }
    }

    async fn changed(&mut self) -> io::Result<()> {
        let Some(changes) = &mut self.changes else { return Ok(()) };
        tokio::select! {
            change = changes.next() => change.transpose().map(drop),
            gone = self.ended.changed() => {
                // The watcher of the container is gone: the node agent stops.
                if gone.is_err() {
                    self.over = true;
                }
                Ok(())
            }
        }
    }

    /// Reads all there is, over from a rotated file to its successor.
    fn read(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if !self.caught_up {
            self.catch_up(out)?;
        }
        loop {
            self.drain(out)?;
            let Some(successor) = self.successor()? else { return Ok(()) };
            // The file that was read has been rotated, and the writer may have added to it until then.
            self.drain(out)?;
            self.open = Some(successor);
        }
    }

    /// The file that the log goes on in, if the one that is open is no longer the newest.
    fn successor(&self) -> io::Result<Option<Tail>> {
        let own = self.open.as_ref().map(|tail| tail.file().metadata()).transpose()?;
        let mut newer = None;
        for path in oldest_first(&self.path).into_iter().rev() {
            let tail = match Tail::open(&path) {
                Ok(tail) => tail,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let data = tail.file().metadata()?;
            if own.as_ref().is_some_and(|own| (own.dev(), own.ino()) == (data.dev(), data.ino())) {
                return Ok(newer);
            }
            newer = Some(tail);
        }
        Ok(newer)
    }

    fn drain(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        while let Some(line) = self.open.as_mut().map(Tail::line).transpose()?.flatten() {
            self.shower.take(&line, out);
        }
        Ok(())
    }

    /// Reads what was there before, with the tail option in force.
    fn catch_up(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        for path in oldest_first(&self.path) {
            match Tail::open(&path) {
                Ok(tail) => self.open = Some(tail),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            self.drain(out)?;
        }
        self.shower.release(out);
        self.caught_up = true;
        Ok(())
    }
}

fn watch_folder(path: &Path) -> io::Result<EventStream<[u8; 4096]>> {
    let folder = path.parent().unwrap_or(path);
    let inotify = Inotify::init()?;
    inotify.watches().add(folder, WatchMask::MODIFY | WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::DELETE)?;
    inotify.into_event_stream([0; 4096])
}
