//! What users do in a running pod: commands and attachments whose streams they hold, and connections to its ports.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use skiff_linux::netns;
use tokio::net::{TcpSocket, TcpStream};

use crate::error::{Error, StartError};
use crate::protocol::{Reply, Request, Streams};
use crate::sandbox::Sandbox;
use crate::spec::ExecSpec;
use crate::status::ExecResult;
use crate::stream::{self, Held, Talk};

/// A command that was sent out.
#[derive(Debug)]
pub struct Running {
    /// Its streams.
    pub streams: Held,
    talk: Talk,
    sandbox: Sandbox,
    name: String,
}

impl Running {
    /// Waits for its end. What it has printed may still be in its streams then.
    ///
    /// # Errors
    /// When it could not be started, or the sandbox is lost.
    pub async fn end(&mut self) -> Result<ExecResult, StartError> {
        match self.talk.reply().await {
            Some((Reply::Exec(result), _)) => Ok(result),
            Some((Reply::NotRunning, _)) => Err(self.sandbox.not_running(&self.name).into()),
            Some((Reply::Failed(fault), _)) => Err(fault.into()),
            Some(_) => Err(self.sandbox.strange().into()),
            None => Err(self.sandbox.lost().into()),
        }
    }
}

impl Sandbox {
    /// Runs a command in a running container, with streams. It goes on if what is returned is dropped.
    ///
    /// # Errors
    /// When the supervisor can't be reached. That the command can't be started is told by [`Running::end`].
    pub async fn exec_stream(&self, name: &str, spec: ExecSpec, wanted: Streams) -> Result<Running, StartError> {
        let failed = |source| self.stream_failed(source);
        let request = |streams| Request::ExecStream { name: name.into(), spec, streams };
        let (streams, talk) = if wanted.tty {
            let (socket, theirs) = stream::terminal_socket().map_err(failed)?;
            let talk = self.talk(request(wanted), vec![theirs]).await?;
            let terminal = stream::take_terminal(&socket).await.map_err(failed)?;
            let held = terminal.map(|fd| Held::of_terminal(fd, wanted.stdin)).transpose().map_err(failed)?;
            (held.unwrap_or_default(), talk)
        } else {
            let (held, theirs) = stream::pipes(wanted, true).map_err(failed)?;
            (held, self.talk(request(wanted), theirs).await?)
        };
        Ok(Running { streams, talk, sandbox: self.clone(), name: name.into() })
    }

    /// Copies what a running container prints from now on, and gives access to its standard input.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn attach(&self, name: &str, wanted: Streams) -> Result<Held, StartError> {
        let failed = |source| self.stream_failed(source);
        let outputs = Streams { stdin: false, ..wanted };
        let (mut held, theirs) = stream::pipes(outputs, false).map_err(failed)?;
        let mut talk = self.talk(Request::Attach { name: name.into(), streams: wanted }, theirs).await?;
        match talk.reply().await {
            Some((Reply::Attached { tty, stdin }, mut fds)) => {
                let input = fds.pop().map(stream::input).transpose().map_err(failed)?;
                held.terminal = input.clone().filter(|_| tty);
                held.stdin = input.filter(|_| stdin);
                Ok(held)
            }
            Some((Reply::NotRunning, _)) => Err(self.not_running(name).into()),
            Some((Reply::Failed(fault), _)) => Err(fault.into()),
            Some(_) => Err(self.strange().into()),
            None => Err(self.lost().into()),
        }
    }

    /// Ends a container's standard input.
    ///
    /// # Errors
    /// When it is not known or the supervisor is gone.
    pub async fn close_stdin(&self, name: &str) -> Result<(), Error> {
        match self.call(Request::CloseStdin { name: name.into() }).await? {
            Reply::Done => Ok(()),
            Reply::NotRunning => Err(self.not_running(name)),
            _ => Err(self.strange()),
        }
    }

    /// Connects to a port of the pod's own loopback addresses.
    ///
    /// # Errors
    /// What the kernel says; of the first family when neither has a listener.
    pub async fn dial(&self, port: u16) -> io::Result<TcpStream> {
        match self.dial_at((Ipv4Addr::LOCALHOST, port).into()).await {
            Ok(stream) => Ok(stream),
            Err(first) => self.dial_at((Ipv6Addr::LOCALHOST, port).into()).await.map_err(|_| first),
        }
    }

    async fn dial_at(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let namespace = self.netns();
        let make = move || netns::within(&namespace, || socket(family, SockType::Stream, flags, None));
        let made = tokio::task::spawn_blocking(make).await.map_err(io::Error::other)???;
        let stream = TcpSocket::from_std_stream(made.into()).connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn talk(&self, request: Request, fds: Vec<std::os::fd::OwnedFd>) -> Result<Talk, StartError> {
        Ok(Talk::begin(&self.socket(), request, fds).await.map_err(|source| self.stream_failed(source))?)
    }

    fn stream_failed(&self, source: io::Error) -> Error {
        Error::File { action: "make streams over", path: self.socket(), source }
    }
}
