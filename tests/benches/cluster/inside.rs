//! What is measured from inside the lab: pods, services, the API's rates.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Figure,
    http::{Connection, json},
    median,
};

pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const SERVICES: &str = "/api/v1/namespaces/default/services";
const CLIENTS: usize = 32;

/// Measures one thing after the other.
pub(crate) fn measure(socket: &Path) -> Vec<Figure> {
    let mut figures = pods(socket);
    figures.extend(crate::traffic::measure(socket));
    figures.extend(fifty(socket));
    figures.extend(services(socket));
    figures.push(namespace(socket));
    figures.extend(api(socket));
    figures.push(watchers(socket));
    figures
}

pub(crate) fn pod(name: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "bench"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "httpenv", "imagePullPolicy": "Never"}]},
    })
    .to_string()
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"))
}

/// Pod create to Ready, one at a time.
fn pods(socket: &Path) -> Vec<Figure> {
    let mut client = Connection::open(socket);
    let mut watch = Connection::open(socket).watch(&format!("{PODS}?watch=true"));
    let mut times = Vec::new();
    for number in 0..15 {
        let name = format!("one-{number}");
        let started = Instant::now();
        client.ok("POST", PODS, &pod(&name));
        until(&mut watch, |event| event["object"]["metadata"]["name"] == name.as_str() && is_ready(&event["object"]));
        times.push(started.elapsed().as_secs_f64() * 1e3);
        client.ok("DELETE", &format!("{PODS}/{name}?gracePeriodSeconds=0"), "");
    }
    vec![Figure::at_most("pod create -> Ready (median of 15)", median(times), "ms", 60.0)]
}

/// Reads a watch until an event fits.
pub(crate) fn until(watch: &mut Connection, mut fits: impl FnMut(&Value) -> bool) {
    let mut rest = Vec::new();
    loop {
        rest.extend(watch.events());
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if fits(&json(&line)) {
                return;
            }
        }
    }
}

/// A Deployment of 50 until all are Ready, and until all are gone.
fn fifty(socket: &Path) -> Vec<Figure> {
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let mut client = Connection::open(socket);
    let template: Value = serde_json::from_str(&pod("x")).unwrap();
    let body = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "fifty"},
        "spec": {"replicas": 50, "selector": {"matchLabels": {"app": "bench"}},
                 "template": {"metadata": {"labels": {"app": "bench"}}, "spec": template["spec"]}},
    });
    let mut watch = Connection::open(socket).watch(&format!("{deployments}?watch=true"));
    let started = Instant::now();
    client.ok("POST", deployments, &body.to_string());
    until(&mut watch, |event| event["object"]["status"]["readyReplicas"] == 50);
    let up = started.elapsed().as_secs_f64();
    let version = json(&client.ok("GET", PODS, ""))["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let mut watch = Connection::open(socket).watch(&format!("{PODS}?watch=true&resourceVersion={version}"));
    let started = Instant::now();
    client.ok("DELETE", &format!("{deployments}/fifty"), "");
    let mut gone = 0;
    until(&mut watch, |event| {
        gone += usize::from(event["type"] == "DELETED");
        gone == 50
    });
    let down = started.elapsed().as_secs_f64();
    vec![
        Figure::at_most("Deployment of 50 -> all Ready", up, "s", 2.0),
        Figure::at_most("50 deleted, grace 1 s", down, "s", 2.0),
    ]
}

/// Service create until its address answers: alone, and beside 10,000 others.
fn services(socket: &Path) -> Vec<Figure> {
    let mut client = Connection::open(socket);
    let mut watch = Connection::open(socket).watch(&format!("{PODS}?watch=true"));
    client.ok("POST", PODS, &pod("target"));
    until(&mut watch, |event| event["object"]["metadata"]["name"] == "target" && is_ready(&event["object"]));
    let alone = median((0..15).map(|number| service(&mut client, number)).collect());
    for number in 0..10_000 {
        client.ok("POST", SERVICES, &service_body(&format!("other-{number}"), "nobody"));
    }
    let beside = median((0..15).map(|number| service(&mut client, number)).collect());
    client.ok("DELETE", SERVICES, "");
    vec![
        Figure::at_most("Service create -> ClusterIP answers", alone, "ms", 10.0),
        Figure::at_most("the same beside 10,000 services", beside, "ms", 10.0),
    ]
}

fn service_body(name: &str, app: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": app}, "ports": [{"port": 8888}]},
    })
    .to_string()
}

fn service(client: &mut Connection, number: usize) -> f64 {
    let name = format!("timed-{number}");
    let started = Instant::now();
    let made = json(&client.ok("POST", SERVICES, &service_body(&name, "bench")));
    let address: SocketAddr = format!("{}:8888", made["spec"]["clusterIP"].as_str().unwrap()).parse().unwrap();
    while TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(5), "{address} never answered");
    }
    let took = started.elapsed().as_secs_f64() * 1e3;
    client.ok("DELETE", &format!("{SERVICES}/{name}"), "");
    took
}

/// A namespace with 100 objects until it is gone.
fn namespace(socket: &Path) -> Figure {
    const NAMESPACES: &str = "/api/v1/namespaces";
    let mut client = Connection::open(socket);
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "full"}});
    client.ok("POST", NAMESPACES, &body.to_string());
    for number in 0..100 {
        client.ok("POST", &format!("{NAMESPACES}/full/configmaps"), &map(&format!("one-{number}")));
    }
    let mut watch = Connection::open(socket).watch(&format!("{NAMESPACES}?watch=true"));
    let started = Instant::now();
    client.ok("DELETE", &format!("{NAMESPACES}/full"), "");
    until(&mut watch, |event| event["type"] == "DELETED" && event["object"]["metadata"]["name"] == "full");
    Figure::at_most("namespace with 100 objects deleted", started.elapsed().as_secs_f64(), "s", 0.3)
}

fn map(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": "x".repeat(256)}})
        .to_string()
}

/// Runs `work` from some clients until `count` requests are done; requests a second, and the median in ms.
fn rate(socket: &Path, clients: usize, count: usize, work: impl Fn(&mut Connection, usize) + Sync) -> (f64, f64) {
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let times: Vec<f64> = thread::scope(|scope| {
        let one = || {
            let mut client = Connection::open(socket);
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return times;
                }
                let begun = Instant::now();
                work(&mut client, number);
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        };
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(one)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    (count as f64 / started.elapsed().as_secs_f64(), median(times))
}

fn api(socket: &Path) -> Vec<Figure> {
    let create = |prefix: &'static str| {
        move |client: &mut Connection, number: usize| drop(client.ok("POST", MAPS, &map(&format!("{prefix}-{number}"))))
    };
    let (single, _) = rate(socket, 1, 1000, create("single"));
    let (many, median_many) = rate(socket, CLIENTS, 9000, create("many"));
    let (gets, _) = rate(socket, CLIENTS, 40_000, |client, number| {
        drop(client.ok("GET", &format!("{MAPS}/many-{}", number % 9000), ""));
    });
    let (puts, _) = rate(socket, CLIENTS, 9000, |client, number| {
        let name = format!("many-{number}");
        // Another value: an update that changes nothing is not written.
        drop(client.ok("PUT", &format!("{MAPS}/{name}"), &map(&name).replace("xxxx", "yyyy")));
    });
    let mut client = Connection::open(socket);
    let mut lists = Vec::new();
    for _ in 0..9 {
        let started = Instant::now();
        assert!(client.ok("GET", MAPS, "").len() > 4_000_000);
        lists.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let started = Instant::now();
    client.ok("DELETE", MAPS, "");
    let deleted = started.elapsed().as_secs_f64();
    vec![
        Figure::at_least("API create, 32 clients", many, "/s", 10_000.0),
        Figure::at_most("API create, 32 clients, p50", median_many, "ms", 3.0),
        Figure::at_least("API create, 1 client", single, "/s", 2000.0),
        Figure::at_least("API GET, 32 clients", gets, "/s", 40_000.0),
        Figure::at_least("API PUT, 32 clients", puts, "/s", 10_000.0),
        Figure::at_most("list 10,000 ConfigMaps", median(lists), "ms", 15.0),
        Figure::at_most("delete collection of 10,000", deleted, "s", 0.5),
    ]
}

/// 1,000 watchers see 100 objects come: events a second in all.
fn watchers(socket: &Path) -> Figure {
    const WATCHERS: usize = 1000;
    const OBJECTS: usize = 100;
    let mut client = Connection::open(socket);
    let list = json(&client.ok("GET", &format!("{MAPS}?limit=1"), ""));
    let path = format!("{MAPS}?watch=true&resourceVersion={}", list["metadata"]["resourceVersion"].as_str().unwrap());
    let watches: Vec<_> = (0..WATCHERS).map(|_| Connection::open(socket).watch(&path)).collect();
    let started = Instant::now();
    thread::scope(|scope| {
        for mut watch in watches {
            scope.spawn(move || {
                let mut seen = 0;
                while seen < OBJECTS {
                    seen += watch.events().iter().filter(|byte| **byte == b'\n').count();
                }
            });
        }
        for number in 0..OBJECTS {
            client.ok("POST", MAPS, &map(&format!("watched-{number}")));
        }
    });
    let events = (WATCHERS * OBJECTS) as f64 / started.elapsed().as_secs_f64();
    Figure::at_least("watch, 1,000 watchers x 100 objects", events, "/s", 200_000.0)
}
