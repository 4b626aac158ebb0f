//! Carries a decision out: binds the pod, or says why it waits.

use k8s_openapi::{
    api::core::v1::{Binding, ObjectReference, Pod},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    jiff::Timestamp,
};
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    Key, SCHEDULER, Scheduler,
    error::Error,
    plan::{self, Decision},
};

impl Scheduler {
    /// Places the pod of that key, if it still waits for a node.
    pub(crate) async fn schedule(&self, key: &Key) -> Result<(), Error> {
        let Some(pod) = self.pods.get(&key.0, &key.1).filter(|pod| plan::is_ours(pod)) else { return Ok(()) };
        let decision = {
            let mut index = self.lock();
            let decision = plan::decide(&pod, &index.places());
            match &decision {
                Decision::Bind(node) => index.place(key.clone(), &pod, node.clone()),
                Decision::Unschedulable(_) => index.wait(key.clone()),
            }
            decision
        };
        match decision {
            Decision::Bind(node) => self.bind(key, &pod, node).await,
            Decision::Unschedulable(message) => self.refuse(key, &pod, message).await,
        }
    }

    async fn bind(&self, key: &Key, pod: &Pod, node: String) -> Result<(), Error> {
        let binding = Binding {
            metadata: ObjectMeta {
                name: Some(key.1.clone()),
                namespace: Some(key.0.clone()),
                uid: pod.uid(),
                ..ObjectMeta::default()
            },
            target: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Node".to_owned()),
                name: Some(node.clone()),
                ..ObjectReference::default()
            },
        };
        let api: Api<Pod> = Api::namespaced(self.informers.client().clone(), &key.0);
        match api.create_subresource::<_, Value>("binding", &key.1, &PostParams::default(), &binding).await {
            Ok(_) => {
                let message = format!("Successfully assigned {}/{} to {node}", key.0, key.1);
                self.events.normal(&pod.object_ref(&()), "Scheduled", message);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {
                // Gone, or bound by somebody else: the watch will tell.
                drop(self.lock().remove_pod(key));
                Ok(())
            }
            Err(source) => {
                drop(self.lock().remove_pod(key));
                Err(Error::Bind { pod: format!("{}/{}", key.0, key.1), node, source: Box::new(source) })
            }
        }
    }

    async fn refuse(&self, key: &Key, pod: &Pod, message: String) -> Result<(), Error> {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let held = conditions.into_iter().find(|condition| condition.type_ == "PodScheduled");
        if held.is_some_and(|held| held.status == "False" && held.message.as_deref() == Some(&message)) {
            return Ok(());
        }
        self.events.warning(&pod.object_ref(&()), "FailedScheduling", message.clone());
        let since = held.filter(|held| held.status == "False").and_then(|held| held.last_transition_time.clone());
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastTransitionTime": since.unwrap_or(Time(Timestamp::now())),
        });
        let patch = json!({ "metadata": { "uid": pod.uid() }, "status": { "conditions": [condition] } });
        let api: Api<Pod> = Api::namespaced(self.informers.client().clone(), &key.0);
        let params = PatchParams { field_manager: Some(SCHEDULER.to_owned()), ..PatchParams::default() };
        match api.patch_status(&key.1, &params, &Patch::Strategic(patch)).await {
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(source) => Err(Error::Condition { pod: format!("{}/{}", key.0, key.1), source: Box::new(source) }),
            Ok(_) => Ok(()),
        }
    }
}
