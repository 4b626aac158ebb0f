//! The HTTP side of the API, without any knowledge of kinds: what a path means, which options a
//! query holds, which form of answer a client accepts, and how bodies are read and written.

pub(crate) mod accept;
pub(crate) mod body;
pub(crate) mod info;
pub(crate) mod query;
pub(crate) mod respond;
pub(crate) mod websocket;
