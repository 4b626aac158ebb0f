//! What a server and a supervisor say to each other: a closed set of messages, as JSON, each after its length in four
//! bytes (little end first).
//!
//! A supervisor may be older than the server that adopts it, so fields are only ever added, with a default.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::spec::{ContainerSpec, ExecSpec};
use crate::status::{ContainerStatus, ExecResult, Started};

/// Longer messages are refused.
pub(crate) const MAX_MESSAGE: usize = 8 << 20;

/// A request with the number that its reply will carry.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) request: Request,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Answered with `Ready` as soon as the sandbox is.
    Hello,
    Start {
        spec: Box<ContainerSpec>,
        /// The compiled system call filter. None: unconfined.
        seccomp: Option<PathBuf>,
    },
    Kill {
        name: String,
        signal: i32,
    },
    Exec {
        name: String,
        spec: ExecSpec,
    },
    /// Run a command with the streams that come with this message.
    ExecStream {
        name: String,
        spec: ExecSpec,
        streams: Streams,
    },
    /// Copy what a container prints to the streams that come with this message.
    Attach {
        name: String,
        streams: Streams,
    },
    /// Whoever reads a container's standard input sees its end.
    CloseStdin {
        name: String,
    },
    Statuses,
    /// Forget an ended attempt and remove its writable layer.
    Forget {
        name: String,
        attempt: u32,
    },
    /// Kill everything, clean up, answer, exit.
    Shutdown,
}

impl Request {
    /// Whether descriptors come with it.
    pub(crate) fn has_streams(&self) -> bool {
        matches!(self, Request::ExecStream { .. } | Request::Attach { .. })
    }
}

/// Which streams are wanted. A descriptor for each comes with the message, in this order; for a command with a terminal
/// it is one socket, over which the terminal comes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Streams {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// A terminal instead of them.
    pub tty: bool,
}

/// What a supervisor sends: the reply to a call, or news.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    Reply { id: u64, reply: Reply },
    Changed(ContainerStatus),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Ready {
        pid: u32,
    },
    Started(Started),
    Exec(ExecResult),
    /// With a descriptor: the container's terminal, or else its standard input where that was asked for and is open.
    Attached {
        tty: bool,
        stdin: bool,
    },
    Statuses(Vec<ContainerStatus>),
    Done,
    NotRunning,
    Failed(Fault),
}

/// A message as it goes over the wire.
pub(crate) fn encode<T: Serialize>(message: &T) -> serde_json::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Takes the first whole message off `buffer`. `Err` when what is there can't be one.
pub(crate) fn take<T: serde::de::DeserializeOwned>(buffer: &mut Vec<u8>) -> Result<Option<T>, Malformed> {
    let Some(head) = buffer.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*head) as usize;
    if length > MAX_MESSAGE {
        return Err(Malformed);
    }
    let Some(body) = buffer.get(4..4 + length) else { return Ok(None) };
    let message = serde_json::from_slice(body).map_err(|_| Malformed)?;
    buffer.drain(..4 + length);
    Ok(Some(message))
}

/// Bytes that are no message.
#[derive(Debug)]
pub(crate) struct Malformed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_wire_in_pieces() {
        let frame = encode(&Call { id: 7, request: Request::Kill { name: "a".into(), signal: 15 } }).unwrap();
        let mut buffer = Vec::new();
        for (at, byte) in frame.iter().enumerate() {
            buffer.push(*byte);
            let taken: Option<Call> = take(&mut buffer).unwrap();
            assert_eq!(taken.is_some(), at + 1 == frame.len());
        }
        assert!(buffer.is_empty());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(take::<Call>(&mut vec![255; 8]).is_err());
        assert!(take::<Call>(&mut vec![1, 0, 0, 0, b'{']).is_err());
    }
}
