//! WebSockets (RFC 6455) that only send: what would be a stream of bytes over HTTP goes as messages to clients that
//! have nothing else, such as browsers.
//!
//! The client's protocol says how messages are written: `binary.k8s.io` as they are, `base64.binary.k8s.io` as text.

use axum::body::Body;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use futures::{SinkExt as _, Stream, StreamExt as _, stream::SplitSink, stream::SplitStream};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use skiff_api::status::Status;
use tokio::time::{Duration, timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

/// What the key of a client is answered with (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Clients have nothing to say here: larger messages than this end the connection.
const LARGEST: usize = 64 << 10;
/// As much is gathered before it is written.
const GATHERED: usize = 16 << 10;
/// How long a client may take to hang up.
const LEAVE: Duration = Duration::from_secs(10);

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// What is text already.
    Text,
    /// Bytes as they are.
    Binary,
    /// Bytes for clients that only read text.
    Base64,
}

/// Takes the next message off the front of what is to be sent; `None` when nothing is left.
pub(crate) type Split = fn(&mut Bytes) -> Option<Bytes>;

/// A request that becomes a WebSocket.
pub(crate) struct Offer {
    connection: OnUpgrade,
    framing: Framing,
}

/// Whether a request wants its connection to become something else.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    let mut tokens = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let asks = tokens.any(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade")));
    asks && headers.contains_key(header::UPGRADE)
}

/// Whether a request wants its connection to become a WebSocket.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && is_upgrade(headers)
}

/// The protocols that a client offers, best first.
pub(crate) fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|one| !one.is_empty())
}

/// What a client that cannot send headers, such as a browser, puts before its token.
const BEARER: &str = "base64url.bearer.authorization.k8s.io.";

/// The bearer token among the protocols that a client offers; `Err` if that is not how to send one.
pub(crate) fn token(headers: &HeaderMap) -> Result<Option<String>, Status> {
    if !is_wanted(headers) {
        return Ok(None);
    }
    let mut tokens = offered(headers).filter_map(|one| one.strip_prefix(BEARER));
    let Some(token) = tokens.next() else { return Ok(None) };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // One of the others is what the client is answered.
    let alone = tokens.next().is_none() && offered(headers).any(|one| !one.starts_with(BEARER));
    bytes.filter(|token| alone && !token.is_empty()).map(Some).ok_or_else(Status::unauthorized)
}

/// Takes tokens out of what goes on from here.
pub(crate) fn hide_token(headers: &mut HeaderMap) {
    if offered(headers).any(|one| one.starts_with(BEARER)) {
        let others: Vec<&str> = offered(headers).filter(|one| !one.starts_with(BEARER)).collect();
        // What was part of a header is one.
        let others = HeaderValue::from_str(&others.join(", ")).unwrap_or(HeaderValue::from_static(""));
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, others);
    }
}

/// Makes a request a WebSocket, which it is after the answer; `usual` is how messages are written unless its protocol
/// says otherwise.
pub(crate) fn accept(
    headers: &HeaderMap,
    connection: Option<OnUpgrade>,
    usual: Framing,
) -> Result<(Offer, Response<Body>), Status> {
    let connection = connection.ok_or_else(|| Status::bad_request("this connection cannot become a WebSocket"))?;
    let known = offered(headers).find_map(|name| Some((name, framing(name)?)));
    // Who offers something gets something back, or else takes the connection for broken.
    let (protocol, framing) = match known {
        Some((name, framing)) => (Some(name), framing),
        None => (offered(headers).next(), usual),
    };
    let answer = switch(headers, protocol);
    let answer =
        answer.ok_or_else(|| Status::bad_request("the WebSocket handshake is incomplete: version 13, a key"))?;
    Ok((Offer { connection, framing }, answer))
}

fn framing(protocol: &str) -> Option<Framing> {
    match protocol {
        "binary.k8s.io" => Some(Framing::Binary),
        "base64.binary.k8s.io" => Some(Framing::Base64),
        _ => None,
    }
}

/// The answer that makes the connection a WebSocket. `None`: the request's headers are not as they must be.
fn switch(headers: &HeaderMap, protocol: Option<&str>) -> Option<Response<Body>> {
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
        .header(header::SEC_WEBSOCKET_ACCEPT, BASE64_STANDARD.encode(digest.finish()));
    if let Some(protocol) = protocol {
        response = response.header(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(protocol).ok()?);
    }
    response.body(Body::empty()).ok()
}

impl Framing {
    fn message(self, bytes: Bytes) -> Message {
        match self {
            Self::Text => Utf8Bytes::try_from(bytes.clone()).map_or_else(|_| Message::Binary(bytes), Message::Text),
            Self::Binary => Message::Binary(bytes),
            Self::Base64 => Message::text(BASE64_STANDARD.encode(bytes)),
        }
    }
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

impl Offer {
    /// Sends what comes until it ends, the client leaves, or the client takes nothing off for as long as `patience`.
    /// Ends at once when the client does.
    pub(crate) async fn pour(self, what: impl Stream<Item = Bytes> + Send, split: Split, patience: Duration) {
        let upgraded = match self.connection.await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "a WebSocket did not come about"),
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            .write_buffer_size(GATHERED)
            .max_message_size(Some(LARGEST))
            .max_frame_size(Some(LARGEST));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let (sink, stream) = socket.split();
        let reading = until_gone(stream);
        let writing = send_all(sink, self.framing, what, split, patience);
        tokio::pin!(reading, writing);
        tokio::select! {
            () = &mut reading => return,
            ended = &mut writing => if let Err(Stalled) = ended {
                return tracing::debug!("a WebSocket's client reads nothing; it is cut off");
            }
        }
        // Hanging up at once could take from the client what it has not read yet.
        let _ = timeout(LEAVE, reading).await;
    }
}

/// The client does not read, or cannot be written to.
struct Stalled;

async fn send_all(
    mut sink: SplitSink<Socket, Message>,
    framing: Framing,
    what: impl Stream<Item = Bytes>,
    split: Split,
    patience: Duration,
) -> Result<(), Stalled> {
    tokio::pin!(what);
    while let Some(mut bytes) = what.next().await {
        while let Some(message) = split(&mut bytes) {
            done(timeout(patience, sink.feed(framing.message(message))).await)?;
        }
        done(timeout(patience, sink.flush()).await)?;
    }
    let end = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    done(timeout(patience, sink.send(Message::Close(Some(end)))).await)
}

fn done(sent: Result<Result<(), Error>, tokio::time::error::Elapsed>) -> Result<(), Stalled> {
    sent.ok().and_then(Result::ok).ok_or(Stalled)
}

/// Reads, and so answers pings, until the client has left. What it says is passed over.
async fn until_gone(mut stream: SplitStream<Socket>) {
    while let Some(message) = stream.next().await {
        match message {
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return,
            Err(error) => return tracing::debug!(%error, "a WebSocket's client has gone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_answer_is_the_one_of_the_standard() {
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        assert!(switch(&headers(&[key]), None).is_none());
        let answer = switch(&headers(&[key, ("sec-websocket-version", "13")]), Some("binary.k8s.io")).unwrap();
        assert_eq!(answer.headers()[header::SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(answer.headers()[header::SEC_WEBSOCKET_PROTOCOL], "binary.k8s.io");
    }

    #[test]
    fn who_asks_is_told_apart() {
        assert!(is_wanted(&headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")])));
        for other in [
            headers(&[("connection", "upgrade"), ("upgrade", "SPDY/3.1")]),
            headers(&[("connection", "keep-alive"), ("upgrade", "websocket")]),
            headers(&[("connection", "upgrade")]),
        ] {
            assert!(!is_wanted(&other), "{other:?}");
        }
    }

    #[test]
    fn tokens_come_with_another_protocol_and_are_hidden() {
        let of = |protocols: &'static str| {
            headers(&[("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-protocol", protocols)])
        };
        let mut good = of("base64url.bearer.authorization.k8s.io.YWJj, binary.k8s.io");
        assert_eq!(token(&good).unwrap().as_deref(), Some("abc"));
        hide_token(&mut good);
        assert_eq!(good[header::SEC_WEBSOCKET_PROTOCOL], "binary.k8s.io");
        assert_eq!(token(&good).unwrap(), None);
        for bad in ["YWJj", "YWJj, base64url.bearer.authorization.k8s.io.YWJj, x", "?, x", "_w, x", ", x"] {
            let value = HeaderValue::from_str(&format!("base64url.bearer.authorization.k8s.io.{bad}")).unwrap();
            let mut headers = of("");
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
            assert_eq!(token(&headers).unwrap_err().code, 401, "{bad}");
        }
    }

    #[test]
    fn messages_are_written_as_asked() {
        let bytes = || Bytes::from_static(b"{}\n");
        assert_eq!(Framing::Text.message(bytes()), Message::text("{}\n"));
        assert_eq!(Framing::Binary.message(bytes()), Message::binary(bytes()));
        assert_eq!(Framing::Base64.message(bytes()), Message::text("e30K"));
        assert!(Framing::Text.message(Bytes::from_static(&[0xff])).is_binary());
    }
}
