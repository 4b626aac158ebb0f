//! Who owns what: owner references made, orphans adopted, strangers released.
//!
//! As in Kubernetes, an object whose labels match and that has no controller is adopted, and an owned
//! object whose labels no longer match is released.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use skiff_client::Watched;

use crate::{
    context::controller_of,
    error::{During as _, Error, gone_is_fine},
};

/// Matches labels against a selector; a selector that cannot be read matches nothing.
pub(crate) fn matches(selector: &LabelSelector, labels: &std::collections::BTreeMap<String, String>) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    equal
        && selector.match_expressions.iter().flatten().all(|rule| {
            let value = labels.get(&rule.key);
            let listed = value.is_some_and(|value| rule.values.iter().flatten().any(|one| one == value));
            match rule.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// The reference that makes `owner` the controller of another object.
pub(crate) fn reference<K: Watched>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.name_any(),
        uid: owner.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// What an owner has to do about one object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Owned and matching.
    Mine,
    /// Matching, without a controller.
    Adopt,
    /// Owned, but it matches no more.
    Release,
    /// None of our business.
    Not,
}

/// Decides about `object` for the owner of that `uid` and `selector`; `dying` owners adopt nothing.
pub(crate) fn claim<K: Watched>(object: &K, uid: &str, selector: &LabelSelector, dying: bool) -> Claim {
    let fits = matches(selector, object.labels());
    match controller_of(object) {
        Some(owner) if owner.uid != uid => Claim::Not,
        Some(_) if fits => Claim::Mine,
        Some(_) if dying => Claim::Not,
        Some(_) => Claim::Release,
        None if fits && !dying && object.meta().deletion_timestamp.is_none() => Claim::Adopt,
        None => Claim::Not,
    }
}

/// Makes `owner` the controller of `object`, if it is still the object that was seen.
pub(crate) async fn adopt<K: Watched + DeserializeOwned>(
    api: &Api<K>,
    object: &K,
    owner: OwnerReference,
) -> Result<(), Error> {
    let mut owners = object.owner_references().to_vec();
    owners.push(owner);
    set_owners(api, object, &owners).await
}

/// Takes the owner of that `uid` away from `object`.
pub(crate) async fn release<K: Watched + DeserializeOwned>(api: &Api<K>, object: &K, uid: &str) -> Result<(), Error> {
    let owners: Vec<_> = object.owner_references().iter().filter(|owner| owner.uid != uid).cloned().collect();
    set_owners(api, object, &owners).await
}

async fn set_owners<K: Watched + DeserializeOwned>(
    api: &Api<K>,
    object: &K,
    owners: &[OwnerReference],
) -> Result<(), Error> {
    let name = object.name_any();
    let patch = serde_json::json!({ "metadata": { "uid": object.uid(), "ownerReferences": owners } });
    let done = api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
    gone_is_fine(done).during(|| format!("set the owners of {name}"))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;

    fn pod(labels: serde_json::Value, owner: Option<&str>) -> Pod {
        let owners: Vec<_> = owner
            .into_iter()
            .map(|uid| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": uid, "controller": true}))
            .collect();
        serde_json::from_value(json!({"metadata": {"name": "p", "labels": labels, "ownerReferences": owners}})).unwrap()
    }

    #[test]
    fn matching_orphans_are_adopted_and_strangers_released() {
        let selector: LabelSelector = serde_json::from_value(json!({"matchLabels": {"app": "a"}})).unwrap();
        let decide = |labels, owner, dying| claim(&pod(labels, owner), "u1", &selector, dying);
        assert_eq!(decide(json!({"app": "a"}), Some("u1"), false), Claim::Mine);
        assert_eq!(decide(json!({"app": "a"}), None, false), Claim::Adopt);
        assert_eq!(decide(json!({"app": "a"}), None, true), Claim::Not);
        assert_eq!(decide(json!({"app": "b"}), Some("u1"), false), Claim::Release);
        assert_eq!(decide(json!({"app": "a"}), Some("u2"), false), Claim::Not);
        assert_eq!(decide(json!({"app": "b"}), None, false), Claim::Not);
    }

    #[test]
    fn expressions_follow_kubernetes() {
        let labels = [("tier".to_owned(), "web".to_owned())].into();
        let with = |operator: &str, key: &str, values: &[&str]| -> LabelSelector {
            serde_json::from_value(json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}))
                .unwrap()
        };
        assert!(matches(&with("In", "tier", &["web", "db"]), &labels));
        assert!(!matches(&with("NotIn", "tier", &["web"]), &labels));
        assert!(matches(&with("NotIn", "absent", &["web"]), &labels), "NotIn holds for an absent key");
        assert!(matches(&with("Exists", "tier", &[]), &labels));
        assert!(matches(&with("DoesNotExist", "absent", &[]), &labels));
        assert!(!matches(&with("Sideways", "tier", &[]), &labels));
    }
}
