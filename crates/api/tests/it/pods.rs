//! Pods: what they become, what is refused, what may change.

use serde_json::{Value, json};

use crate::{made, problems, updated};

fn pod(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec})
}

fn with_container(container: Value) -> Value {
    let mut container = container;
    for (key, value) in [("name", "c"), ("image", "httpenv:1")] {
        if container[key].is_null() {
            container[key] = json!(value);
        }
    }
    pod(json!({"containers": [container]}))
}

#[test]
fn a_pod_says_what_it_was_not_told() {
    let made = made(
        "Pod",
        &with_container(json!({
            "image": "httpenv",
            "ports": [{"containerPort": 8888}],
            "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "resources": {"limits": {"cpu": "0.5"}},
            "readinessProbe": {"httpGet": {"port": 8888}},
            "lifecycle": {"preStop": {"httpGet": {"port": "web"}}}
        })),
    );
    assert_eq!(
        made["spec"],
        json!({
            "containers": [{
                "name": "c",
                "image": "httpenv",
                "imagePullPolicy": "Always",
                "ports": [{"containerPort": 8888, "protocol": "TCP"}],
                "env": [{"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}],
                "resources": {"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}},
                "readinessProbe": {
                    "httpGet": {"path": "/", "port": 8888, "scheme": "HTTP"},
                    "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
                },
                "lifecycle": {"preStop": {"httpGet": {"path": "/", "port": "web", "scheme": "HTTP"}}},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }],
            "dnsPolicy": "ClusterFirst",
            "restartPolicy": "Always",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
            "schedulerName": "default-scheduler",
            "enableServiceLinks": true,
        })
    );
    assert_eq!(made["status"], json!({"phase": "Pending", "qosClass": "Burstable"}));
    assert_eq!(made["metadata"]["generation"], 1);
}

#[test]
fn volumes_and_host_ports_have_defaults_too() {
    let made = made(
        "Pod",
        &pod(json!({
            "hostNetwork": true,
            "serviceAccount": "bot",
            "containers": [{"name": "c", "image": "x:1", "ports": [{"containerPort": 80}]}],
            "volumes": [
                {"name": "a"},
                {"name": "b", "configMap": {"name": "c"}},
                {"name": "c", "secret": {"secretName": "s"}},
                {"name": "d", "hostPath": {"path": "/x"}},
                {"name": "e", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            ],
        })),
    );
    assert_eq!(
        made["spec"]["volumes"],
        json!([
            {"name": "a", "emptyDir": {}},
            {"name": "b", "configMap": {"name": "c", "defaultMode": 420}},
            {"name": "c", "secret": {"secretName": "s", "defaultMode": 420}},
            {"name": "d", "hostPath": {"path": "/x", "type": ""}},
            {"name": "e", "projected": {
                "defaultMode": 420,
                "sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}],
            }},
        ])
    );
    assert_eq!(made["spec"]["containers"][0]["ports"][0]["hostPort"], 80);
    assert_eq!(made["spec"]["serviceAccountName"], "bot");
}

#[test]
fn quality_of_service_follows_resources() {
    let class = |resources: Value| {
        let made = made("Pod", &with_container(json!({"resources": resources})));
        made["status"]["qosClass"].as_str().unwrap().to_owned()
    };
    assert_eq!(class(json!({})), "BestEffort");
    assert_eq!(class(json!({"requests": {"cpu": "1"}})), "Burstable");
    assert_eq!(class(json!({"limits": {"cpu": "1", "memory": "1Gi"}})), "Guaranteed");
    assert_eq!(class(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}})), "Burstable");
}

#[test]
fn good_pods_pass() {
    let good = pod(json!({
        "initContainers": [
            {"name": "i", "image": "x"},
            {"name": "s", "image": "x", "restartPolicy": "Always", "startupProbe": {"exec": {"command": ["true"]}}},
        ],
        "containers": [{
            "name": "c", "image": "x",
            "ports": [{"name": "http", "containerPort": 80}, {"containerPort": 81, "protocol": "UDP"}],
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "c"}}],
            "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a/b"}],
            "livenessProbe": {"tcpSocket": {"port": "http"}},
            "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
            "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "example.com/gpu": "1"}},
        }],
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}],
        "tolerations": [{"operator": "Exists"}, {"key": "a", "effect": "NoExecute", "tolerationSeconds": 5}],
        "nodeSelector": {"a": "b"},
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["10.0.0.1"], "searches": ["a.b."]},
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.b"]}],
    }));
    assert_eq!(problems("Pod", &good), [""; 0]);
}

#[test]
fn bad_containers_are_refused() {
    let table = [
        (json!({"name": "C"}), "spec.containers[0].name: Invalid value: \"C\": a lowercase RFC 1123 label must"),
        (json!({"image": " x"}), "spec.containers[0].image: Invalid value: \" x\": must not have leading or trailing"),
        (
            json!({"ports": [{"containerPort": 70000}]}),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (json!({"ports": [{"containerPort": 0}]}), "spec.containers[0].ports[0].containerPort: Required value"),
        (
            json!({"ports": [{"containerPort": 1, "protocol": "ICMP"}]}),
            "spec.containers[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \
             \"UDP\"",
        ),
        (
            json!({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}),
            "spec.containers[0].ports[1].name: Duplicate value: \"a\"",
        ),
        (json!({"env": [{"name": "A=B"}]}), "spec.containers[0].env[0].name: Invalid value: \"A=B\": a valid"),
        (
            json!({"env": [{"name": "A", "valueFrom": {}}]}),
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of:",
        ),
        (
            json!({"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.foo"}}}]}),
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"spec.foo\": supported",
        ),
    ];
    refused(&table);
}

fn refused(table: &[(Value, &str)]) {
    for (container, message) in table {
        let found = problems("Pod", &with_container(container.clone()));
        assert!(found.iter().any(|p| p.starts_with(message)), "{container}: {found:#?}");
    }
}

#[test]
fn bad_mounts_resources_and_probes_are_refused() {
    let table = [
        (
            json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
        ),
        (
            json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}),
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        (
            json!({"resources": {"limits": {"cpu": "-1"}}}),
            "spec.containers[0].resources.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
        ),
        (
            json!({"resources": {"limits": {"coffee": "1"}}}),
            "spec.containers[0].resources.limits[coffee]: Invalid value: \"coffee\": must be a standard resource",
        ),
        (
            json!({"imagePullPolicy": "Sometimes"}),
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \
             \"IfNotPresent\", \"Never\"",
        ),
        (json!({"livenessProbe": {}}), "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
        (
            json!({"livenessProbe": {"exec": {"command": ["a"]}, "successThreshold": 2}}),
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            json!({"livenessProbe": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}}),
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ),
        (
            json!({"securityContext": {"runAsUser": -1}}),
            "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647",
        ),
    ];
    refused(&table);
}

#[test]
fn bad_specs_are_refused() {
    let c = json!([{"name": "c", "image": "x"}]);
    let table = [
        (json!({"containers": []}), "spec.containers: Required value"),
        (json!({"containers": [{"image": "x"}]}), "spec.containers[0].name: Required value"),
        (json!({"containers": [{"name": "c"}]}), "spec.containers[0].image: Required value"),
        (json!({"containers": c, "initContainers": c}), "spec.initContainers[0].name: Duplicate value: \"c\""),
        (
            json!({"containers": c, "restartPolicy": "Sometimes"}),
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ),
        (
            json!({"containers": c, "terminationGracePeriodSeconds": -1}),
            "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
        (json!({"containers": c, "hostname": "A.b"}), "spec.hostname: Invalid value: \"A.b\": a lowercase"),
        (
            json!({"containers": c, "volumes": [{"name": "a"}, {"name": "a"}]}),
            "spec.volumes[1].name: Duplicate value: \"a\"",
        ),
        (
            json!({"containers": c, "volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}]}),
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        ),
        (
            json!({"containers": c, "volumes": [{"name": "a", "configMap": {"name": "x", "items": [
                {"key": "k", "path": "../x"},
            ]}}]}),
            "spec.volumes[0].configMap.items[0].path: Invalid value: \"../x\": must not contain '..'",
        ),
        (
            json!({"containers": c, "tolerations": [{"key": "a", "operator": "Like"}]}),
            "spec.tolerations[0].operator: Unsupported value: \"Like\": supported values: \"Equal\", \"Exists\"",
        ),
        (
            json!({"containers": c, "dnsPolicy": "None"}),
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
        ),
        (
            json!({"containers": [
                {"name": "a", "image": "x", "ports": [{"containerPort": 1, "hostPort": 9}]},
                {"name": "b", "image": "x", "ports": [{"containerPort": 2, "hostPort": 9}]},
            ]}),
            "spec.containers[1].ports[0].hostPort: Duplicate value: \"TCP//9\"",
        ),
    ];
    for (spec, message) in table {
        let found = problems("Pod", &pod(spec.clone()));
        assert!(found.iter().any(|p| p.starts_with(message)), "{spec}: {found:#?}");
    }
}

#[test]
fn a_pod_may_get_another_image_and_little_else() {
    let old = made("Pod", &with_container(json!({})));
    let (new, found) = updated("Pod", &old, |pod| pod["spec"]["containers"][0]["image"] = json!("httpenv:2"));
    assert_eq!(found, [""; 0]);
    assert_eq!(new["metadata"]["generation"], 2);
    let (_, found) = updated("Pod", &old, |pod| pod["metadata"]["labels"] = json!({"a": "b"}));
    assert_eq!(found, [""; 0]);
    let (_, found) = updated("Pod", &old, |pod| pod["spec"]["hostname"] = json!("x"));
    assert!(found[0].starts_with("spec: Forbidden: pod updates may not change fields other than `spec.containers"));
    assert!(found[0].ends_with("- spec.hostname: null\n+ spec.hostname: \"x\""));
    let (_, found) = updated("Pod", &old, |pod| {
        let extra = json!({"name": "d", "image": "x"});
        pod["spec"]["containers"].as_array_mut().unwrap().push(extra);
    });
    assert_eq!(found[0], "spec.containers: Forbidden: pod updates may not add or remove containers");
}
