//! UDP clients are not stuck with an endpoint that is gone.

use std::net::{Ipv4Addr, UdpSocket};

use k8s_openapi::api::core::v1::Service;
use serde_json::json;
use skiff_proxy::sweep;

use crate::{
    fixture::{CLUSTER_IP, applied, endpoints, service, slice},
    lab::{LIMIT, NODE_IP, Pod, on_node},
};

fn names() -> Service {
    let ports = json!([{"port": 53, "targetPort": 8080, "protocol": "UDP", "nodePort": 30053}]);
    service("names", json!({"type": "NodePort", "ports": ports}))
}

fn ask(socket: &UdpSocket) -> Ipv4Addr {
    let mut buffer = [0; 32];
    socket.send(b"?").unwrap();
    let length = socket.recv(&mut buffer).unwrap();
    std::str::from_utf8(&buffer[..length]).unwrap().parse().unwrap()
}

fn client(pod: &Pod, to: (Ipv4Addr, u16)) -> UdpSocket {
    let socket = pod.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

#[test]
fn a_client_that_keeps_asking_gets_the_new_endpoint() {
    on_node(|node| {
        let (old, new, pod) = (node.pod(), node.pod(), node.pod());
        old.serve_udp();
        new.serve_udp();
        let at = |pod: &Pod| format!("{}@here", pod.ip);
        let round = node.take([applied(names()), endpoints(slice("names", "UDP", 8080, &[&at(&old)]))]);
        assert_eq!(sweep(&round.answering).unwrap(), 0);
        let by_service = client(&pod, (CLUSTER_IP, 53));
        let by_node = client(&pod, (NODE_IP, 30053));
        let direct = client(&pod, (old.ip, 8080));
        assert_eq!((ask(&by_service), ask(&by_node), ask(&direct)), (old.ip, old.ip, old.ip));
        let round = node.take([endpoints(slice("names", "UDP", 8080, &[&at(&new)]))]);
        // Known to the kernel as before: stuck, until they are swept. Nobody else is.
        assert_eq!(ask(&by_service), old.ip);
        assert_eq!(sweep(&round.answering).unwrap(), 2);
        assert_eq!((ask(&by_service), ask(&by_node), ask(&direct)), (new.ip, new.ip, old.ip));
        // More endpoints: nobody is disturbed.
        let round = node.take([endpoints(slice("names", "UDP", 8080, &[&at(&new), &at(&old)]))]);
        assert!(round.answering.is_empty());
        assert_eq!(ask(&by_service), new.ip);
    });
}
