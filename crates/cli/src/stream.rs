//! Streams of a container in one WebSocket, each message led by its channel's number; and this terminal, for them.

use std::{
    hash::{BuildHasher as _, RandomState},
    io::{IsTerminal as _, Read as _, Write as _},
    os::fd::AsFd as _,
    process::ExitCode,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _, stream::SplitSink};
use http::{Request, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use nix::sys::termios::{self, SetArg, Termios};
use serde_json::Value;
use skiff_client::kube::{Client, client::Body};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use crate::{error::Error, session::Session};

pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The protocol with a way to end one channel.
const PROTOCOL: &str = "v5.channel.k8s.io";
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// Opens a WebSocket at `path`.
pub(crate) async fn connect(client: &Client, path: &str) -> Result<Socket, Error> {
    let random = RandomState::new();
    let key = [random.hash_one(1), random.hash_one(2)].map(u64::to_ne_bytes).concat();
    let request = Request::get(path)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, STANDARD.encode(key))
        .header(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL)
        .body(Body::empty())
        .map_err(|error| Error::usage(format!("{path}: {error}")))?;
    let mut response = client.send(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let body = response.into_body().collect_bytes().await?;
        return Err(match serde_json::from_slice::<Value>(&body) {
            Ok(status) if status["kind"] == "Status" => Error::status(&status),
            _ => Error::Failed(format!("unable to upgrade connection: {}", String::from_utf8_lossy(&body))),
        });
    }
    let upgraded = hyper::upgrade::on(&mut response).await;
    let upgraded = upgraded.map_err(|error| Error::Failed(format!("unable to upgrade connection: {error}")))?;
    Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await)
}

/// A message on a channel.
pub(crate) fn message(channel: u8, bytes: &[u8]) -> Message {
    Message::binary([&[channel], bytes].concat())
}

/// The message that ends a channel.
pub(crate) fn end(channel: u8) -> Message {
    Message::binary(vec![CLOSE, channel])
}

/// Bytes and their channel; `None` for what is no message of a channel.
pub(crate) fn received(message: Message) -> Option<(u8, Bytes)> {
    let Message::Binary(bytes) = message else { return None };
    let channel = *bytes.first()?;
    Some((channel, bytes.slice(1..)))
}

/// Whether both ends of a terminal are here.
pub(crate) fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Joins this process's streams to the container's until it ends. The exit code is the command's.
pub(crate) async fn join(session: &Session, path: &str, stdin: bool, tty: bool) -> Result<ExitCode, Error> {
    let (mut sink, mut stream) = session.socket(path).await?.split();
    let _raw = if tty && stdin { Raw::enter() } else { None };
    let mut input = if stdin { typed() } else { None };
    let mut resized = if tty { signal(SignalKind::window_change()).ok() } else { None };
    if tty {
        tell_size(&mut sink).await?;
    }
    loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(Ok(message)) => {
                    if let Some(code) = take(session, message)? {
                        return Ok(code);
                    }
                }
                Some(Err(error)) => return Err(Error::Failed(error.to_string())),
                None => return Ok(ExitCode::SUCCESS),
            },
            bytes = next(&mut input) => {
                let ended = bytes.is_none();
                let said = bytes.map_or_else(|| end(STDIN), |bytes| message(STDIN, &bytes));
                sink.send(said).await.map_err(|error| Error::Failed(error.to_string()))?;
                if ended {
                    input = None;
                }
            }
            () = changed(&mut resized) => tell_size(&mut sink).await?,
        }
    }
}

/// Prints what came. With the last word: the exit code.
fn take(session: &Session, message: Message) -> Result<Option<ExitCode>, Error> {
    match received(message) {
        Some((STDOUT, bytes)) => session.write_bytes(&bytes).map(|()| None),
        Some((STDERR, bytes)) => {
            let mut err = std::io::stderr().lock();
            err.write_all(&bytes)?;
            Ok(err.flush().map(|()| None)?)
        }
        Some((ERROR, bytes)) if !bytes.is_empty() => verdict(&bytes).map(Some),
        _ => Ok(None),
    }
}

fn verdict(bytes: &[u8]) -> Result<ExitCode, Error> {
    let status: Value =
        serde_json::from_slice(bytes).map_err(|_| Error::Failed(String::from_utf8_lossy(bytes).trim().to_owned()))?;
    if status["status"] == "Success" {
        return Ok(ExitCode::SUCCESS);
    }
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let code = causes.filter(|cause| cause["reason"] == "ExitCode").find_map(|cause| cause["message"].as_str());
    let Some(code) = code.and_then(|code| code.parse::<u8>().ok()) else {
        return Err(Error::Failed(status["message"].as_str().unwrap_or_default().to_owned()));
    };
    eprintln!("command terminated with exit code {code}");
    Ok(ExitCode::from(code))
}

/// What comes from standard input. Reading it blocks a thread of its own, which ends with the process.
fn typed() -> Option<mpsc::Receiver<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(4);
    let read = move || {
        let mut buffer = vec![0; 32 << 10];
        while let Ok(read) = std::io::stdin().read(&mut buffer) {
            if read == 0 || sender.blocking_send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("stdin".to_owned()).spawn(read).ok().map(|_| receiver)
}

async fn next(input: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match input {
        Some(input) => input.recv().await,
        None => std::future::pending().await,
    }
}

async fn changed(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

async fn tell_size(sink: &mut SplitSink<Socket, Message>) -> Result<(), Error> {
    let Some((width, height)) = terminal_size::terminal_size() else { return Ok(()) };
    let text = format!("{{\"Width\":{},\"Height\":{}}}", width.0, height.0);
    sink.send(message(RESIZE, text.as_bytes())).await.map_err(|error| Error::Failed(error.to_string()))
}

/// A terminal that hands on every key as it is, for as long as this lives.
struct Raw(Termios);

impl Raw {
    fn enter() -> Option<Self> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(stdin.as_fd()).ok()?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // What can't be restored stays as it is.
        let _ = termios::tcsetattr(std::io::stdin().as_fd(), SetArg::TCSANOW, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_an_exit_code_or_an_error() {
        assert_eq!(verdict(br#"{"status":"Success"}"#).unwrap(), ExitCode::SUCCESS);
        let failed = br#"{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#;
        assert_eq!(verdict(failed).unwrap(), ExitCode::from(7));
        let error = verdict(br#"{"status":"Failure","message":"no such thing"}"#).unwrap_err();
        assert_eq!(error.to_string(), "error: no such thing");
        assert!(verdict(b"nonsense").is_err());
    }
}
