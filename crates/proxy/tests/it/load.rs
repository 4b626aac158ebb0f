//! Ten thousand services from nothing, and one change among them. The release figures are the benchmark's.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    fixture::{applied, endpoints, service, slice},
    lab::{Answer, ask, on_node},
};

#[test]
fn ten_thousand_services_load_at_once_and_change_alone() {
    on_node(|node| {
        for number in 0..10_000_u32 {
            let ip = format!("10.97.{}.{}", number / 250, 1 + number % 250);
            let name = format!("s{number}");
            let spec = json!({"clusterIP": ip, "clusterIPs": [ip]});
            node.programmer.take(applied(service(&name, spec)));
            let at = ["10.1.0.2@here", "10.1.0.3@here", "10.1.0.4@here"];
            node.programmer.take(endpoints(slice(&name, "TCP", 8080, &at)));
        }
        let start = Instant::now();
        node.programmer.round().unwrap();
        let all = start.elapsed();
        let pods = [node.pod(), node.pod(), node.pod()];
        pods.iter().for_each(|pod| pod.serve());
        let at = std::net::Ipv4Addr::new(10, 97, 39, 250);
        assert!(matches!(ask((at, 80)), Answer::From(..)));
        let start = Instant::now();
        node.take([endpoints(slice("s9999", "TCP", 8080, &["10.1.0.3@here"]))]);
        let one = start.elapsed();
        assert_eq!(ask((at, 80)).pod(), pods[1].ip);
        eprintln!("10,000 services: {all:?}; one change among them: {one:?}");
        // Generous: an unoptimised build on a shared machine.
        assert!(all < Duration::from_secs(10) && one < Duration::from_millis(200), "{all:?} {one:?}");
    });
}
