//! What the kernel does with traffic from outside, to itself, and to nobody.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, UdpSocket},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    fixture::{CLUSTER_IP, applied, endpoints, service, slice},
    lab::{Answer, LIMIT, NODE_IP, ask, ask_within, on_node},
};

/// How long to wait for an answer that is not expected.
const SHORT: Duration = Duration::from_millis(600);

fn node_port(policy: &str) -> Value {
    json!({"type": "NodePort", "externalTrafficPolicy": policy,
           "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}]})
}

#[test]
fn node_ports_follow_the_external_policy() {
    on_node(|node| {
        let (pod, outsider) = (node.pod(), node.outsider());
        pod.serve();
        let here = format!("{}@here", pod.ip);
        node.take([applied(service("web", node_port("Cluster"))), endpoints(slice("web", "TCP", 8080, &[&here]))]);
        assert_eq!(outsider.run(|| ask((NODE_IP, 30080))), Answer::From(pod.ip, NODE_IP));
        assert_eq!(ask((NODE_IP, 30080)).pod(), pod.ip);
        assert_eq!(pod.run(|| ask((NODE_IP, 30080))).pod(), pod.ip);
        // Loopback is for listeners, and here is none.
        assert_eq!(ask((Ipv4Addr::LOCALHOST, 30080)), Answer::Refused);
        node.take([applied(service("web", node_port("Local")))]);
        assert_eq!(outsider.run(|| ask((NODE_IP, 30080))), Answer::From(pod.ip, outsider.ip));
        // The endpoint moves to another node: dropped. It goes: refused.
        let elsewhere = format!("{}@there", pod.ip);
        node.take([endpoints(slice("web", "TCP", 8080, &[&elsewhere]))]);
        assert_eq!(outsider.run(|| ask_within((NODE_IP, 30080), SHORT)), Answer::Silence);
        assert_eq!(ask((NODE_IP, 30080)).pod(), pod.ip);
        node.take([endpoints(slice("web", "TCP", 8080, &[]))]);
        assert_eq!(outsider.run(|| ask((NODE_IP, 30080))), Answer::Refused);
    });
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    on_node(|node| {
        let pod = node.pod();
        pod.serve();
        let here = format!("{}@here", pod.ip);
        node.take([applied(service("web", json!({}))), endpoints(slice("web", "TCP", 8080, &[&here]))]);
        assert_eq!(pod.run(|| ask((CLUSTER_IP, 80))), Answer::From(pod.ip, NODE_IP));
    });
}

#[test]
fn outsiders_and_pods_that_leave_come_from_the_node() {
    on_node(|node| {
        let (pod, other, outsider) = (node.pod(), node.pod(), node.outsider());
        pod.serve();
        outsider.serve();
        let here = format!("{}@here", pod.ip);
        node.take([applied(service("web", json!({}))), endpoints(slice("web", "TCP", 8080, &[&here]))]);
        assert_eq!(outsider.run(|| ask((CLUSTER_IP, 80))), Answer::From(pod.ip, NODE_IP));
        assert_eq!(pod.run(|| ask((outsider.ip, 8080))), Answer::From(outsider.ip, NODE_IP));
        assert_eq!(other.run(|| ask((pod.ip, 8080))), Answer::From(pod.ip, other.ip));
    });
}

#[test]
fn balancer_addresses_let_in_only_their_source_ranges() {
    on_node(|node| {
        let (pod, friend, stranger) = (node.pod(), node.outsider(), node.outsider());
        pod.serve();
        let here = format!("{}@here", pod.ip);
        let mut web =
            service("web", json!({"type": "LoadBalancer", "loadBalancerSourceRanges": [format!("{}/32", friend.ip)]}));
        let ingress = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.10", "ipMode": "VIP"}]}});
        web.status = serde_json::from_value(ingress).unwrap();
        node.take([applied(web), endpoints(slice("web", "TCP", 8080, &[&here]))]);
        let to = (Ipv4Addr::new(198, 51, 100, 10), 80);
        assert_eq!(friend.run(|| ask(to)).pod(), pod.ip);
        assert_eq!(stranger.run(|| ask_within(to, SHORT)), Answer::Silence);
        assert_eq!(stranger.run(|| ask((CLUSTER_IP, 80))).pod(), pod.ip);
    });
}

#[test]
fn datagrams_for_nobody_are_refused_at_once() {
    on_node(|node| {
        let pod = node.pod();
        node.take([applied(service("web", json!({})))]);
        let start = Instant::now();
        let error = pod.run(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket.connect((CLUSTER_IP, 53)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            // As clients of UDP do: the kernel may leave out an ICMP message when it is busy.
            loop {
                match socket.send(b"?").and_then(|_| socket.recv(&mut [0; 8])) {
                    Err(error) if error.kind() != ErrorKind::WouldBlock || start.elapsed() > LIMIT => return error,
                    _ => {}
                }
            }
        });
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn known_connections_outlive_their_service() {
    use std::io::{Read as _, Write as _};
    on_node(|node| {
        let (pod, client) = (node.pod(), node.pod());
        let listener = pod.run(|| std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap());
        let here = format!("{}@here", pod.ip);
        node.take([applied(service("web", json!({}))), endpoints(slice("web", "TCP", 8080, &[&here]))]);
        let mut near = client.run(|| std::net::TcpStream::connect((CLUSTER_IP, 80)).unwrap());
        let (mut far, _) = listener.accept().unwrap();
        node.take([endpoints(slice("web", "TCP", 8080, &[]))]);
        near.write_all(b"still").unwrap();
        far.set_read_timeout(Some(LIMIT)).unwrap();
        far.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(client.run(|| ask((CLUSTER_IP, 80))), Answer::Refused);
    });
}
