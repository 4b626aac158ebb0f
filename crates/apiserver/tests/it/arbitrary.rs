//! Whatever comes in on whatever route: no panic, no 500, and the store is as sound as before.

use axum::body::Body;
use http::Request;
use proptest::{prelude::*, sample::select, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::support::{CONFIG_MAPS, Server, config_map};

/// How many requests each kind of noise is tried with.
const CASES: u32 = 500;

/// What queries may ask for.
const OPTIONS: &[&str] = &[
    "watch",
    "limit",
    "continue",
    "labelSelector",
    "fieldSelector",
    "resourceVersion",
    "resourceVersionMatch",
    "timeoutSeconds",
    "sendInitialEvents",
    "allowWatchBookmarks",
    "dryRun",
    "fieldManager",
    "fieldValidation",
    "force",
    "gracePeriodSeconds",
    "propagationPolicy",
    "orphanDependents",
    "pretty",
    "includeObject",
    "hash",
    "verbose",
    "container",
    "tailLines",
    "sinceSeconds",
    "command",
    "stdin",
    "path",
    "ports",
];

/// What they may ask it to be.
const ANSWERS: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "true",
    "All",
    "Strict",
    "Exact",
    "NotOlderThan",
    "99999999999999999999",
    "a=b",
    "a in (b,c)",
    "metadata.name=one",
    "!a",
    "Foreground",
    "Orphan",
    "e30",
    "%FF",
    "%",
];

/// Texts that mean something somewhere.
const TEXTS: &[&str] = &[
    "",
    "one",
    "default",
    "v1",
    "Pod",
    "*",
    "-",
    "1Gi",
    "1e999999999",
    "9999999999999999999999E",
    "2020-01-01T00:00:00Z",
    "10.96.0.1",
    "::1",
    "0 0 31 2 *",
    "\u{0}",
    "é",
    "25%",
    "-100%",
];

/// Fields that mean something somewhere.
const FIELDS: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "status",
    "name",
    "namespace",
    "labels",
    "annotations",
    "uid",
    "data",
    "stringData",
    "ports",
    "port",
    "containers",
    "image",
    "template",
    "selector",
    "matchLabels",
    "replicas",
    "rules",
    "subjects",
    "roleRef",
    "type",
    "resources",
    "requests",
    "limits",
    "op",
    "path",
    "value",
    "from",
    "$patch",
    "$setElementOrder/ports",
    "$deleteFromPrimitiveList/finalizers",
    "$retainKeys",
    "finalizers",
    "ownerReferences",
    "resourceVersion",
    "generateName",
    "deletionTimestamp",
    "creationTimestamp",
    "managedFields",
    "clusterIP",
    "nodePort",
    "endpoints",
    "addresses",
    "schedule",
    "versions",
    "schema",
    "openAPIV3Schema",
    "scale",
    "strategy",
    "x",
];

/// What one request is made of.
#[derive(Clone, Debug)]
struct Noise {
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// The paths that discovery knows, with names of things that are there and that are not.
fn paths() -> Vec<String> {
    let mut paths: Vec<String> =
        ["/", "/api", "/apis", "/version", "/openapi/v2", "/openapi/v3", "/healthz", "/readyz"]
            .map(str::to_owned)
            .into();
    for kind in skiff_api::resource::all() {
        let root = match kind.group {
            "" => format!("/api/{}", kind.version),
            group => format!("/apis/{group}/{}", kind.version),
        };
        let place = if kind.is_namespaced() { "/namespaces/default" } else { "" };
        let base = format!("{root}{place}/{}", kind.plural);
        let names = ["one", "kubernetes", "a%2Fb", "%00", ".."];
        for part in kind.subresources {
            paths.push(format!("{base}/one/{}", part.name));
        }
        paths.extend(names.map(|name| format!("{base}/{name}")));
        paths.extend([base, format!("{root}/{}", kind.plural), format!("{root}/watch/{}", kind.plural)]);
    }
    paths
}

fn query() -> impl Strategy<Value = String> {
    let name = select(OPTIONS);
    let value = prop_oneof![
        select(ANSWERS).prop_map(str::to_owned),
        "\\PC{0,12}".prop_map(|text| text.bytes().map(|byte| format!("%{byte:02X}")).collect()),
    ];
    // A watch would stay for long; one that ends at once is as good.
    prop::collection::vec((name, value), 0..4).prop_map(|pairs| {
        let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}&timeoutSeconds=1", pairs.join("&"))
    })
}

fn headers() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let content = select(
        &[
            "application/json",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
            "text/plain",
            "",
            ";;;",
        ][..],
    );
    let accept = select(
        &[
            "*/*",
            "application/json",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
            "text/html",
            ",,;q=x",
            "application/json;as=Table;v=v1;g=meta.k8s.io",
            "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
            "application/json;as=;g=;v=",
            "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
        ][..],
    );
    let others = prop::option::of(select(
        &[
            ("impersonate-user", "someone"),
            ("impersonate-group", "system:masters"),
            ("if-none-match", "\"x\", *"),
            ("accept-encoding", "gzip;q=0.1,*"),
            ("content-length", "7"),
            ("content-encoding", "gzip"),
            ("user-agent", "curl/8"),
        ][..],
    ));
    (content, accept, others).prop_map(|(content, accept, other)| {
        let mut all = vec![("content-type", content.to_owned()), ("accept", accept.to_owned())];
        all.extend(other.map(|(name, value)| (name, value.to_owned())));
        all
    })
}

/// Values of the fields that every kind has something to say about, and of any others.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        select(&[0_i64, -1, 1, 65_536, i64::MAX, i64::MIN][..]).prop_map(Value::from),
        Just(json!(1.5e300)),
        select(TEXTS).prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    let field = prop_oneof![select(FIELDS).prop_map(str::to_owned), "[a-z/.~0-9]{0,8}",];
    leaf.prop_recursive(5, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((field.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// A body: an object with a name and anything else, a patch, or bytes.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let object = (value(), value(), value()).prop_map(|(spec, status, extra)| {
        json!({"metadata": {"name": "one", "labels": extra["labels"]}, "spec": spec, "status": status, "data": extra}).to_string()
    });
    let operation =
        (select(&["add", "remove", "replace", "move", "copy", "test", "x"][..]), "(/[a-z~0-9-]{0,9}){0,4}", value());
    let patch = prop::collection::vec(operation, 0..5).prop_map(|all| {
        let all =
            all.into_iter().map(|(op, path, value)| json!({"op": op, "path": path, "from": path, "value": value}));
        Value::Array(all.collect()).to_string()
    });
    let protobuf = prop::collection::vec(any::<u8>(), 0..64).prop_map(|mut noise| {
        let mut bytes = b"k8s\0".to_vec();
        bytes.append(&mut noise);
        bytes
    });
    let deep = (1..100_000_usize).prop_map(|depth| "[".repeat(depth).into_bytes());
    prop_oneof![
        4 => object.prop_map(String::into_bytes),
        2 => patch.prop_map(String::into_bytes),
        2 => value().prop_map(|value| value.to_string().into_bytes()),
        1 => protobuf,
        1 => prop::collection::vec(any::<u8>(), 0..64),
        1 => deep,
    ]
}

fn noise() -> impl Strategy<Value = Noise> {
    let method = select(&["GET", "HEAD", "POST", "PUT", "PATCH", "PATCH", "DELETE", "OPTIONS", "TRACE"][..]);
    let path = prop_oneof![9 => select(paths()), 1 => "(/[a-z0-9.%]{0,9}){1,7}"];
    let parts = (method, path, query(), headers(), body());
    parts.prop_map(|(method, path, query, headers, body)| Noise { method, path, query, headers, body })
}

impl Noise {
    /// `None` where no HTTP library would send it.
    fn request(&self) -> Option<Request<Body>> {
        let uri = format!("{}?{}", self.path, self.query);
        let mut request = Request::builder().method(self.method).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(Body::from(self.body.clone())).ok()
    }
}

/// Everything that is stored reads back, and normal work goes on.
async fn is_sound(server: &Server, round: u32) {
    for kind in skiff_api::resource::all().iter().filter(|kind| kind.allows("list") && kind.allows("create")) {
        let root = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
        let path = format!("{root}/{}/{}", kind.version, kind.plural);
        let list = server.get(&path).await.expect(200);
        for item in list["items"].as_array().unwrap() {
            assert!(item["metadata"]["uid"].is_string() && item["metadata"]["resourceVersion"].is_string(), "{item}");
        }
    }
    let name = format!("after-{round}");
    server.post(CONFIG_MAPS, &config_map(&name)).await.expect(201);
    let path = format!("{CONFIG_MAPS}/{name}");
    server.patch(&path, "merge-patch+json", &json!({"data": {"key": "other"}})).await.expect(200);
    assert_eq!(server.get(&path).await.expect(200)["data"]["key"], "other");
    server.delete(&path).await.expect(200);
}

#[test]
fn no_request_breaks_the_server() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(Server::start());
    let config =
        ProptestConfig { failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::with_cases(CASES) };
    let outcome = TestRunner::new(config).run(&noise(), |noise| {
        let Some(request) = noise.request() else { return Ok(()) };
        let code = runtime.block_on(async {
            let response = server.raw(request).await;
            let code = response.status().as_u16();
            // A watch ends by its own clock: its answer need not be awaited.
            if !noise.query.contains("watch") && !noise.path.contains("/watch/") {
                drop(crate::support::whole(response).await);
            }
            code
        });
        prop_assert!(code != 500, "{} {}?{}", noise.method, noise.path, noise.query);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    runtime.block_on(is_sound(&server, 0));
}
