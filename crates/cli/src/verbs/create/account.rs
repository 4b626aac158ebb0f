//! `create namespace`, `create serviceaccount` and `create token`.

use clap::Args;
use serde_json::{Value, json};

use crate::{
    duration::{self, Limit},
    error::Error,
    output::Output,
    session::Session,
};

/// Flags of what needs only a name.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Named {
    /// The object's name
    name: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

impl Named {
    /// A Namespace.
    pub(crate) fn namespace(&self) -> Value {
        let metadata = json!({ "creationTimestamp": null, "name": self.name });
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata, "spec": {}, "status": {} })
    }

    /// A ServiceAccount.
    pub(crate) fn service_account(&self) -> Value {
        let metadata = json!({ "creationTimestamp": null, "name": self.name });
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata })
    }
}

/// Flags of `create token`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Token {
    /// The service account's name
    name: String,
    /// Whom the token is for
    #[arg(long)]
    audience: Vec<String>,
    /// How long it is good for; the server may shorten it
    #[arg(long, value_parser = duration::parse)]
    duration: Option<Limit>,
}

impl Token {
    /// Asks for a token and prints it.
    pub(crate) async fn run(&self, session: &Session) -> Result<(), Error> {
        let mut spec = json!({});
        if !self.audience.is_empty() {
            spec["audiences"] = json!(self.audience);
        }
        if let Some(Limit::After(time)) = self.duration {
            spec["expirationSeconds"] = json!(time.as_secs());
        }
        let body = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec });
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{}/token", session.namespace(), self.name);
        let answer = session.post(&path, &body).await?;
        session.say(answer["status"]["token"].as_str().unwrap_or_default())
    }
}
