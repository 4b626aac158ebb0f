//! The node's Lease: a heartbeat that costs the store nothing.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease as Object, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

/// How often it is renewed.
pub(super) const RENEW: Duration = Duration::from_secs(10);
/// How long it holds without renewal.
const SECONDS: i32 = 40;
const NAMESPACE: &str = "kube-node-lease";

/// The lease of one node.
pub(super) struct Lease {
    api: Api<Object>,
    node: String,
    uid: Option<String>,
    made: bool,
}

impl Lease {
    pub(super) fn new(client: Client, node: &str, uid: Option<String>) -> Self {
        Self { api: Api::namespaced(client, NAMESPACE), node: node.to_owned(), uid, made: false }
    }

    /// Renews it, or makes it when there is none.
    pub(super) async fn renew(&mut self) {
        let now = Timestamp::now();
        let result = if self.made { self.extend(now).await } else { self.make(now).await };
        match result {
            Ok(()) => self.made = true,
            Err(error) => {
                self.made = false;
                tracing::warn!(node = self.node, %error, "the node's lease could not be renewed");
            }
        }
    }

    async fn extend(&self, now: Timestamp) -> kube::Result<()> {
        let patch = json!({"spec": {"renewTime": MicroTime(now), "holderIdentity": self.node}});
        self.api.patch(&self.node, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
    }

    async fn make(&self, now: Timestamp) -> kube::Result<()> {
        let owner = self.uid.clone().map(|uid| OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: self.node.clone(),
            uid,
            ..OwnerReference::default()
        });
        let lease = Object {
            metadata: ObjectMeta {
                name: Some(self.node.clone()),
                namespace: Some(NAMESPACE.to_owned()),
                owner_references: owner.map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.node.clone()),
                lease_duration_seconds: Some(SECONDS),
                renew_time: Some(MicroTime(now)),
                ..LeaseSpec::default()
            }),
        };
        match self.api.create(&PostParams::default(), &lease).await {
            Err(kube::Error::Api(status)) if status.code == 409 => self.extend(now).await,
            other => other.map(drop),
        }
    }
}
