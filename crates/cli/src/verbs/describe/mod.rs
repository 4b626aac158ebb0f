//! `describe`: what there is to say of an object, for people, with its events.
//!
//! The one verb that knows kinds; a kind without a page of its own gets all its fields.

mod config;
mod page;
mod pod;
mod service;
mod workload;

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use self::page::Page;
pub(crate) use self::workload::template;
use crate::{
    error::Error,
    objects::{Pick, Picked},
    output::Failures,
    session::{JSON, Session, escaped},
};

/// Flags of `describe`.
#[derive(Args, Clone, Debug)]
pub struct Describe {
    /// Types and names: `pod web`, `deploy/web`, `nodes`
    #[arg(value_name = "TYPE [NAME ...]")]
    words: Vec<String>,
    #[command(flatten)]
    pick: Pick,
    /// Of all namespaces
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// Show events
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    show_events: bool,
}

impl Describe {
    /// Prints the pages.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        // A type alone is all of its objects.
        let pick = Pick { all: self.pick.all || self.pick.selector.is_none(), ..self.pick.clone() };
        let found = if self.all_namespaces {
            pick.find_everywhere(session, &self.words).await?
        } else {
            pick.find(session, &self.words).await?
        };
        if found.is_empty() {
            eprintln!("No resources found in {} namespace.", session.namespace());
        }
        let mut failures = Failures::default();
        for (at, one) in found.iter().enumerate() {
            if let Some(text) = failures.note(self.page(session, one).await) {
                session.write(if at > 0 { "\n\n" } else { "" })?;
                session.write(&text)?;
            }
        }
        Ok(failures.code())
    }

    async fn page(&self, session: &Session, one: &Picked) -> Result<String, Error> {
        let object = one.get(session).await?;
        let mut page = Page::default();
        let path = |kind: &str| format!("/api/v1/namespaces/{}/{kind}", one.namespace);
        match one.resource.kind.as_str() {
            "Pod" => pod::pod(&mut page, &object),
            "Service" => {
                let query = escaped(&format!("kubernetes.io/service-name={}", one.name));
                let slices = format!(
                    "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices?labelSelector={query}",
                    one.namespace
                );
                service::service(&mut page, &object, &session.get(&slices, JSON).await?);
            }
            "Endpoints" => service::endpoints(&mut page, &object),
            "EndpointSlice" => service::slice(&mut page, &object),
            "Deployment" => {
                let sets =
                    session.get(&format!("/apis/apps/v1/namespaces/{}/replicasets", one.namespace), JSON).await?;
                workload::deployment(&mut page, &object, &sets);
            }
            "ReplicaSet" => workload::replica_set(&mut page, &object, &session.get(&path("pods"), JSON).await?),
            "Node" => {
                let query = escaped(&format!("spec.nodeName={}", one.name));
                let pods = session.get(&format!("/api/v1/pods?fieldSelector={query}"), JSON).await?;
                config::node(&mut page, &object, &pods);
            }
            "Namespace" => config::namespace(&mut page, &object),
            "ConfigMap" => config::config_map(&mut page, &object),
            "Secret" => {
                config::secret(&mut page, &object);
                return Ok(page.finish());
            }
            "ServiceAccount" => config::service_account(&mut page, &object),
            _ => page.fields(&object),
        }
        if self.show_events && one.resource.kind != "Namespace" {
            page.events(&self.events(session, one, &object).await?, jiff::Timestamp::now());
        }
        Ok(page.finish())
    }

    async fn events(&self, session: &Session, one: &Picked, object: &Value) -> Result<Value, Error> {
        // Events of nodes are kept in `default` and name the node instead of its UID.
        let namespace = if one.resource.namespaced { one.namespace.as_str() } else { "default" };
        let mut fields = format!("involvedObject.name={},involvedObject.kind={}", one.name, one.resource.kind);
        if one.resource.namespaced {
            fields.push_str(&format!(",involvedObject.uid={}", object["metadata"]["uid"].as_str().unwrap_or_default()));
        }
        session.get(&format!("/api/v1/namespaces/{namespace}/events?fieldSelector={}", escaped(&fields)), JSON).await
    }
}
