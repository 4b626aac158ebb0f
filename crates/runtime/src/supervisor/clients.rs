//! The servers (usually one) that are connected, and what is still to be sent to them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use skiff_linux::fds;

use crate::protocol::{self, Call, Message, Reply};
use crate::supervisor::poller::{Key, Poller, Ready};

/// A client that lets more than this pile up is not reading, and is let go.
const MOST_UNSENT: usize = 32 << 20;

/// Whom to answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    client: u32,
    call: u64,
}

#[derive(Debug, Default)]
pub(super) struct Clients {
    all: BTreeMap<u32, Client>,
    next: u32,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    received: Vec<u8>,
    unsent: Vec<u8>,
    /// Descriptors that came with what was received, and that go with what is sent next.
    received_fds: Vec<OwnedFd>,
    unsent_fds: Vec<OwnedFd>,
}

/// What a client asks for, with the descriptors that came with it.
pub(super) type Asked = (Caller, protocol::Request, Vec<OwnedFd>);

impl Clients {
    pub(super) fn accept(&mut self, listener: &UnixListener, poller: &Poller) -> io::Result<()> {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Whoever it was has gone again.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            self.next += 1;
            poller.add(&stream, Key::Client(self.next))?;
            self.all.insert(self.next, Client::new(stream));
        }
    }

    /// What a client has asked for since. One that has hung up, or talks nonsense, is let go.
    pub(super) fn serve(&mut self, id: u32, ready: Ready, poller: &Poller) -> Vec<Asked> {
        let Some(client) = self.all.get_mut(&id) else { return Vec::new() };
        let mut calls = Vec::new();
        let mut alive = !ready.writable || client.send(id, poller);
        if alive && ready.readable {
            alive = client.receive(id, &mut calls);
        }
        if !alive {
            self.drop_client(id, poller);
        }
        calls
    }

    pub(super) fn reply(&mut self, caller: Caller, reply: Reply, poller: &Poller) {
        self.send(caller.client, &Message::Reply { id: caller.call, reply }, poller);
    }

    /// The same, with descriptors.
    pub(super) fn reply_with(&mut self, caller: Caller, reply: Reply, fds: Vec<OwnedFd>, poller: &Poller) {
        if let Some(client) = self.all.get_mut(&caller.client) {
            client.unsent_fds = fds;
        }
        self.reply(caller, reply, poller);
    }

    pub(super) fn tell_all(&mut self, message: &Message, poller: &Poller) {
        let ids: Vec<u32> = self.all.keys().copied().collect();
        ids.into_iter().for_each(|id| self.send(id, message, poller));
    }

    /// Whether everything was sent that was to be.
    pub(super) fn all_sent(&self) -> bool {
        self.all.values().all(|client| client.unsent.is_empty())
    }

    fn send(&mut self, id: u32, message: &Message, poller: &Poller) {
        // A client that has gone meanwhile asks again when it is back.
        let Some(client) = self.all.get_mut(&id) else { return };
        let Ok(frame) = protocol::encode(message) else { return };
        client.unsent.extend_from_slice(&frame);
        if client.unsent.len() > MOST_UNSENT || !client.send(id, poller) {
            self.drop_client(id, poller);
        }
    }

    fn drop_client(&mut self, id: u32, poller: &Poller) {
        if let Some(client) = self.all.remove(&id) {
            poller.remove(client.stream.as_fd());
        }
    }
}

impl Client {
    fn new(stream: UnixStream) -> Client {
        let (received, unsent) = (Vec::new(), Vec::new());
        Client { stream, received, unsent, received_fds: Vec::new(), unsent_fds: Vec::new() }
    }

    /// Sends what it will take. False: it is gone.
    fn send(&mut self, id: u32, poller: &Poller) -> bool {
        while !self.unsent.is_empty() {
            let sent = match self.unsent_fds.as_slice() {
                [] => self.stream.write(&self.unsent),
                fds => fds::send(&self.stream, &self.unsent, fds),
            };
            match sent {
                Ok(sent) => {
                    self.unsent_fds.clear();
                    self.unsent.drain(..sent);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.unsent.shrink_to(4096);
        poller.want_write(&self.stream, Key::Client(id), !self.unsent.is_empty()).is_ok()
    }

    /// Takes in calls. False: it is gone or talks nonsense.
    fn receive(&mut self, id: u32, calls: &mut Vec<Asked>) -> bool {
        let mut piece = [0; 16 << 10];
        loop {
            match fds::receive(&self.stream, &mut piece, &mut self.received_fds) {
                Ok(0) => return false,
                Ok(read) => self.received.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        loop {
            match protocol::take::<Call>(&mut self.received) {
                Ok(Some(call)) => {
                    // Nobody has two such calls under way on one connection.
                    let with = call.request.has_streams();
                    let fds = if with { std::mem::take(&mut self.received_fds) } else { Vec::new() };
                    calls.push((Caller { client: id, call: call.id }, call.request, fds));
                }
                Ok(None) => break,
                Err(protocol::Malformed) => return false,
            }
        }
        self.received.shrink_to(4096);
        true
    }
}
