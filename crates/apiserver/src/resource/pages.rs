//! Lists in pages: every page of one list is of the same moment, as long as the store knows that moment.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use skiff_api::status::Status;

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
        let token = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        token.ok_or_else(|| {
            Status::bad_request(
                "invalid continue token: continue key is not valid: it was not made by this kind of server",
            )
        })
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
