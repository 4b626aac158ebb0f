//! The arithmetic of rollouts, by example and by simulation.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn deployment(replicas: i32, surge: serde_json::Value, unavailable: serde_json::Value) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "d"},
        "spec": {"replicas": replicas, "selector": {}, "template": {},
                 "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}
    }))
    .unwrap()
}

fn set(name: &str, size: i32, available: i32) -> ReplicaSet {
    serde_json::from_value(json!({
        "metadata": {"name": name, "annotations": {DESIRED: "10", MAXIMUM: "13"}},
        "spec": {"replicas": size, "selector": {}}, "status": {"replicas": size, "availableReplicas": available}
    }))
    .unwrap()
}

#[test]
fn surge_rounds_up_and_unavailable_down() {
    assert_eq!(limits(&deployment(10, json!("25%"), json!("25%"))), Limits { surge: 3, unavailable: 2 });
    assert_eq!(limits(&deployment(1, json!("25%"), json!("25%"))), Limits { surge: 1, unavailable: 0 });
    assert_eq!(limits(&deployment(10, json!(0), json!("1%"))), Limits { surge: 0, unavailable: 1 });
}

#[test]
fn the_first_step_uses_the_surge_the_second_frees_old_pods() {
    let asked = deployment(10, json!(3), json!(2));
    let up = roll(&asked, &set("new", 0, 0), &[set("old", 10, 10)]);
    assert_eq!(up, [Resize { name: "new".into(), from: 0, to: 3 }]);
    let down = roll(&asked, &set("new", 3, 0), &[set("old", 10, 10)]);
    assert_eq!(down, [Resize { name: "old".into(), from: 10, to: 8 }]);
}

#[test]
fn broken_old_pods_go_at_once() {
    let down = roll(&deployment(3, json!(1), json!(0)), &set("new", 1, 0), &[set("old", 3, 0)]);
    assert_eq!(down, [], "nothing above the floor may go while the new pod is not there");
    let down = roll(&deployment(4, json!(1), json!(2)), &set("new", 1, 0), &[set("old", 4, 1)]);
    assert_eq!(down, [Resize { name: "old".into(), from: 4, to: 2 }]);
}

#[test]
fn scaling_in_mid_rollout_is_shared() {
    let shared = share(&deployment(20, json!(6), json!(5)), Some(&set("new", 5, 3)), &[set("old", 8, 8)]);
    assert_eq!(shared.iter().map(|resize| resize.to).sum::<i32>(), 26);
}

#[test]
fn a_set_that_keeps_its_size_is_told_the_new_number() {
    let asked = deployment(2, json!("25%"), json!("25%"));
    let mut old = set("old", 1, 1);
    old.metadata.annotations =
        Some([(DESIRED.to_owned(), "1".to_owned()), (MAXIMUM.to_owned(), "2".to_owned())].into());
    let mut new = set("new", 2, 2);
    new.metadata.annotations =
        Some([(DESIRED.to_owned(), "2".to_owned()), (MAXIMUM.to_owned(), "3".to_owned())].into());
    assert!(is_scaling(&asked, &[&new, &old]));
    let shared = share(&asked, Some(&new), std::slice::from_ref(&old));
    assert_eq!(shared, [Resize { name: "old".into(), from: 1, to: 1 }], "or it would scale for ever");
}

#[test]
fn hashes_are_names() {
    let hash = template_hash(&json!({"a": 1}), 0);
    assert_eq!(hash.len(), 10);
    assert_ne!(hash, template_hash(&json!({"a": 1}), 1));
    assert_ne!(hash, template_hash(&json!({"a": 2}), 0));
}

proptest! {
    /// Whatever the limits, a rollout whose pods become available ends with the new set alone and
    /// never leaves the bounds on its way.
    #[test]
    fn a_rollout_ends_within_its_bounds(replicas in 1..40_i32, surge in 0..10_i32, unavailable in 0..10_i32) {
        let asked = deployment(replicas, json!(surge), json!(unavailable));
        let bounds = limits(&asked);
        let (mut new, mut old) = (set("new", 0, 0), set("old", replicas, replicas));
        for _ in 0..200 {
            for resize in roll(&asked, &new, std::slice::from_ref(&old)) {
                let target = if resize.name == "new" { &mut new } else { &mut old };
                let keeps = available(target).min(resize.to);
                *target = set(&resize.name, resize.to, keeps);
            }
            prop_assert!(size(&new) + size(&old) <= replicas + bounds.surge);
            prop_assert!(available(&new) + available(&old) >= replicas - bounds.unavailable);
            new = set("new", size(&new), size(&new));
        }
        prop_assert_eq!((size(&new), size(&old)), (replicas, 0));
    }
}
