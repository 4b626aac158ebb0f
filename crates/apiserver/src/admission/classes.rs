//! What classes give: a PriorityClass its pods their priority, a RuntimeClass theirs overhead and a
//! place, and the default IngressClass itself to Ingresses that name none.

use serde_json::{Map, Value, json};
use skiff_api::{
    meta,
    status::{Qualified, Status},
};

use crate::{
    kind::{self, decode},
    state::State,
};

const PODS: Qualified<'static> = Qualified::new("", "pods");

/// The PriorityClass that the pod names, or the default one, if there is any.
pub(super) fn priority(state: &State, pod: &Value) -> Result<Option<Value>, Status> {
    let name = pod["spec"]["priorityClassName"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Ok(default_priority(state));
    }
    let class = state.object("scheduling.k8s.io", "priorityclasses", "", name);
    let refuse = || Status::forbidden(PODS, meta::name(pod), &format!("no PriorityClass with name {name} was found"));
    class.map(Some).ok_or_else(refuse)
}

/// The classes of that kind which `chosen` is true for.
fn classes(state: &State, group: &str, plural: &str, chosen: impl Fn(&Value) -> bool) -> Vec<Value> {
    let Some(kind) = kind::of(group, plural) else { return Vec::new() };
    let snapshot = state.store.snapshot();
    let prefix = kind.prefix_in("");
    snapshot.range(&prefix, None).filter_map(|entry| decode(entry).ok()).filter(chosen).collect()
}

fn is_default(class: &Value) -> bool {
    class["globalDefault"] == true
}

/// Of several default classes, the lowest counts.
fn default_priority(state: &State) -> Option<Value> {
    let defaults = classes(state, "scheduling.k8s.io", "priorityclasses", is_default);
    defaults.into_iter().min_by_key(|class| class["value"].as_i64())
}

/// There is one default PriorityClass at most.
pub(super) fn one_default(state: &State, class: &Value) -> Result<(), Status> {
    let name = meta::name(class);
    let others = |other: &Value| is_default(other) && meta::name(other) != name;
    let other = classes(state, "scheduling.k8s.io", "priorityclasses", others).into_iter().next();
    let Some(other) = other.filter(|_| is_default(class)) else { return Ok(()) };
    let other = meta::name(&other);
    let why = format!("PriorityClass {other} is already marked as default. Only one default can exist");
    Err(Status::forbidden(Qualified::new("scheduling.k8s.io", "priorityclasses"), name, &why))
}

/// An Ingress that names no class gets the default one; of several, the newest.
pub(super) fn ingress(state: &State, ingress: &mut Value) {
    let named = !ingress["spec"]["ingressClassName"].is_null()
        || meta::annotation(ingress, "kubernetes.io/ingress.class").is_some();
    if named || !ingress["spec"].is_object() {
        return;
    }
    let marked = |class: &Value| meta::annotation(class, "ingressclass.kubernetes.io/is-default-class") == Some("true");
    let defaults = classes(state, "networking.k8s.io", "ingressclasses", marked);
    let newest = defaults.iter().max_by_key(|class| meta::creation_timestamp(class));
    if let Some(class) = newest {
        ingress["spec"]["ingressClassName"] = json!(meta::name(class));
    }
}

/// The pod's priority is that of its class.
pub(super) fn set_priority(pod: &mut Value, class: Option<&Value>) -> Result<(), Status> {
    let priority = class.and_then(|class| class["value"].as_i64()).unwrap_or_default();
    if pod["spec"]["priority"].as_i64().is_some_and(|given| given != priority) {
        let why = format!(
            "the integer value of priority ({}) must not be provided in pod spec; priority admission controller \
             computed {priority} from the given PriorityClass name",
            pod["spec"]["priority"]
        );
        return Err(Status::forbidden(PODS, meta::name(pod), &why));
    }
    let policy = class.and_then(|class| class["preemptionPolicy"].as_str()).unwrap_or("PreemptLowerPriority");
    if pod["spec"]["preemptionPolicy"].as_str().is_some_and(|given| given != policy) {
        let why = format!(
            "the string value of PreemptionPolicy ({}) must not be provided in pod spec; priority admission controller \
             computed {policy} from the given PriorityClass name",
            pod["spec"]["preemptionPolicy"].as_str().unwrap_or_default()
        );
        return Err(Status::forbidden(PODS, meta::name(pod), &why));
    }
    if let Some(name) = class.map(meta::name) {
        pod["spec"]["priorityClassName"] = json!(name);
    }
    pod["spec"]["priority"] = json!(priority);
    pod["spec"]["preemptionPolicy"] = json!(policy);
    Ok(())
}

/// The RuntimeClass that the pod names.
pub(super) fn runtime(state: &State, pod: &Value) -> Result<Option<Value>, Status> {
    let name = pod["spec"]["runtimeClassName"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Ok(None);
    }
    let class = state.object("node.k8s.io", "runtimeclasses", "", name);
    let refuse = || rejected(pod, &format!("RuntimeClass {name:?} not found"));
    class.map(Some).ok_or_else(refuse)
}

fn rejected(pod: &Value, why: &str) -> Status {
    Status::forbidden(PODS, meta::name(pod), &format!("pod rejected: {why}"))
}

/// The pod's overhead is that of its class, and it goes where its class goes.
pub(super) fn set_runtime(pod: &mut Value, class: Option<&Value>) -> Result<(), Status> {
    let given = pod["spec"]["overhead"].as_object().filter(|given| !given.is_empty());
    let overhead = class.and_then(|class| class["overhead"]["podFixed"].as_object());
    match (given, overhead) {
        (Some(_), None) => {
            return Err(rejected(pod, "Pod Overhead set without corresponding RuntimeClass defined Overhead"));
        }
        (Some(given), Some(overhead)) if given != overhead => {
            return Err(rejected(pod, "Pod's Overhead doesn't match RuntimeClass's defined Overhead"));
        }
        (None, Some(overhead)) => pod["spec"]["overhead"] = json!(overhead),
        _ => {}
    }
    let Some(scheduling) = class.map(|class| &class["scheduling"]) else { return Ok(()) };
    select(pod, scheduling)?;
    let ours = pod["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
    let theirs = scheduling["tolerations"].as_array().into_iter().flatten();
    let new: Vec<Value> = theirs.filter(|one| !ours.contains(one)).cloned().collect();
    if !new.is_empty() {
        pod["spec"]["tolerations"] = ours.into_iter().chain(new).collect();
    }
    Ok(())
}

fn select(pod: &mut Value, scheduling: &Value) -> Result<(), Status> {
    let Some(wanted) = scheduling["nodeSelector"].as_object().filter(|wanted| !wanted.is_empty()) else {
        return Ok(());
    };
    let mut selector: Map<String, Value> = pod["spec"]["nodeSelector"].as_object().cloned().unwrap_or_default();
    for (key, value) in wanted {
        if let Some(own) = selector.get(key).filter(|own| *own != value) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let why = format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {}; pod.spec.nodeSelector[{key}] = {}",
                text(value),
                text(own)
            );
            return Err(rejected(pod, &why));
        }
        selector.insert(key.clone(), value.clone());
    }
    pod["spec"]["nodeSelector"] = Value::Object(selector);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_class_decides() {
        let class = json!({"metadata": {"name": "high"}, "value": 7, "preemptionPolicy": "Never"});
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {}});
        set_priority(&mut pod, Some(&class)).unwrap();
        assert_eq!(pod["spec"], json!({"priority": 7, "preemptionPolicy": "Never", "priorityClassName": "high"}));
        pod["spec"]["priority"] = json!(8);
        assert!(set_priority(&mut pod, Some(&class)).unwrap_err().message.contains("computed 7 from"));
    }

    #[test]
    fn a_runtime_class_gives_overhead_and_place() {
        let class = json!({"overhead": {"podFixed": {"cpu": "10m"}},
            "scheduling": {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Exists"}]}});
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {}});
        set_runtime(&mut pod, Some(&class)).unwrap();
        assert_eq!(pod["spec"]["overhead"], json!({"cpu": "10m"}));
        assert_eq!(pod["spec"]["nodeSelector"], json!({"a": "b"}));
        assert_eq!(pod["spec"]["tolerations"], json!([{"key": "k", "operator": "Exists"}]));
        let mut other = json!({"metadata": {"name": "p"}, "spec": {"nodeSelector": {"a": "c"}}});
        assert!(set_runtime(&mut other, Some(&class)).unwrap_err().message.contains("conflict: "));
        let mut bare = json!({"metadata": {"name": "p"}, "spec": {"overhead": {"cpu": "1"}}});
        assert!(set_runtime(&mut bare, None).is_err());
    }
}
