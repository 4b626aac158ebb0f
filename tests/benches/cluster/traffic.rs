//! Keep-alive HTTP to a pod: straight, through its Service's ClusterIP, and through the port published on localhost.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    Figure,
    http::{Connection, json},
    inside::{PODS, SERVICES, is_ready, pod, until},
    median,
};

const CONNECTIONS: usize = 16;
const LASTING: Duration = Duration::from_millis(400);
const TURNS: usize = 9;
/// The port that is published; the pod listens on 8888.
const PUBLISHED: u16 = 8080;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Measures all three in turns; the figures are medians of the ratios within a turn.
pub(crate) fn measure(socket: &Path) -> Vec<Figure> {
    let mut client = Connection::open(socket);
    let mut watch = Connection::open(socket).watch(&format!("{PODS}?watch=true"));
    client.ok("POST", PODS, &pod("server"));
    let mut straight = String::new();
    until(&mut watch, |event| {
        let pod = &event["object"];
        straight = pod["status"]["podIP"].as_str().unwrap_or_default().to_owned();
        pod["metadata"]["name"] == "server" && is_ready(pod)
    });
    let body = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "bench"},
                 "ports": [{"port": PUBLISHED, "targetPort": 8888}]},
    });
    let made = json(&client.ok("POST", SERVICES, &body.to_string()));
    let cluster_ip = made["spec"]["clusterIP"].as_str().unwrap();
    let pod: SocketAddr = format!("{straight}:8888").parse().unwrap();
    let service: SocketAddr = format!("{cluster_ip}:{PUBLISHED}").parse().unwrap();
    let published = SocketAddr::from(([127, 0, 0, 1], PUBLISHED));
    [pod, service, published].into_iter().for_each(await_answer);
    let (mut by_service, mut by_localhost) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let alone = rate(pod);
        by_service.push(rate(service) / alone);
        by_localhost.push(rate(published) / alone);
    }
    client.ok("DELETE", &format!("{SERVICES}/server"), "");
    client.ok("DELETE", &format!("{PODS}/server?gracePeriodSeconds=0"), "");
    vec![
        Figure::at_least("keep-alive HTTP: ClusterIP / pod", 100.0 * median(by_service), "%", 97.0),
        Figure::at_least("keep-alive HTTP: localhost / pod", 100.0 * median(by_localhost), "%", 80.0),
    ]
}

fn await_answer(address: SocketAddr) {
    let started = Instant::now();
    let answers = || {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(500)).ok()?;
        stream.write_all(REQUEST).ok()?;
        stream.read_exact(&mut [0; 1]).ok()
    };
    while answers().is_none() {
        assert!(started.elapsed() < Duration::from_secs(5), "{address} never answered");
    }
}

/// Requests a second over some connections that stay.
fn rate(address: SocketAddr) -> f64 {
    let started = Instant::now();
    let done: usize = thread::scope(|scope| {
        let one = || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            // All answers are alike: the first says how long they are.
            let length = answer_length(&mut stream);
            let (mut answer, mut done) = (vec![0; length], 0);
            while started.elapsed() < LASTING {
                stream.write_all(REQUEST).unwrap();
                stream.read_exact(&mut answer).unwrap();
                done += 1;
            }
            done
        };
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    done as f64 / started.elapsed().as_secs_f64()
}

fn answer_length(stream: &mut TcpStream) -> usize {
    stream.write_all(REQUEST).unwrap();
    let mut answer = Vec::new();
    loop {
        let mut some = [0; 4096];
        let read = stream.read(&mut some).unwrap();
        assert!(read > 0, "the connection ended");
        answer.extend(&some[..read]);
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
        let whole = head.len() + 4 + length.trim().parse::<usize>().unwrap();
        if answer.len() == whole {
            return whole;
        }
    }
}
