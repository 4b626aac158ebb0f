//! `pods/log`: asked of the kubelet of the pod's node, its answer passed on as it comes.

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use serde_json::Value;
use skiff_api::{
    field_error::{FieldError, Path},
    status::{Qualified, Status},
};

use super::Call;
use crate::{
    http::{
        respond::{self, Answer},
        websocket::{self, Framing},
    },
    kind::decode,
};

/// What the kubelet's interface takes.
const OPTIONS: [&str; 8] =
    ["follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream"];
const ALL: &str = "All";
const STREAMS: [&str; 3] = [ALL, "Stderr", "Stdout"];
/// As much of an error of the kubelet is read.
const MOST_OF_AN_ERROR: usize = 64 << 10;

/// Answers a request for a container's log.
pub(super) async fn get(call: &Call) -> Answer {
    check(call)?;
    let pod = decode(&*call.find(&call.state.store.snapshot())?).map_err(Status::internal)?;
    let container = container(call, &pod)?;
    let Some(node) = pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()) else {
        return over(call, respond::text(StatusCode::OK, ""));
    };
    let query = call.query().encode(|name| OPTIONS.contains(&name));
    let path = format!("/containerLogs/{}/{}/{container}?{query}", call.namespace(), call.name());
    let request = Request::get(path).body(Body::empty()).map_err(Status::internal)?;
    match call.state.config.nodes.call(node, request).await {
        Some(response) if response.status().is_success() => over(call, passed_on(response)),
        Some(response) => Err(failed(response).await),
        None => Err(Status::service_unavailable(format!(
            "the node {node:?} of pod {:?} is not connected, so its logs cannot be read",
            call.name()
        ))),
    }
}

fn check(call: &Call) -> Result<(), Status> {
    let query = call.query();
    let mut errors = Vec::new();
    for (name, least) in [("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)] {
        if let Some(value) = query.integer(name)?
            && value < least
        {
            let detail = if least == 0 { "must be greater than or equal to 0" } else { "must be greater than 0" };
            errors.push(FieldError::invalid(&Path::new(name), value, detail));
        }
    }
    if let Some(text) = query.get("sinceTime").filter(|text| text.parse::<jiff::Timestamp>().is_err()) {
        return Err(Status::bad_request(format!(
            "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
        )));
    }
    if query.get("sinceSeconds").is_some() && query.get("sinceTime").is_some() {
        let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        errors.push(FieldError::forbidden(&Path::new(""), detail));
    }
    if let Some(stream) = query.get("stream") {
        if !STREAMS.contains(&stream) {
            errors.push(FieldError::not_supported(&Path::new("stream"), stream, &STREAMS));
        }
        if stream != ALL && query.get("tailLines").is_some() {
            let detail = "`tailLines` and specific `stream` are mutually exclusive for now";
            errors.push(FieldError::forbidden(&Path::new(""), detail));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Status::invalid(Qualified::new("", "PodLogOptions"), call.name(), &errors))
    }
}

/// The container that is meant: the one named, or the only one.
pub(crate) fn container(call: &Call, pod: &Value) -> Result<String, Status> {
    let names = |field: &str| -> Vec<String> {
        let list = pod["spec"][field].as_array().into_iter().flatten();
        list.filter_map(|container| Some(container["name"].as_str()?.to_owned())).collect()
    };
    let (own, init) = (names("containers"), names("initContainers"));
    if let Some(wanted) = call.query().get("container") {
        let known = own.iter().chain(&init).chain(&names("ephemeralContainers")).any(|name| name == wanted);
        return if known {
            Ok(wanted.to_owned())
        } else {
            Err(Status::bad_request(format!("container {wanted} is not valid for pod {}", call.name())))
        };
    }
    match own.as_slice() {
        [one] => Ok(one.clone()),
        _ => {
            let init = if init.is_empty() {
                String::new()
            } else {
                format!(" or one of the init containers: [{}]", init.join(" "))
            };
            Err(Status::bad_request(format!(
                "a container name must be specified for pod {}, choose one of: [{}]{init}",
                call.name(),
                own.join(" ")
            )))
        }
    }
}

/// The log as it is, or as the messages of a WebSocket.
fn over(call: &Call, response: Response<Body>) -> Answer {
    if !websocket::is_wanted(&call.headers) {
        return Ok(response);
    }
    let (offer, answer) = websocket::accept(&call.headers, call.connection.clone(), Framing::Binary)?;
    let lumps = response.into_body().into_data_stream().filter_map(async |lump| lump.ok());
    let whole = |lump: &mut Bytes| (!lump.is_empty()).then(|| std::mem::take(lump));
    tokio::spawn(offer.pour(lumps, whole, call.state.config.patience));
    Ok(answer)
}

fn passed_on(response: Response<Body>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let mut answer = respond::text(StatusCode::OK, "");
    if let Some(media_type) = parts.headers.get(CONTENT_TYPE) {
        answer.headers_mut().insert(CONTENT_TYPE, media_type.clone());
    }
    *answer.body_mut() = body;
    answer
}

/// What the kubelet says is wrong, as a `Status`.
pub(crate) async fn failed(response: Response<Body>) -> Status {
    let code = response.status();
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            text.extend_from_slice(&data);
        }
        if text.len() > MOST_OF_AN_ERROR {
            break;
        }
    }
    if let Ok(status) = serde_json::from_slice::<Status>(&text)
        && status.status == "Failure"
    {
        return status;
    }
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    match code {
        StatusCode::BAD_REQUEST => Status::bad_request(text),
        StatusCode::NOT_FOUND => Status { code: 404, reason: "NotFound".to_owned(), ..Status::bad_request(text) },
        StatusCode::SERVICE_UNAVAILABLE => Status::service_unavailable(text),
        code => Status::internal(format!("the kubelet answered {code}: {text}")),
    }
}
