//! One request per input, as it looks on the wire, to one API server that lives as long as the process:
//! a panic or a 500 is a find. `METHOD path`, headers, an empty line, and then the body.
#![no_main]

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::OnceLock,
    time::Duration,
};

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use libfuzzer_sys::fuzz_target;
use skiff_apiserver::{ApiServer, Config, InProcess, User};
use skiff_store::{Options, Store};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

struct Server {
    runtime: Runtime,
    service: InProcess,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        // The folder stays: the process ends by a signal.
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let service = runtime.block_on(async {
            let store = Store::open(folder.join("store"), Options::default()).expect("a store");
            let config = Config::with_pki_dir(&folder.join("pki"), IpAddr::V4(Ipv4Addr::LOCALHOST)).expect("keys");
            ApiServer::new(store, config).await.expect("a server").service_as(User::master("system:fuzz"))
        });
        Server { runtime, service }
    })
}

/// `None` for what no HTTP library would let through.
fn request(data: &[u8]) -> Option<Request<Body>> {
    let end = data.windows(2).position(|two| two == b"\n\n")?;
    let head = std::str::from_utf8(&data[..end]).ok()?;
    let mut lines = head.lines();
    let (method, path) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(path);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name.trim(), value.trim());
    }
    request.body(Body::from(data[end + 2..].to_vec())).ok()
}

fuzz_target!(|data: &[u8]| {
    let Some(request) = request(data) else { return };
    let server = server();
    server.runtime.block_on(async {
        let Ok(response) = server.service.clone().oneshot(request).await;
        assert!(response.status() != 500, "{response:?}");
        // A watch would stay for ever; what it has to say at once is enough.
        let _ = tokio::time::timeout(Duration::from_millis(20), response.into_body().collect()).await;
    });
});
