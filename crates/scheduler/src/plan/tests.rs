//! Decisions by example.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};

use super::*;
use crate::{filter::host_ports, index::Index};

fn node(name: &str, cpu: &str, spec: Value) -> Arc<Node> {
    Arc::new(
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "disk": "ssd", "cores": "4"}}, "spec": spec,
            "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "3"}}
        }))
        .unwrap(),
    )
}

fn pod(name: &str, cpu: &str, extra: Value) -> Pod {
    let mut spec = json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]});
    if let (Some(spec), Value::Object(extra)) = (spec.as_object_mut(), extra) {
        spec.extend(extra);
    }
    serde_json::from_value(json!({"metadata": {"name": name, "namespace": "d"}, "spec": spec})).unwrap()
}

fn index(nodes: &[Arc<Node>]) -> Index {
    let mut index = Index::default();
    nodes.iter().for_each(|node| drop(index.set_node(node)));
    index
}

fn refused(decision: Decision) -> String {
    match decision {
        Decision::Unschedulable(message) => message,
        Decision::Bind(node) => panic!("bound to {node}"),
    }
}

#[test]
fn the_emptier_node_wins_and_a_full_one_refuses() {
    let mut index = index(&[node("a", "1", json!({})), node("b", "1", json!({}))]);
    let first = pod("one", "600m", json!({}));
    assert_eq!(decide(&first, &index.places()), Decision::Bind("a".into()));
    index.place(("d".into(), "one".into()), &first, "a".into());
    assert_eq!(decide(&pod("two", "600m", json!({})), &index.places()), Decision::Bind("b".into()));
    index.place(("d".into(), "two".into()), &first, "b".into());
    let message = refused(decide(&pod("three", "600m", json!({})), &index.places()));
    assert_eq!(message, "0/2 nodes are available: 2 Insufficient cpu.");
}

#[test]
fn a_pod_that_ends_makes_room_and_wakes_those_that_wait() {
    let mut index = index(&[node("a", "1", json!({}))]);
    index.place(("d".into(), "one".into()), &pod("one", "1", json!({})), "a".into());
    index.wait(("d".into(), "two".into()));
    assert_eq!(index.remove_pod(&("d".into(), "one".into())), [("d".to_owned(), "two".to_owned())]);
    assert_eq!(decide(&pod("two", "1", json!({})), &index.places()), Decision::Bind("a".into()));
}

#[test]
fn every_reason_is_told_in_kubernetes_words() {
    let taint = json!({"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]});
    let nodes = [node("a", "1", json!({"unschedulable": true})), node("b", "1", taint), node("c", "1", json!({}))];
    let message = refused(decide(&pod("p", "0", json!({"nodeSelector": {"disk": "hdd"}})), &index(&nodes).places()));
    assert_eq!(
        message,
        "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, \
         1 node(s) had untolerated taint(s) {gpu: yes}, 1 node(s) were unschedulable."
    );
    assert_eq!(refused(decide(&pod("p", "0", json!({})), &[])), "no nodes available to schedule pods");
}

#[test]
fn tolerations_and_affinity_open_nodes() {
    let taint = json!({"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]});
    let places = index(&[node("b", "1", taint)]).places();
    let tolerant = json!({"tolerations": [{"key": "gpu", "operator": "Equal", "value": "yes"}]});
    assert_eq!(decide(&pod("p", "0", tolerant), &places), Decision::Bind("b".into()));
    let places = index(&[node("a", "1", json!({}))]).places();
    let affine = |operator: &str, value: &str| {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "cores", "operator": operator, "values": [value]}]}]}}}})
    };
    assert_eq!(decide(&pod("p", "0", affine("Gt", "3")), &places), Decision::Bind("a".into()));
    assert!(matches!(decide(&pod("p", "0", affine("Lt", "3")), &places), Decision::Unschedulable(_)));
}

#[test]
fn host_ports_are_had_once() {
    let mut index = index(&[node("a", "1", json!({}))]);
    let with_port =
        pod("p", "0", json!({"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 80}]}]}));
    assert_eq!(host_ports(&with_port).len(), 1);
    index.place(("d".into(), "p".into()), &with_port, "a".into());
    let message = refused(decide(&with_port, &index.places()));
    assert_eq!(message, "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.");
}

#[test]
fn the_number_of_pods_is_a_limit() {
    let mut index = index(&[node("a", "1", json!({}))]);
    for name in ["1", "2", "3"] {
        index.place(("d".into(), name.into()), &pod(name, "0", json!({})), "a".into());
    }
    assert_eq!(
        refused(decide(&pod("4", "0", json!({})), &index.places())),
        "0/1 nodes are available: 1 Too many pods."
    );
}
