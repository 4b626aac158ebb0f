//! Lists in pages: every page of one list is of the same moment, as long as that moment is kept.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use skiff_api::status::Status;
use skiff_store::Snapshot;

/// Moments are kept this long, as etcd keeps its history with Kubernetes's defaults.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// And no more than this many.
const KEPT: usize = 64;

/// The moments of lists that were begun.
#[derive(Default)]
pub(crate) struct Pages {
    moments: Mutex<VecDeque<(Instant, Snapshot)>>,
}

impl Pages {
    /// Keeps a moment for the pages to come.
    pub(super) fn keep(&self, snapshot: &Snapshot, now: Instant) {
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        moments.retain(|(since, kept)| now.duration_since(*since) < KEPT_FOR && kept.revision() != snapshot.revision());
        if moments.len() >= KEPT {
            moments.pop_front();
        }
        moments.push_back((now, snapshot.clone()));
    }

    /// The moment of that revision, if it is still there.
    pub(super) fn find(&self, revision: u64, now: Instant) -> Option<Snapshot> {
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        moments.retain(|(since, _)| now.duration_since(*since) < KEPT_FOR);
        moments.iter().find(|(_, kept)| kept.revision() == revision).map(|(_, kept)| kept.clone())
    }
}

/// What the `continue` parameter holds; opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// The revision of the list; none: go on in whatever is there now.
    #[serde(rename = "rv", skip_serializing_if = "Option::is_none", default)]
    pub(super) revision: Option<u64>,
    /// The last object that was handed out, after the kind's prefix.
    pub(super) after: String,
    /// How many objects are left, if that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) left: Option<usize>,
}

impl Token {
    pub(super) fn encode(&self) -> String {
        // Plain strings and numbers always serialise.
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    pub(super) fn decode(text: &str) -> Result<Self, Status> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| Status::bad_request("continue key is not valid: it was not made by this server"))
    }
}

/// 410 for a list whose moment is gone, with the means to go on without it.
pub(super) fn expired(token: &Token) -> (Status, String) {
    let status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    let go_on = Token { revision: None, left: None, ..token.clone() };
    (status, go_on.encode())
}
