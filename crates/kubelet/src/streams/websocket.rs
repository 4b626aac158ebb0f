//! The channel protocol: streams in one WebSocket, each message led by its channel's number. Version 5 lets a client
//! close one channel; the `base64` forms are for clients that cannot send bytes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _, stream::SplitStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{sync::mpsc, time::Duration};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::peer::Write;

/// What the key of a client is answered with (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Larger messages are refused.
const LARGEST: usize = 16 << 20;
/// How long a client may take to hang up.
const LEAVE: Duration = Duration::from_secs(10);
/// The channel that is about other channels, since version 5.
const CLOSE: u8 = 255;

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A version of the channel protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// The number; 1 for the first, which had none.
    pub(super) number: u8,
    base64: bool,
}

impl Version {
    /// `None`: not one of these.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (number, base64) = match name {
            "v5.channel.k8s.io" => (5, false),
            "v4.channel.k8s.io" => (4, false),
            "v3.channel.k8s.io" => (3, false),
            "v2.channel.k8s.io" => (2, false),
            "" | "channel.k8s.io" => (1, false),
            "v4.base64.channel.k8s.io" => (4, true),
            "base64.channel.k8s.io" => (1, true),
            _ => return None,
        };
        Some(Self { number, base64 })
    }

    /// What a message says; `None`: nothing that we know.
    fn decode(self, message: Message) -> Option<Said> {
        let bytes: Bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into(),
            _ => return None,
        };
        let (first, rest) = bytes.split_first()?;
        if self.base64 {
            let rest = STANDARD.decode(rest).ok()?;
            return Some(Said::Data(u32::from(first.checked_sub(b'0')?), rest.into()));
        }
        match (*first, rest) {
            (CLOSE, [channel]) if self.number >= 5 => Some(Said::End(u32::from(*channel))),
            (channel, _) => Some(Said::Data(u32::from(channel), bytes.slice(1..))),
        }
    }

    fn encode(self, channel: u32, bytes: &[u8]) -> Message {
        let channel = u8::try_from(channel).unwrap_or(CLOSE);
        if self.base64 {
            let mut text = String::from(char::from(b'0'.saturating_add(channel)));
            STANDARD.encode_string(bytes, &mut text);
            return Message::text(text);
        }
        let mut message = BytesMut::with_capacity(1 + bytes.len());
        message.extend_from_slice(&[channel]);
        message.extend_from_slice(bytes);
        Message::binary(message.freeze())
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Data(u32, Bytes),
    End(u32),
}

/// Whether a request wants to become a WebSocket.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    upgrade.eq_ignore_ascii_case("websocket")
}

/// The protocols that a client offers, best first.
pub(super) fn offered(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
}

/// The answer that makes the connection a WebSocket. `None`: the request's headers are not as they must be.
pub(super) fn switch(headers: &HeaderMap, protocol: &str) -> Option<Response<axum::body::Body>> {
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    if headers.get(header::SEC_WEBSOCKET_VERSION)? != "13" {
        return None;
    }
    let mut digest = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(key.as_bytes());
    digest.update(GUID);
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, STANDARD.encode(digest.finish()));
    if !protocol.is_empty() {
        response = response.header(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(protocol).ok()?);
    }
    response.body(axum::body::Body::empty()).ok()
}

pub(super) async fn socket(upgraded: Upgraded) -> Socket {
    let config = WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(LARGEST))
        .max_frame_size(Some(LARGEST));
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await
}

/// Carries channels both ways until the last sink is dropped or the client leaves. `inputs` are the channels that the
/// client writes to; those that close on the client's word do so when the version has one.
pub(super) async fn run(
    socket: Socket,
    version: Version,
    mut writes: mpsc::Receiver<Write>,
    inputs: Vec<(u32, mpsc::Sender<Bytes>)>,
) {
    let (mut sink, stream) = socket.split();
    let reading = read(stream, version, inputs);
    let writing = async {
        while let Some(write) = writes.recv().await {
            let Write::Data { id, bytes, last } = write else { continue };
            // Channels have no end of their own; an empty piece tells a client that all is set up.
            if !last && sink.send(version.encode(id, &bytes)).await.is_err() {
                return;
            }
        }
        // Clients take any other end for a failure. Who cannot be told has gone.
        let _ = sink.send(Message::Close(Some(ended()))).await;
    };
    tokio::pin!(reading, writing);
    tokio::select! {
        () = &mut reading => return,
        () = &mut writing => {}
    }
    // Hanging up at once could take from the client what it has not read yet.
    let _ = tokio::time::timeout(LEAVE, reading).await;
}

/// The end of a WebSocket that has done what it was for.
pub(super) fn ended() -> CloseFrame {
    CloseFrame { code: CloseCode::Normal, reason: "".into() }
}

async fn read(mut stream: SplitStream<Socket>, version: Version, inputs: Vec<(u32, mpsc::Sender<Bytes>)>) {
    let mut inputs: Vec<_> = inputs.into_iter().map(|(id, sender)| (id, Some(sender))).collect();
    while let Some(message) = stream.next().await {
        let message = match message {
            Ok(message) => message,
            Err(Error::ConnectionClosed) => return,
            Err(error) => return tracing::debug!(%error, "a stream's client has gone"),
        };
        match version.decode(message) {
            Some(Said::Data(id, bytes)) => {
                let sender = inputs.iter().find(|(own, _)| *own == id).and_then(|(_, sender)| sender.as_ref());
                if let Some(sender) = sender
                    && !bytes.is_empty()
                {
                    // Nobody may want it any more.
                    let _ = sender.send(bytes).await;
                }
            }
            Some(Said::End(id)) => {
                inputs.iter_mut().filter(|(own, _)| *own == id).for_each(|(_, sender)| *sender = None)
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_differ() {
        let v5 = Version::parse("v5.channel.k8s.io").unwrap();
        let v4 = Version::parse("v4.channel.k8s.io").unwrap();
        let text = Version::parse("v4.base64.channel.k8s.io").unwrap();
        assert_eq!(Version::parse("v6.channel.k8s.io"), None);
        assert_eq!(v5.decode(Message::binary(vec![255, 0])), Some(Said::End(0)));
        assert_eq!(v4.decode(Message::binary(vec![255, 0])), Some(Said::Data(255, Bytes::from_static(&[0]))));
        assert_eq!(v4.decode(Message::binary(vec![0, b'a'])), Some(Said::Data(0, Bytes::from_static(b"a"))));
        assert_eq!(v4.decode(Message::binary(Vec::new())), None);
        assert_eq!(text.encode(1, b"hi"), Message::text("1aGk="));
        assert_eq!(text.decode(Message::text("0aGk=")), Some(Said::Data(0, Bytes::from_static(b"hi"))));
        assert_eq!(v4.encode(3, b"x"), Message::binary(vec![3, b'x']));
    }

    #[test]
    fn the_answer_is_the_one_of_the_standard() {
        let mut headers = HeaderMap::new();
        headers.insert(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
        assert!(switch(&headers, "").is_none());
        headers.insert(header::SEC_WEBSOCKET_VERSION, "13".parse().unwrap());
        let answer = switch(&headers, "v4.channel.k8s.io").unwrap();
        assert_eq!(answer.headers()[header::SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(bytes: Vec<u8>, text: String) {
            for name in ["v5.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io"] {
                let version = Version::parse(name).unwrap();
                drop(version.decode(Message::binary(bytes.clone())));
                drop(version.decode(Message::text(text.clone())));
            }
        }
    }
}
