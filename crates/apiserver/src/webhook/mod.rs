//! Calls of webhooks: one JSON document goes there by POST over TLS, another one comes back.
//!
//! # Guarantees
//! Nothing is connected, and no certificate read, before the first call. One connection is kept between
//! calls; if it broke meanwhile, the call is made over a new one. An answer is bounded in size and time.
//!
//! # Errors
//! [`CallError`] says what clients of Kubernetes are used to read about a webhook.

mod dial;
mod tls;

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use self::{dial::Place, tls::Trust};
use crate::state::State;

/// An answer has at most so many bytes.
const MOST_BYTES: usize = 64 << 20;

type Sender = SendRequest<Full<Bytes>>;

/// A webhook: where it is, and whom it may be.
pub(crate) struct Webhook {
    place: Place,
    bundle: Vec<u8>,
    trust: OnceLock<Trust>,
    idle: Mutex<Option<Sender>>,
}

/// Why a webhook gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// It was not reached, or not understood.
    #[error("Post {address:?}: {why}")]
    Unreachable { address: String, why: String },
    /// It answered that it does not answer.
    #[error("{}", refusal(*.code, .said))]
    Refused { code: StatusCode, said: String },
}

impl Webhook {
    /// The webhook of a `clientConfig`, which was judged when it was written.
    pub(crate) fn new(config: &Value) -> Self {
        let bundle = config["caBundle"].as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
        Self {
            place: Place::parse(config),
            bundle: bundle.unwrap_or_default(),
            trust: OnceLock::new(),
            idle: Mutex::new(None),
        }
    }

    /// What it answers to that document.
    pub(crate) async fn post(&self, state: &State, body: Bytes, timeout: Duration) -> Result<Bytes, CallError> {
        let address = format!("{}?timeout={}s", self.place, timeout.as_secs());
        let done = tokio::time::timeout(timeout, self.exchange(state, body, timeout)).await;
        let done = done.unwrap_or_else(|_| Err("context deadline exceeded".to_owned()));
        let (code, bytes) = done.map_err(|why| CallError::Unreachable { address, why })?;
        if code.is_success() {
            return Ok(bytes);
        }
        Err(CallError::Refused { code, said: String::from_utf8_lossy(&bytes).into_owned() })
    }

    async fn exchange(&self, state: &State, body: Bytes, timeout: Duration) -> Result<(StatusCode, Bytes), String> {
        let kept = self.lock().take().filter(|sender| !sender.is_closed());
        if let Some(mut sender) = kept
            && let Ok(answer) = self.send(&mut sender, &body, timeout).await
        {
            self.keep(sender);
            return Ok(answer);
        }
        let mut sender = self.connect(state).await?;
        let answer = self.send(&mut sender, &body, timeout).await?;
        self.keep(sender);
        Ok(answer)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, sender: Sender) {
        if !sender.is_closed() {
            *self.lock() = Some(sender);
        }
    }

    async fn connect(&self, state: &State) -> Result<Sender, String> {
        let stream = self.place.dial(state).await?;
        let trust = self.trust.get_or_init(|| Trust::of(&self.bundle));
        let stream = trust.shake_hands(&self.place.server_name(), stream).await?;
        let (sender, carrier) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        // It ends when the sender is dropped or the other side has enough.
        tokio::spawn(async move {
            if let Err(error) = carrier.await {
                tracing::debug!(%error, "a connection to a webhook broke");
            }
        });
        Ok(sender)
    }

    async fn send(&self, sender: &mut Sender, body: &Bytes, timeout: Duration) -> Result<(StatusCode, Bytes), String> {
        let target = format!("{}?timeout={}s", self.place.path(), timeout.as_secs());
        let request = Request::post(target)
            .header(header::HOST, self.place.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, */*")
            .header(header::USER_AGENT, "kube-apiserver-admission")
            .body(Full::new(body.clone()))
            .map_err(|error| error.to_string())?;
        sender.ready().await.map_err(broken)?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let code = response.status();
        let read = Limited::new(response.into_body(), MOST_BYTES).collect().await;
        Ok((code, read.map_err(|error| error.to_string())?.to_bytes()))
    }
}

fn broken(error: hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_closed() { "EOF".to_owned() } else { error.to_string() }
}

/// What Kubernetes' clients make of an answer that is none.
fn refusal(code: StatusCode, said: &str) -> String {
    let status: Option<Value> = serde_json::from_str(said).ok().filter(|said: &Value| said["kind"] == "Status");
    if let Some(message) = status.as_ref().and_then(|status| status["message"].as_str()).filter(|text| !text.is_empty())
    {
        return message.to_owned();
    }
    match code.as_u16() {
        400 => "the server rejected our request for an unknown reason".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 => format!("forbidden: {said}"),
        404 => "the server could not find the requested resource".to_owned(),
        405 => "the server does not allow this method on the requested resource".to_owned(),
        429 => "the server has received too many requests and has asked us to try again later".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => {
            "the server was unable to return a response in the time allotted, but may still be processing the request"
                .to_owned()
        }
        500..=599 => {
            let said: String = said.trim().chars().take(2048).collect();
            let said = if said.is_empty() { "unknown" } else { &said };
            format!("an error on the server ({said:?}) has prevented the request from succeeding")
        }
        code => format!("the server responded with the status code {code} but did not return more information"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_read_as_clients_know_them() {
        let of = |code, said: &str| refusal(StatusCode::from_u16(code).unwrap(), said);
        assert_eq!(of(404, "nope"), "the server could not find the requested resource");
        assert_eq!(
            of(500, "it broke\n"),
            r#"an error on the server ("it broke") has prevented the request from succeeding"#
        );
        assert_eq!(of(422, r#"{"kind": "Status", "message": "why"}"#), "why");
        assert!(of(418, "").contains("status code 418"));
    }
}
