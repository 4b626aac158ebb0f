//! What a delete does to an object: it goes at once, it is marked and waits for its finalizers or its
//! grace, or nothing changes. Pure: the clock is an argument.

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use skiff_api::{custom::definition, meta, time};

use crate::{custom, kind::Kind};

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// What the client wants.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    pub(super) grace: Option<i64>,
    pub(super) propagation: Option<Propagation>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decision {
    /// It goes; this is how it was in the end.
    Gone(Value),
    /// It stays in this new version.
    Marked(Value),
    /// It stays as it is.
    Unchanged,
}

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
const DEFAULT_GRACE: i64 = 30;

/// Whether deleting objects of the kind takes its time.
pub(super) fn is_graceful(kind: &Kind) -> bool {
    kind.is("", "pods")
}

fn is_namespace(kind: &Kind) -> bool {
    kind.is("", "namespaces")
}

/// Decides about a delete.
pub(super) fn decide(kind: &Kind, old: &Value, wish: &Wish, now: Timestamp) -> Decision {
    let mut new = old.clone();
    if is_namespace(kind) && meta::deletion_timestamp(old).is_none() {
        new["status"]["phase"] = json!("Terminating");
    }
    if custom::is_definition(kind) && meta::deletion_timestamp(old).is_none() {
        end_definition(&mut new, now);
    }
    set_finalizers(&mut new, wish.propagation.or_else(|| usual(kind, old)));
    if is_graceful(kind) {
        shorten(&mut new, wish, now);
    } else if meta::deletion_timestamp(&new).is_none() {
        mark(&mut new, now, 0);
    }
    if is_over(kind, &new) {
        Decision::Gone(new)
    } else if new == *old {
        Decision::Unchanged
    } else {
        Decision::Marked(new)
    }
}

/// A definition stays until its objects are gone.
fn end_definition(object: &mut Value, now: Timestamp) {
    let mut finalizers: Vec<String> = meta::finalizers(object).map(str::to_owned).collect();
    if !finalizers.iter().any(|one| one == definition::CLEANUP) {
        finalizers.push(definition::CLEANUP.to_owned());
    }
    meta::set(object, "finalizers", finalizers);
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    definition::set_condition(object, "Terminating", true, "InstanceDeletionPending", message, now);
}

/// Whether deleting the last reference to an object is not all there is to do.
pub(super) fn lingers(kind: &Kind) -> bool {
    is_namespace(kind) || custom::is_definition(kind)
}

/// Whether nothing keeps a deleted object any more.
pub(crate) fn is_over(kind: &Kind, object: &Value) -> bool {
    meta::deletion_timestamp(object).is_some()
        && meta::finalizers(object).next().is_none()
        && object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && !(is_namespace(kind) && object["spec"]["finalizers"].as_array().is_some_and(|list| !list.is_empty()))
}

/// What becomes of dependents if the client does not say.
fn usual(kind: &Kind, object: &Value) -> Option<Propagation> {
    let said = meta::finalizers(object).any(|own| [ORPHAN, FOREGROUND].contains(&own));
    (kind.resource.keeps_dependents() && !said).then_some(Propagation::Orphan)
}

/// The finalizers that say what becomes of dependents are those of the latest wish.
fn set_finalizers(object: &mut Value, wish: Option<Propagation>) {
    let Some(wish) = wish else { return };
    let kept = meta::finalizers(object).filter(|own| ![ORPHAN, FOREGROUND].contains(own));
    let own = match wish {
        Propagation::Background => None,
        Propagation::Foreground => Some(FOREGROUND),
        Propagation::Orphan => Some(ORPHAN),
    };
    let finalizers: Vec<String> = kept.chain(own).map(str::to_owned).collect();
    if finalizers.is_empty() {
        meta::unset(object, "finalizers");
    } else {
        meta::set(object, "finalizers", finalizers);
    }
}

/// Starts a pod's grace period, or makes the one that runs shorter.
fn shorten(pod: &mut Value, wish: &Wish, now: Timestamp) {
    let asked = wish.grace.map(|grace| if grace < 0 { 1 } else { grace });
    let Some(until) = meta::deletion_timestamp(pod).map(str::to_owned) else {
        let own = pod["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(DEFAULT_GRACE);
        let grace = if needs_no_grace(pod) { 0 } else { asked.unwrap_or(own).max(0) };
        return mark(pod, now, grace);
    };
    let running = pod["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    let (Some(asked), Some(until)) = (asked.filter(|asked| *asked < running), time::parse(&until)) else { return };
    let until = until.checked_sub((running - asked).seconds()).unwrap_or(now);
    meta::set(pod, "deletionTimestamp", time::format(until));
    meta::set(pod, "deletionGracePeriodSeconds", asked);
}

/// Nobody runs the pod: nobody has to stop it.
fn needs_no_grace(pod: &Value) -> bool {
    pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty)
        || matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn mark(object: &mut Value, now: Timestamp, grace: i64) {
    let at = now.checked_add(grace.seconds()).unwrap_or(now);
    meta::set(object, "deletionTimestamp", time::format(at));
    meta::set(object, "deletionGracePeriodSeconds", grace);
    let generation = meta::generation(object);
    if generation > 0 {
        meta::set(object, "generation", generation + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn pod(node: &str) -> Value {
        json!({"metadata": {"name": "p", "generation": 1},
            "spec": {"nodeName": node, "terminationGracePeriodSeconds": 20}, "status": {"phase": "Running"}})
    }

    fn delete(plural: &str, object: &Value, wish: &Wish) -> Decision {
        decide(kind::of("", plural).unwrap(), object, wish, now())
    }

    #[test]
    fn a_running_pod_gets_its_grace_and_it_only_shrinks() {
        let Decision::Marked(marked) = delete("pods", &pod("n"), &Wish::default()) else { panic!() };
        assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-01-01T00:00:20Z");
        assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 20);
        assert_eq!(marked["metadata"]["generation"], 2);
        assert_eq!(delete("pods", &marked, &Wish::default()), Decision::Unchanged);
        let wish = |grace| Wish { grace: Some(grace), ..Wish::default() };
        assert_eq!(delete("pods", &marked, &wish(30)), Decision::Unchanged);
        let Decision::Marked(shorter) = delete("pods", &marked, &wish(5)) else { panic!() };
        assert_eq!(shorter["metadata"]["deletionTimestamp"], "2026-01-01T00:00:05Z");
        assert!(matches!(delete("pods", &marked, &wish(0)), Decision::Gone(_)));
    }

    #[test]
    fn pods_that_run_nowhere_go_at_once() {
        assert!(matches!(delete("pods", &pod(""), &Wish::default()), Decision::Gone(_)));
        let mut done = pod("n");
        done["status"]["phase"] = json!("Succeeded");
        assert!(matches!(delete("pods", &done, &Wish::default()), Decision::Gone(_)));
    }

    #[test]
    fn finalizers_keep_an_object_until_they_go() {
        let plain = json!({"metadata": {"name": "c"}});
        assert!(matches!(delete("configmaps", &plain, &Wish::default()), Decision::Gone(_)));
        let wish = Wish { propagation: Some(Propagation::Foreground), ..Wish::default() };
        let Decision::Marked(marked) = delete("configmaps", &plain, &wish) else { panic!() };
        assert_eq!(marked["metadata"]["finalizers"], json!(["foregroundDeletion"]));
        let wish = Wish { propagation: Some(Propagation::Orphan), ..Wish::default() };
        let Decision::Marked(marked) = delete("configmaps", &marked, &wish) else { panic!() };
        assert_eq!(marked["metadata"]["finalizers"], json!(["orphan"]));
        assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-01-01T00:00:00Z");
    }

    #[test]
    fn a_namespace_terminates_until_it_is_finalized() {
        let namespace = json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}, "status": {}});
        let Decision::Marked(marked) = delete("namespaces", &namespace, &Wish::default()) else { panic!() };
        assert_eq!(marked["status"]["phase"], "Terminating");
        assert_eq!(delete("namespaces", &marked, &Wish::default()), Decision::Unchanged);
        let mut finalized = marked.clone();
        finalized["spec"]["finalizers"] = json!([]);
        assert!(is_over(kind::of("", "namespaces").unwrap(), &finalized));
    }
}
