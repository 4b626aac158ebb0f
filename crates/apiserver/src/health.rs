//! Health: one check for everything, several for those who look closer.

use std::fmt::Write as _;

use axum::body::Body;
use http::{Response, StatusCode};

use crate::{
    http::{query::Query, respond},
    state::State,
};

type Check = (&'static str, fn(&State) -> bool);

const PING: Check = ("ping", |_| true);
const STORE: Check = ("store", |state| state.store.health().is_ok());
const SHUTDOWN: Check = ("shutdown", |state| !state.stopping.is_cancelled());

/// Answers `/healthz`, `/livez` and `/readyz`, or one check of them; `None` for other paths.
pub(crate) fn answer(state: &State, path: &str, query: &Query) -> Option<Response<Body>> {
    let mut parts = path.trim_matches('/').split('/');
    let endpoint = parts.next()?;
    let checks: &[Check] = match endpoint {
        "livez" => &[PING],
        "healthz" => &[PING, STORE],
        "readyz" => &[PING, STORE, SHUTDOWN],
        _ => return None,
    };
    match (parts.next(), parts.next()) {
        (None, _) => Some(all(state, endpoint, checks, query)),
        (Some(name), None) => {
            let (_, check) = checks.iter().find(|(own, _)| *own == name)?;
            Some(if check(state) {
                respond::text(StatusCode::OK, "ok")
            } else {
                respond::text(StatusCode::INTERNAL_SERVER_ERROR, "internal server error: failed\n")
            })
        }
        _ => None,
    }
}

fn all(state: &State, endpoint: &str, checks: &[Check], query: &Query) -> Response<Body> {
    let excluded: Vec<&str> = query.all("exclude").collect();
    let mut text = String::new();
    let mut healthy = true;
    for (name, check) in checks {
        // Writing to a string cannot fail.
        let _ = if excluded.contains(name) {
            writeln!(text, "[+]{name} excluded: ok")
        } else if check(state) {
            writeln!(text, "[+]{name} ok")
        } else {
            healthy = false;
            writeln!(text, "[-]{name} failed: reason withheld")
        };
    }
    match (healthy, query.has("verbose")) {
        (true, false) => respond::text(StatusCode::OK, "ok"),
        (true, true) => respond::text(StatusCode::OK, format!("{text}{endpoint} check passed\n")),
        (false, _) => respond::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{text}{endpoint} check failed\n")),
    }
}
