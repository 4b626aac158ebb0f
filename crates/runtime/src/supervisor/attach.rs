//! Those who look on at what a container prints. Each has a pipe of its own; one that does not keep up holds the
//! container's stream back, so that nothing is lost, until it reads on or leaves.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use crate::supervisor::poller::{Key, Poller, Ready};

/// A container's standard output (0) or standard error (1).
pub(super) type Source = (u32, usize);

#[derive(Debug, Default)]
pub(super) struct Attachments(BTreeMap<u32, Attachment>);

#[derive(Debug)]
struct Attachment {
    source: Source,
    sink: File,
    unsent: Vec<u8>,
    /// Nothing will follow.
    ended: bool,
}

impl Attachments {
    /// From now on what comes from `source` goes to `sink`, which must not block, too.
    pub(super) fn add(&mut self, id: u32, source: Source, sink: OwnedFd, poller: &Poller) -> io::Result<()> {
        poller.add(&sink, Key::Attached(id))?;
        self.0.insert(id, Attachment { source, sink: sink.into(), unsent: Vec::new(), ended: false });
        Ok(())
    }

    /// What a container has printed.
    pub(super) fn offer(&mut self, source: Source, bytes: &[u8]) {
        for attachment in self.0.values_mut().filter(|attachment| attachment.source == source) {
            attachment.unsent.extend_from_slice(bytes);
        }
    }

    /// A container's stream is at its end.
    pub(super) fn end(&mut self, source: Source) {
        self.0.values_mut().filter(|attachment| attachment.source == source).for_each(|one| one.ended = true);
    }

    /// Whether someone has not taken in yet what came from there.
    pub(super) fn is_behind(&self, source: Source) -> bool {
        self.0.values().any(|attachment| attachment.source == source && !attachment.unsent.is_empty())
    }

    /// Sends what will be taken of what this container printed, and lets those go that are done. Whoever calls it looks
    /// afterwards who is behind: nobody else will hear that somebody has caught up.
    pub(super) fn send(&mut self, container: u32, poller: &Poller) {
        self.0.retain(|id, attachment| {
            if attachment.source.0 != container {
                return true;
            }
            let waiting = !attachment.unsent.is_empty();
            let stays = attachment.send() && !(attachment.ended && attachment.unsent.is_empty());
            if !stays {
                poller.remove(attachment.sink.as_fd());
            } else if waiting {
                // One that can't be waited for is heard when its stream goes on.
                poller.want_write(&attachment.sink, Key::Attached(*id), !attachment.unsent.is_empty()).ok();
            }
            stays
        });
    }

    /// Someone has made room, or left. The source to look at again.
    pub(super) fn ready(&mut self, id: u32, ready: Ready, poller: &Poller) -> Option<Source> {
        let source = self.0.get(&id)?.source;
        if ready.readable
            && let Some(gone) = self.0.remove(&id)
        {
            // Nobody writes to the other end, so this is its end.
            poller.remove(gone.sink.as_fd());
        }
        self.send(source.0, poller);
        Some(source)
    }
}

impl Attachment {
    /// False: it is gone.
    fn send(&mut self) -> bool {
        while !self.unsent.is_empty() {
            match self.sink.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.unsent.shrink_to(0);
        true
    }
}
