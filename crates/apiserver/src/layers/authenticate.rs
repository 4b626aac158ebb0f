//! Who asks: the connection's own user, a token's, or nobody in particular; and whom they speak for.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use http::{HeaderMap, header::AUTHORIZATION};
use jiff::Timestamp;
use serde_json::Value;
use skiff_api::{meta, status::Qualified, status::Status};
use skiff_store::Snapshot;

use super::Caller;
use crate::{
    authz::{Attributes, Object, refusal},
    http::{info::percent_decode, websocket},
    kind::{self, decode},
    state::State,
    token::{Bound, BoundTo, Claims, Proven, TokenError},
    user::{AUTHENTICATED, User},
};

/// The user that the request is made by, or for.
pub(super) fn user(state: &State, caller: &Caller, headers: &HeaderMap) -> Result<Arc<User>, Status> {
    impersonated(state, who(state, caller, headers)?, headers)
}

fn who(state: &State, caller: &Caller, headers: &HeaderMap) -> Result<Arc<User>, Status> {
    let token = match bearer(headers) {
        Some(token) => Some(Cow::Borrowed(token)),
        None => websocket::token(headers)?.map(Cow::Owned),
    };
    match (caller, token) {
        (Caller::InProcess(user) | Caller::Network(Some(user)), _) => Ok(Arc::clone(user)),
        (_, Some(token)) => of_token(state, &token),
        (Caller::Socket(Some(user)), None) => Ok(Arc::clone(user)),
        (Caller::Socket(None) | Caller::Network(None), None) => Ok(User::anonymous()),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn of_token(state: &State, token: &str) -> Result<Arc<User>, Status> {
    let (now, snapshot) = (Timestamp::now(), state.store.snapshot());
    if let Some(user) = state.known.user(token, now, &snapshot) {
        return Ok(user);
    }
    let proven = state.tokens.check(token, state.tokens.audiences(), now).and_then(|claims| {
        let bound = still_bound(&snapshot, &claims)?;
        Ok(Proven { user: Arc::new(claims.user()), until: claims.until(), bound })
    });
    match proven {
        Ok(proven) => {
            let user = Arc::clone(&proven.user);
            state.known.keep(token, proven, now);
            Ok(user)
        }
        Err(error) => {
            tracing::debug!(%error, "a token was refused");
            Err(Status::unauthorized())
        }
    }
}

/// The claims of a token that is good for one of these audiences, by what is stored now.
pub(crate) fn claims_of(state: &State, token: &str, audiences: &[String]) -> Result<Claims, TokenError> {
    let claims = state.tokens.check(token, audiences, Timestamp::now())?;
    still_bound(&state.store.snapshot(), &claims)?;
    Ok(claims)
}

/// What the token is bound to, if its service account, its pod and so on are still the same ones: their keys, and the
/// revisions at which they came into being.
fn still_bound(snapshot: &Snapshot, claims: &Claims) -> Result<Vec<BoundTo>, TokenError> {
    let subject = &claims.subject;
    let namespace = &subject.namespace;
    let bindings: [(&'static str, Option<&Bound>); 4] = [
        ("serviceaccounts", Some(&subject.serviceaccount)),
        ("pods", subject.pod.as_ref()),
        ("secrets", subject.secret.as_ref()),
        ("nodes", subject.node.as_ref()),
    ];
    let mut found = Vec::new();
    for (plural, bound) in bindings {
        let Some(bound) = bound else { continue };
        let there = kind::of("", plural).and_then(|kind| snapshot.get(&kind.key(namespace, &bound.name)));
        match there {
            Some(entry) if decode(entry).is_ok_and(|object| meta::uid(&object) == bound.uid) => {
                found.push((entry.key.clone(), entry.created));
            }
            _ => return Err(TokenError::Unbound { kind: plural, name: bound.name.clone() }),
        }
    }
    Ok(found)
}

impl State {
    /// A stored object, decoded.
    pub(crate) fn object(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = kind::of(group, plural)?;
        decode(self.store.snapshot().get(&kind.key(namespace, name))?).ok()
    }
}

/// The user that `user` asks to be taken for, if they may.
fn impersonated(state: &State, user: Arc<User>, headers: &HeaderMap) -> Result<Arc<User>, Status> {
    if !headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Ok(user);
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let groups: Vec<&str> =
        headers.get_all("impersonate-group").iter().filter_map(|value| value.to_str().ok()).collect();
    let uid = text("impersonate-uid");
    let extra = extras(headers);
    let Some(name) = text("impersonate-user") else {
        if groups.is_empty() && uid.is_none() && extra.is_empty() {
            return Ok(user);
        }
        return Err(Status::bad_request("requested impersonation of groups, a uid or extras without a user"));
    };
    let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let (namespace, resource, own) = match account {
        Some((namespace, account)) => (namespace, "serviceaccounts", account),
        None => ("", "users", name),
    };
    let ask = |group, resource, subresource, namespace, name| {
        may_impersonate(state, &user, &Object::Resource { namespace, group, resource, subresource, name })
    };
    ask("", resource, "", namespace, own)?;
    for group in &groups {
        ask("", "groups", "", "", group)?;
    }
    if let Some(uid) = uid {
        ask("authentication.k8s.io", "uids", "", "", uid)?;
    }
    for (key, values) in &extra {
        for value in values {
            ask("authentication.k8s.io", "userextras", key, "", value)?;
        }
    }
    let mut taken = match account {
        Some((namespace, account)) if groups.is_empty() => User::service_account(namespace, account),
        _ => User::new(name, groups.into_iter().map(str::to_owned)),
    };
    if *name == *User::anonymous().name {
        taken.groups.retain(|group| group != AUTHENTICATED);
    }
    taken.uid = uid.map(str::to_owned);
    taken.extra = extra;
    Ok(Arc::new(taken))
}

fn extras(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let key = name.as_str().strip_prefix("impersonate-extra-").and_then(percent_decode);
        if let (Some(key), Ok(value)) = (key, value.to_str()) {
            found.entry(key).or_default().push(value.to_owned());
        }
    }
    found
}

fn may_impersonate(state: &State, user: &User, on: &Object<'_>) -> Result<(), Status> {
    let wanted = Attributes { verb: "impersonate", on: *on };
    if state.authorizer.allows(user, &wanted, state) {
        return Ok(());
    }
    let (group, resource, name) = match *on {
        Object::Resource { group, resource, name, .. } => (group, resource, name),
        Object::Path(path) => ("", path, ""),
    };
    Err(Status::forbidden(Qualified::new(group, resource), name, &refusal(user, &wanted)))
}
