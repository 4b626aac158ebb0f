//! The running component: from what the API tells to the kernel, and back when somebody meddles.

use std::{
    convert::Infallible,
    future::Future,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use serde_json::{Value, json};
use skiff_client::{Informers, kube::client::Body};
use skiff_linux::nft::{Data, Element, Kernel, Op, Tables as _};
use skiff_proxy::{Config, Handle, Programmed, exists, remove, start};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_stream::{StreamExt as _, wrappers::UnboundedReceiverStream};
use tokio_util::sync::CancellationToken;

use crate::{
    fixture::{CLUSTER_IP, service, settings, slice},
    lab::{Answer, LIMIT, Node, ask, on_bare_node},
};

type Reply = UnsyncBoxBody<Bytes, Infallible>;

/// One kind: empty at first, then what is sent.
#[derive(Clone)]
struct Kind {
    send: UnboundedSender<Value>,
    events: Arc<Mutex<Option<UnboundedReceiver<Value>>>>,
}

impl Kind {
    fn new() -> Self {
        let (send, events) = unbounded_channel();
        Self { send, events: Arc::new(Mutex::new(Some(events))) }
    }

    fn tell(&self, change: &str, object: &impl serde::Serialize) {
        let mut object = serde_json::to_value(object).unwrap();
        object["metadata"]["resourceVersion"] = json!("2");
        self.send.send(json!({"type": change, "object": object})).unwrap();
    }

    fn answer(&self, watch: bool) -> Reply {
        let list = json!({"metadata": {"resourceVersion": "1"}, "items": []});
        match self.events.lock().unwrap().take_if(|_| watch) {
            Some(events) => {
                let lines = UnboundedReceiverStream::new(events);
                let frames = lines.map(|event| Ok(http_body::Frame::data(Bytes::from(format!("{event}\n")))));
                StreamBody::new(frames).boxed_unsync()
            }
            None => Full::new(Bytes::from(list.to_string())).boxed_unsync(),
        }
    }
}

struct Running {
    services: Kind,
    slices: Kind,
    handle: Handle,
    stop: CancellationToken,
}

impl Running {
    fn start() -> Self {
        let (services, slices, stop) = (Kind::new(), Kind::new(), CancellationToken::new());
        let (of_services, of_slices) = (services.clone(), slices.clone());
        let api = tower::service_fn(move |request: Request<Body>| {
            let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            let kind = if request.uri().path().ends_with("/services") { &of_services } else { &of_slices };
            let reply = kind.answer(watch);
            async move { Ok::<_, Infallible>(Response::new(reply)) }
        });
        let informers = Informers::new(skiff_client::in_process(api, "default"), stop.clone());
        let config = Config { table: "skiff".to_owned(), settings: settings() };
        let handle = start(&informers, config, stop.clone()).unwrap();
        Self { services, slices, handle, stop }
    }

    async fn until(&self, wanted: impl FnMut(&Programmed) -> bool) -> Programmed {
        let mut programmed = self.handle.programmed();
        *tokio::time::timeout(LIMIT, programmed.wait_for(wanted)).await.unwrap().unwrap()
    }
}

/// Runs `test` on the thread of a node: what the component starts lives in its namespace.
fn on_running_node<F: Future<Output = ()>>(test: impl FnOnce(Node, Running) -> F + Send) {
    on_bare_node(|node| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { test(node, Running::start()).await });
    });
}

#[test]
fn what_the_api_tells_is_in_the_kernel_at_once() {
    on_running_node(|mut node, running| async move {
        let (pod, client) = (node.pod(), node.pod());
        pod.serve();
        running.until(|programmed| programmed.transactions == 1).await;
        let start = Instant::now();
        running.services.tell("ADDED", &service("web", json!({})));
        running.slices.tell("ADDED", &slice("web", "TCP", 8080, &[&format!("{}@here", pod.ip)]));
        running.until(|programmed| programmed.elements >= 3).await;
        eprintln!("told → programmed: {:?}", start.elapsed());
        assert_eq!(client.run(|| ask((CLUSTER_IP, 80))).pod(), pod.ip);
        let start = Instant::now();
        running.slices.tell("MODIFIED", &slice("web", "TCP", 8080, &[]));
        running.until(|programmed| programmed.elements == 0).await;
        let gone = start.elapsed();
        eprintln!("endpoint gone → rule gone: {gone:?}");
        assert!(gone < Duration::from_millis(200), "{gone:?}");
        assert_eq!(client.run(|| ask((CLUSTER_IP, 80))), Answer::Refused);
        running.stop.cancel();
        running.handle.finished().await.unwrap();
        // The rules stay when the server stops, and go when they are told to.
        assert!(exists("skiff").unwrap());
        remove("skiff").unwrap();
        remove("skiff").unwrap();
        assert!(!exists("skiff").unwrap());
    });
}

#[test]
fn somebody_elses_changes_are_undone_within_a_second() {
    on_running_node(|mut node, running| async move {
        let pod = node.pod();
        pod.serve();
        running.services.tell("ADDED", &service("web", json!({})));
        running.slices.tell("ADDED", &slice("web", "TCP", 8080, &[&format!("{}@here", pod.ip)]));
        running.until(|programmed| programmed.elements >= 3).await;
        let mut stranger = Kernel::open("skiff").unwrap();
        let rebuilds = running.handle.programmed().borrow().rebuilds;
        // The whole table is deleted; an element is added.
        let key = Data::new().ip(Ipv4Addr::new(10, 96, 9, 9)).ip(Ipv4Addr::new(10, 96, 9, 9));
        for (round, op) in (1..).zip([Op::DeleteTable, Op::Add("hairpin", vec![Element::key(key)])]) {
            let start = Instant::now();
            stranger.commit(&[op]).unwrap();
            running.until(|programmed| programmed.rebuilds == rebuilds + round).await;
            eprintln!("meddling → repaired: {:?}", start.elapsed());
            assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
            assert_eq!(ask((CLUSTER_IP, 80)).pod(), pod.ip);
        }
        // Another table is nobody's business here.
        let before = *running.handle.programmed().borrow();
        Kernel::open("other").unwrap().commit(&[Op::AddTable]).unwrap();
        running.slices.tell("MODIFIED", &slice("web", "TCP", 8080, &[]));
        let after = running.until(|programmed| programmed.elements == 0).await;
        assert_eq!(after.rebuilds, before.rebuilds);
        running.stop.cancel();
    });
}
