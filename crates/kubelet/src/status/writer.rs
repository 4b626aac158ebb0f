//! Writes a pod's status to the API: at once, one write at a time, the newest wins.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::conditions::PASSING;

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// The writer of one pod's status.
pub(crate) struct Writer {
    wanted: watch::Sender<(u64, Option<PodStatus>)>,
    written: watch::Receiver<u64>,
    _task: AbortOnDropHandle<()>,
}

impl Writer {
    /// A writer for `pod`, whose status in the API is what it holds.
    pub(crate) fn new(client: Client, pod: &Pod) -> Self {
        let (wanted, queue) = watch::channel((0, None));
        let (done, written) = watch::channel(0);
        let api = Api::namespaced(client, crate::pod::namespace(pod));
        let (name, uid) = (crate::pod::name(pod).to_owned(), crate::pod::uid(pod).to_owned());
        let task = tokio::spawn(write(api, name, uid, pod.status.clone(), queue, done));
        Self { wanted, written, _task: AbortOnDropHandle::new(task) }
    }

    /// Has `status` written, unless that is what was asked for last.
    pub(crate) fn want(&self, status: PodStatus) {
        self.wanted.send_if_modified(|(version, wanted)| {
            let changed = wanted.as_ref() != Some(&status);
            if changed {
                (*version, *wanted) = (*version + 1, Some(status));
            }
            changed
        });
    }

    /// What was asked for last.
    pub(crate) fn wanted(&self) -> Option<PodStatus> {
        self.wanted.borrow().1.clone()
    }

    /// Waits until what was asked for last is in the API, or the pod is not.
    pub(crate) fn flushed(&self) -> impl Future<Output = ()> + Send + 'static {
        let version = self.wanted.borrow().0;
        let mut written = self.written.clone();
        async move {
            // An error means that the writer ended: the pod is gone.
            let _ = written.wait_for(|written| *written >= version).await;
        }
    }
}

async fn write(
    api: Api<Pod>,
    name: String,
    uid: String,
    mut held: Option<PodStatus>,
    mut queue: watch::Receiver<(u64, Option<PodStatus>)>,
    done: watch::Sender<u64>,
) {
    let mut pause = FIRST_RETRY;
    while queue.changed().await.is_ok() {
        loop {
            let (version, wanted) = queue.borrow_and_update().clone();
            let Some(wanted) = wanted else { break };
            let patch = patch(held.as_ref(), &wanted, &uid);
            if let Some(patch) = patch {
                match api.patch_status(&name, &PatchParams::default(), &Patch::Strategic(patch)).await {
                    Ok(_) => {}
                    Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return,
                    Err(error) => {
                        tracing::debug!(pod = name, %error, "the status will be written again");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(LAST_RETRY);
                        continue;
                    }
                }
            }
            pause = FIRST_RETRY;
            held = Some(wanted);
            done.send_replace(version);
            break;
        }
    }
}

/// The strategic merge patch from `held` to `wanted`; `None` if they are the same. Members that are
/// gone are taken away; lists that would be merged by key are replaced where they changed.
fn patch(held: Option<&PodStatus>, wanted: &PodStatus, uid: &str) -> Option<Value> {
    let before = held.map(|status| serde_json::to_value(status).unwrap_or_default()).unwrap_or_default();
    let after = serde_json::to_value(wanted).unwrap_or_default();
    let mut status = serde_json::Map::new();
    for (key, value) in after.as_object().into_iter().flatten() {
        if before.get(key) == Some(value) {
            continue;
        }
        let value = match (key.as_str(), value) {
            ("podIPs" | "hostIPs", Value::Array(list)) if before.get(key).is_some() => {
                let replace = std::iter::once(json!({"$patch": "replace"}));
                Value::Array(replace.chain(list.iter().cloned()).collect())
            }
            ("conditions", Value::Array(list)) => Value::Array(changed_conditions(before.get(key), list)),
            _ => value.clone(),
        };
        status.insert(key.clone(), value);
    }
    for (key, _) in before.as_object().into_iter().flatten() {
        if OWNED.contains(&key.as_str()) && after.get(key).is_none() {
            status.insert(key.clone(), Value::Null);
        }
    }
    let unchanged = status.is_empty() || (status.len() == 1 && status.get("conditions") == Some(&json!([])));
    (!unchanged).then(|| json!({"metadata": {"uid": uid}, "status": status}))
}

/// Members that nobody but the kubelet writes.
const OWNED: [&str; 7] = [
    "podIP",
    "podIPs",
    "reason",
    "message",
    "initContainerStatuses",
    "containerStatuses",
    "ephemeralContainerStatuses",
];

/// The conditions that differ; a reason or message that is gone is taken away.
fn changed_conditions(before: Option<&Value>, after: &[Value]) -> Vec<Value> {
    let held = |type_: Option<&Value>| {
        before.and_then(Value::as_array)?.iter().find(|condition| condition.get("type") == type_)
    };
    let changed = after.iter().filter_map(|condition| {
        let had = held(condition.get("type"));
        if had == Some(condition) {
            return None;
        }
        let mut condition = condition.clone();
        for key in ["reason", "message"] {
            if condition.get(key).is_none() && had.is_some_and(|had| had.get(key).is_some()) {
                condition[key] = Value::Null;
            }
        }
        Some(condition)
    });
    let gone = |type_: &&&str| held(Some(&json!(type_))).is_some() && !after.iter().any(|one| one["type"] == **type_);
    let gone = PASSING.iter().filter(gone).map(|type_| json!({"$patch": "delete", "type": type_}));
    changed.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: Value) -> PodStatus {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_what_changed_is_sent() {
        let held = status(json!({"phase": "Pending", "podIPs": [{"ip": "10.1.0.1"}], "message": "old", "conditions": [
            {"type": "Ready", "status": "False", "reason": "ContainersNotReady"},
            {"type": "Initialized", "status": "True"}, {"type": "x/foreign", "status": "True"}]}));
        let wanted = status(json!({"phase": "Running", "podIPs": [{"ip": "10.1.0.2"}], "conditions": [
            {"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "True"}]}));
        let patch = patch(Some(&held), &wanted, "u").unwrap();
        let wanted = json!({"metadata": {"uid": "u"}, "status": {
            "phase": "Running", "message": null, "podIPs": [{"$patch": "replace"}, {"ip": "10.1.0.2"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": null}]}});
        assert_eq!(patch, wanted);
    }

    #[test]
    fn conditions_that_pass_are_taken_away() {
        let held = status(json!({"conditions": [{"type": "PodResizePending", "status": "True"}]}));
        let patch = patch(Some(&held), &status(json!({"conditions": []})), "u").unwrap();
        assert_eq!(patch["status"]["conditions"], json!([{"$patch": "delete", "type": "PodResizePending"}]));
    }

    #[test]
    fn nothing_is_sent_for_nothing() {
        let both = status(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}));
        assert_eq!(patch(Some(&both), &both, "u"), None);
        let with_foreign = status(json!({"phase": "Running", "conditions": [
            {"type": "x/foreign", "status": "True"}, {"type": "Ready", "status": "True"}]}));
        assert_eq!(patch(Some(&with_foreign), &both, "u"), None);
    }
}
