//! The whole path: objects change in an API, and answers change with them.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{Name, RecordType},
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use serde_json::{Value, json};
use skiff_client::{Informers, in_process, kube::client::Body};
use tokio::{net::UdpSocket, sync::broadcast, time::timeout};
use tokio_stream::{StreamExt as _, wrappers::BroadcastStream};
use tokio_util::sync::CancellationToken;

use super::objects::{endpoint, namespace, service, slice};
use crate::{Config, Upstreams, bind};

const PATIENCE: Duration = Duration::from_secs(20);

/// Lists one namespace and one service; watches follow `changes`, which are pairs of path and event.
fn api(
    changes: &broadcast::Sender<(&'static str, Value)>,
    request: &Request<Body>,
) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let path = request.uri().path().to_owned();
    if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
        let events = BroadcastStream::new(changes.subscribe()).filter_map(move |change| match change {
            Ok((of, event)) if of == path => Some(Ok(http_body::Frame::data(Bytes::from(format!("{event}\n"))))),
            _ => None,
        });
        return Response::new(StreamBody::new(events).boxed_unsync());
    }
    let items = match path.as_str() {
        "/api/v1/namespaces" => vec![json!(namespace("default"))],
        "/api/v1/services" => vec![json!(service("default", "web", "None", Some(("http", 80))))],
        _ => Vec::new(),
    };
    let list = json!({ "metadata": { "resourceVersion": "1" }, "items": items });
    Response::new(Full::new(Bytes::from(list.to_string())).boxed_unsync())
}

async fn ask(server: SocketAddr, socket: &UdpSocket) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii("web.default.svc.cluster.local.").unwrap(), RecordType::A));
    socket.send_to(&message.to_vec().unwrap(), server).await.unwrap();
    let mut buffer = [0; 512];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.unwrap().unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

#[tokio::test]
async fn answers_follow_the_api() {
    let changes = broadcast::channel(16).0;
    let sender = changes.clone();
    let client = in_process(
        tower::service_fn(move |request: Request<Body>| {
            let answer = api(&sender, &request);
            async move { Ok::<_, Infallible>(answer) }
        }),
        "default",
    );
    let stop = CancellationToken::new();
    let informers = Informers::new(client, stop.clone());
    let listen = vec![([127, 0, 0, 1], 0).into()];
    let bound = bind(Config { listen, upstreams: Upstreams::Servers(Vec::new()), ..Config::default() }).unwrap();
    let server = bound.addresses()[0];
    let token = stop.clone();
    let task = tokio::spawn(async move { bound.serve(&informers, token).await });
    // Sent before anything is known, answered after: never from half an index.
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let before = ask(server, &socket).await;
    assert_eq!(before.metadata.response_code, ResponseCode::NXDomain, "no endpoint is ready");
    let mut object = json!(slice("default", "web", vec![endpoint("10.1.0.9", None, true)], Some(("http", 80))));
    object["metadata"]["resourceVersion"] = json!("2");
    let slices = "/apis/discovery.k8s.io/v1/endpointslices";
    let seen = async {
        loop {
            // The watch may begin after this; then it is sent again.
            let _ = changes.send((slices, json!({ "type": "ADDED", "object": object })));
            if ask(server, &socket).await.answers.len() == 1 {
                break;
            }
        }
    };
    timeout(PATIENCE, seen).await.expect("the endpoint shows");
    stop.cancel();
    timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
}
