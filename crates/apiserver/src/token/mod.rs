//! Service-account tokens: signed claims (JWT, ES256) that pods show to the API.

mod es256;
mod known;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

pub(crate) use self::{
    es256::Key,
    known::{BoundTo, Known, Proven},
};
use crate::user::User;

/// Why a token is not accepted. Clients only ever read "Unauthorized"; this is for the log.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// Not three parts of base64, or not JSON.
    #[error("it is not a token of this cluster's form")]
    Malformed,
    /// Signed with another algorithm or key.
    #[error("its signature is wrong")]
    Signature,
    /// Another issuer.
    #[error("it was issued by {0:?}")]
    Issuer(String),
    /// Not meant for this API.
    #[error("its audiences are {0:?}")]
    Audience(Vec<String>),
    /// Outlived.
    #[error("it expired")]
    Expired,
    /// Not valid yet.
    #[error("it is not valid yet")]
    TooEarly,
    /// What it is bound to is gone.
    #[error("the {kind} {name:?} that it is bound to is gone or another one")]
    Unbound {
        /// The kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

/// An object that a token is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bound {
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// Kubernetes's private claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(crate) namespace: String,
    pub(crate) serviceaccount: Bound,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) pod: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) secret: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) node: Option<Bound>,
}

/// The claims of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    aud: Vec<String>,
    exp: i64,
    iat: i64,
    iss: String,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    pub(crate) subject: Subject,
    nbf: i64,
    sub: String,
}

impl Claims {
    /// Whom the token is for.
    pub(crate) fn audiences(&self) -> &[String] {
        &self.aud
    }

    /// The second at which the token expires.
    pub(crate) fn until(&self) -> i64 {
        self.exp
    }

    /// The user that the token speaks for.
    pub(crate) fn user(&self) -> User {
        let subject = &self.subject;
        let mut user = User::service_account(&subject.namespace, &subject.serviceaccount.name);
        user.uid = Some(subject.serviceaccount.uid.clone());
        let mut tell = |key: &str, value: &str| {
            user.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value.to_owned()]);
        };
        tell("credential-id", &format!("JTI={}", self.jti));
        for (key, bound) in [("pod", &subject.pod), ("node", &subject.node)] {
            if let Some(bound) = bound {
                tell(&format!("{key}-name"), &bound.name);
                tell(&format!("{key}-uid"), &bound.uid);
            }
        }
        user
    }
}

/// Issues and checks tokens.
pub(crate) struct Issuer {
    key: Key,
    name: String,
    audiences: Vec<String>,
}

impl Issuer {
    /// An issuer of that name (a URL); its tokens are for itself unless others are asked for.
    pub(crate) fn new(key: Key, name: String) -> Self {
        Self { key, audiences: vec![name.clone()], name }
    }

    /// The public key that its tokens are checked with, as JSON.
    pub(crate) fn public_key(&self) -> Value {
        self.key.public()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The audiences that this API answers to.
    pub(crate) fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// A token for `subject`, valid from `now` for `lifetime`.
    pub(crate) fn issue(&self, subject: Subject, audiences: Vec<String>, now: Timestamp, lifetime: Duration) -> String {
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let claims = Claims {
            aud: audiences,
            exp: now.as_second().saturating_add(seconds),
            iat: now.as_second(),
            iss: self.name.clone(),
            jti: uuid::Uuid::new_v4().to_string(),
            nbf: now.as_second(),
            sub: format!("system:serviceaccount:{}:{}", subject.namespace, subject.serviceaccount.name),
            subject,
        };
        self.key.sign(&claims)
    }

    /// The claims of a token that is ours, for one of these audiences, and valid now. Whether what it is bound to
    /// still exists is for the caller to see.
    pub(crate) fn check(&self, token: &str, audiences: &[String], now: Timestamp) -> Result<Claims, TokenError> {
        let claims: Claims = self.key.verify(token)?;
        if claims.iss != self.name {
            return Err(TokenError::Issuer(claims.iss));
        }
        if !claims.aud.iter().any(|audience| audiences.contains(audience)) {
            return Err(TokenError::Audience(claims.aud));
        }
        let second = now.as_second();
        if second >= claims.exp {
            return Err(TokenError::Expired);
        }
        // A minute of slack for clocks that differ.
        if second < claims.nbf.saturating_sub(60) {
            return Err(TokenError::TooEarly);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> Issuer {
        let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
        Issuer::new(Key::from_pem(&pem).unwrap(), "https://kubernetes.default.svc.cluster.local".to_owned())
    }

    fn subject() -> Subject {
        let bound = |name: &str| Bound { name: name.to_owned(), uid: format!("{name}-uid") };
        Subject {
            namespace: "default".to_owned(),
            serviceaccount: bound("builder"),
            pod: Some(bound("p")),
            secret: None,
            node: None,
        }
    }

    #[test]
    fn a_token_is_good_for_its_time_and_audience() {
        let issuer = issuer();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let token = issuer.issue(subject(), issuer.audiences().to_vec(), now, Duration::from_secs(600));
        let claims = issuer.check(&token, issuer.audiences(), now).unwrap();
        assert_eq!(claims.user().name, "system:serviceaccount:default:builder");
        assert_eq!(claims.user().extra["authentication.kubernetes.io/pod-name"], ["p"]);
        let late = Timestamp::from_second(1_800_000_600).unwrap();
        assert_eq!(issuer.check(&token, issuer.audiences(), late), Err(TokenError::Expired));
        let other = issuer.issue(subject(), vec!["vault".to_owned()], now, Duration::from_secs(600));
        assert_eq!(issuer.check(&other, issuer.audiences(), now), Err(TokenError::Audience(vec!["vault".to_owned()])));
    }

    #[test]
    fn another_key_or_a_changed_claim_is_refused() {
        let (ours, theirs) = (issuer(), issuer());
        let now = Timestamp::now();
        let token = theirs.issue(subject(), theirs.audiences().to_vec(), now, Duration::from_secs(600));
        assert_eq!(ours.check(&token, ours.audiences(), now), Err(TokenError::Signature));
        let mut parts: Vec<&str> = token.split('.').collect();
        parts[1] = "e30";
        assert_eq!(theirs.check(&parts.join("."), theirs.audiences(), now), Err(TokenError::Signature));
        for text in ["", "a.b", "a.b.c.d", "ä.ö.ü"] {
            assert!(ours.check(text, ours.audiences(), now).is_err(), "{text}");
        }
    }
}
