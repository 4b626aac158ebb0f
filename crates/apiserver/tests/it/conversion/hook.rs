//! A conversion webhook of the test's own: TLS on loopback, and answers as a test wants them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the webhook does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Works,
    /// It answers 500.
    Fails,
    /// It says that it cannot.
    Refuses,
    Renames,
    Forgets,
    WrongUid,
    WrongVersion,
    Labels,
}

/// The certificate that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// One of an authority.
    Chain,
    /// One that is its own authority.
    Own,
}

#[derive(Default)]
struct Inner {
    mode: Mode,
    reviews: Vec<Value>,
}

#[derive(Clone)]
pub(super) struct Hook {
    pub(super) address: SocketAddr,
    /// Its authority, as a definition names it.
    pub(super) bundle: String,
    inner: Arc<Mutex<Inner>>,
}

impl Hook {
    pub(super) async fn start(shows: Shows) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (bundle, certificate, key) = certified(shows);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        let hook = Self {
            address: listener.local_addr().unwrap(),
            bundle: BASE64_STANDARD.encode(bundle),
            inner: Arc::default(),
        };
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), hook.clone()));
        hook
    }

    pub(super) fn becomes(&self, mode: Mode) {
        self.inner.lock().unwrap().mode = mode;
    }

    /// What it was asked since the last time.
    pub(super) fn reviews(&self) -> Vec<Value> {
        std::mem::take(&mut self.inner.lock().unwrap().reviews)
    }

    /// How a definition names it.
    pub(super) fn client_config(&self) -> Value {
        json!({"url": format!("https://localhost:{}/convert", self.address.port()), "caBundle": self.bundle})
    }

    fn answer(&self, review: &Value) -> (StatusCode, Value) {
        let mut inner = self.inner.lock().unwrap();
        inner.reviews.push(review.clone());
        let mode = inner.mode;
        let request = &review["request"];
        let to = request["desiredAPIVersion"].as_str().unwrap();
        let mut objects: Vec<Value> =
            request["objects"].as_array().unwrap().iter().map(|object| converted(object, to)).collect();
        let mut result = json!({"status": "Success"});
        let mut uid = request["uid"].clone();
        match mode {
            Mode::Works => {}
            Mode::Fails => return (StatusCode::INTERNAL_SERVER_ERROR, json!("it broke")),
            Mode::Refuses => result = json!({"status": "Failed", "message": "cannot be told apart"}),
            Mode::Renames => objects[0]["metadata"]["name"] = json!("other"),
            Mode::Forgets => drop(objects.pop()),
            Mode::WrongUid => uid = json!("none"),
            Mode::WrongVersion => objects[0]["apiVersion"] = json!("example.com/v9"),
            Mode::Labels => {
                objects[0]["metadata"]["labels"] = json!({"from": "hook"});
                objects[0]["metadata"]["finalizers"] = json!(["example.com/hook"]);
            }
        }
        let response = json!({"uid": uid, "result": result, "convertedObjects": objects});
        (StatusCode::OK, json!({"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response}))
    }
}

/// `spec.hostPort` of v1 is `spec.host` and `spec.port` of v2.
fn converted(object: &Value, to: &str) -> Value {
    let mut object = object.clone();
    let spec = object["spec"].clone();
    if to.ends_with("/v2") {
        if let Some((host, port)) = spec["hostPort"].as_str().and_then(|text| text.split_once(':')) {
            object["spec"]["host"] = json!(host);
            object["spec"]["port"] = json!(port);
        }
        object["spec"].as_object_mut().map(|spec| spec.remove("hostPort"));
    } else if let Some(fields) = object["spec"].as_object_mut() {
        let (host, port) = (fields.remove("host"), fields.remove("port"));
        if let (Some(Value::String(host)), Some(Value::String(port))) = (host, port) {
            fields.insert("hostPort".to_owned(), json!(format!("{host}:{port}")));
        }
    }
    object["apiVersion"] = json!(to);
    object
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, hook: Hook) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, hook) = (acceptor.clone(), hook.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request: Request<Incoming>| {
                let hook = hook.clone();
                async move {
                    assert_eq!(request.uri().path(), "/convert");
                    let body = request.into_body().collect().await?.to_bytes();
                    let (code, answer) = hook.answer(&serde_json::from_slice(&body).unwrap());
                    let mut response = Response::new(Full::<Bytes>::from(answer.to_string()));
                    *response.status_mut() = code;
                    Ok::<_, hyper::Error>(response)
                }
            });
            // A client that goes away is no failure of the test.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The bundle, the certificate that is shown, and its key.
fn certified(shows: Shows) -> (String, String, String) {
    let key = KeyPair::generate().unwrap();
    let mut own = CertificateParams::new(["localhost".to_owned(), "near.default.svc".to_owned()]).unwrap();
    if shows == Shows::Own {
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = own.self_signed(&key).unwrap().pem();
        return (pem.clone(), pem, key.serialize_pem());
    }
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let bundle = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    (bundle, own.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}
