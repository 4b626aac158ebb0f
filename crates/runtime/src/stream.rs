//! The streams of commands and containers, as the server holds them: pipes and terminals whose other ends are in a
//! container. The supervisor hands them over and has no part in what passes through a command's.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;
use skiff_linux::{fds, terminal};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;

use crate::protocol::{self, Call, Message, Reply, Request, Streams};

/// One end of a pipe or of a terminal.
#[derive(Debug)]
pub struct Pipe(AsyncFd<OwnedFd>);

impl Pipe {
    fn new(fd: OwnedFd) -> io::Result<Arc<Pipe>> {
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Arc::new(Pipe(fds::watched(fd)?)))
    }

    /// Waits for bytes; 0 is the end.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.async_io(Interest::READABLE, |fd| Ok(nix::unistd::read(fd, buffer)?)).await;
        at_end(read)
    }

    /// What is there already; `None` when nothing is.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn read_now(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match at_end(nix::unistd::read(self.0.get_ref(), buffer).map_err(io::Error::from)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other.map(Some),
        }
    }

    /// Writes all of it, as fast as it is read at the other end.
    ///
    /// # Errors
    /// What the kernel says; nobody may read it any more.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.0.async_io(Interest::WRITABLE, |fd| Ok(nix::unistd::write(fd, bytes)?)).await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Tells a terminal how large it is.
    ///
    /// # Errors
    /// When it is none.
    pub fn resize(&self, columns: u16, rows: u16) -> io::Result<()> {
        terminal::resize(self.0.get_ref(), columns, rows)
    }
}

/// A terminal that no program holds any more gives an error instead of an end.
fn at_end(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => Ok(0),
        other => other,
    }
}

/// The streams of a command or a container, those that were asked for and are there.
#[derive(Debug, Default)]
pub struct Held {
    /// To be dropped for its end to be seen.
    pub stdin: Option<Arc<Pipe>>,
    /// With a terminal it carries everything.
    pub stdout: Option<Arc<Pipe>>,
    /// None with a terminal.
    pub stderr: Option<Arc<Pipe>>,
    /// The terminal, to be resized.
    pub terminal: Option<Arc<Pipe>>,
}

impl Held {
    pub(crate) fn of_terminal(fd: OwnedFd, stdin: bool) -> io::Result<Held> {
        let terminal = Pipe::new(fd)?;
        let stdin = stdin.then(|| Arc::clone(&terminal));
        Ok(Held { stdin, stdout: Some(Arc::clone(&terminal)), stderr: None, terminal: Some(terminal) })
    }
}

/// Pipes for those streams: our ends, and those to be sent away. Whoever writes into one waits when it is full, unless
/// that is a supervisor, which never waits.
pub(crate) fn pipes(streams: Streams, patient: bool) -> io::Result<(Held, Vec<OwnedFd>)> {
    let mut theirs = Vec::new();
    let mut held = Held::default();
    if streams.stdin {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        held.stdin = Some(Pipe::new(write)?);
        theirs.push(read);
    }
    for (wanted, place) in [(streams.stdout, &mut held.stdout), (streams.stderr, &mut held.stderr)] {
        if wanted {
            let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
            if !patient {
                fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            }
            *place = Some(Pipe::new(read)?);
            theirs.push(write);
        }
    }
    Ok((held, theirs))
}

pub(crate) fn input(fd: OwnedFd) -> io::Result<Arc<Pipe>> {
    Pipe::new(fd)
}

/// A connection to a supervisor for one call that descriptors go with.
#[derive(Debug)]
pub(crate) struct Talk {
    stream: UnixStream,
    received: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Talk {
    pub(crate) async fn begin(socket: &Path, request: Request, fds: Vec<OwnedFd>) -> io::Result<Talk> {
        let mut stream = UnixStream::connect(socket).await?;
        let frame = protocol::encode(&Call { id: 1, request }).map_err(io::Error::from)?;
        let sent = stream.async_io(Interest::WRITABLE, || fds::send(stream.as_fd(), &frame, &fds)).await?;
        drop(fds);
        stream.write_all(&frame[sent..]).await?;
        Ok(Talk { stream, received: Vec::new(), fds: Vec::new() })
    }

    /// The reply, and what came with it. `None`: the supervisor is gone, or does not know such a call.
    pub(crate) async fn reply(&mut self) -> Option<(Reply, Vec<OwnedFd>)> {
        loop {
            while let Some(message) = protocol::take::<Message>(&mut self.received).ok()? {
                if let Message::Reply { reply, .. } = message {
                    return Some((reply, std::mem::take(&mut self.fds)));
                }
            }
            let mut piece = [0; 4096];
            let (stream, fds) = (&self.stream, &mut self.fds);
            let read =
                stream.async_io(Interest::READABLE, || fds::receive(stream.as_fd(), &mut piece, fds)).await.ok()?;
            if read == 0 {
                return None;
            }
            self.received.extend_from_slice(&piece[..read]);
        }
    }
}

/// A socket over which a terminal will come: our end and the one to be sent away.
pub(crate) fn terminal_socket() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, theirs.into()))
}

/// The terminal that a command has made. `None`: it ended before it could.
pub(crate) async fn take_terminal(socket: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut fds = Vec::new();
    socket.async_io(Interest::READABLE, || fds::receive(socket.as_fd(), &mut [0], &mut fds)).await?;
    Ok(fds.pop())
}
