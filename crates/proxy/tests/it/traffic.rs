//! Real connections through real rules.

use std::{collections::BTreeSet, net::Ipv4Addr};

use serde_json::json;

use crate::{
    fixture::{CLUSTER_IP, applied, deleted, endpoints, service, slice},
    lab::{Answer, ask, on_node},
};

#[test]
fn a_cluster_ip_is_balanced_over_all_endpoints() {
    on_node(|node| {
        let pods = [node.pod(), node.pod(), node.pod()];
        pods.iter().for_each(|pod| pod.serve());
        let client = node.pod();
        let at: Vec<String> = pods.iter().map(|pod| format!("{}@here", pod.ip)).collect();
        let at: Vec<&str> = at.iter().map(String::as_str).collect();
        node.take([applied(service("web", json!({}))), endpoints(slice("web", "TCP", 8080, &at))]);
        let answers: Vec<Answer> = client.run(|| (0..60).map(|_| ask((CLUSTER_IP, 80))).collect());
        let reached: BTreeSet<Ipv4Addr> = answers.iter().map(Answer::pod).collect();
        assert_eq!(reached.len(), 3, "{answers:?}");
        // Between pods, addresses stay what they are.
        assert!(answers.iter().all(|answer| matches!(answer, Answer::From(_, seen) if *seen == client.ip)));
        // From the node itself as well.
        assert!(matches!(ask((CLUSTER_IP, 80)), Answer::From(..)));
        // One endpoint less, and nobody is sent there any more.
        node.take([endpoints(slice("web", "TCP", 8080, &at[1..]))]);
        let answers: Vec<Answer> = client.run(|| (0..40).map(|_| ask((CLUSTER_IP, 80))).collect());
        assert!(answers.iter().all(|answer| answer.pod() != pods[0].ip), "{answers:?}");
        // None left: refused at once; nothing there at all: the same.
        node.take([endpoints(slice("web", "TCP", 8080, &[]))]);
        assert_eq!(client.run(|| ask((CLUSTER_IP, 80))), Answer::Refused);
        assert_eq!(ask((CLUSTER_IP, 80)), Answer::Refused);
        node.take([deleted(service("web", json!({})))]);
        assert_eq!(client.run(|| ask((CLUSTER_IP, 80))), Answer::Refused);
        assert_eq!(client.run(|| ask((Ipv4Addr::new(10, 100, 1, 2), 443))), Answer::Refused);
    });
}
