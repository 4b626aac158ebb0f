//! The rows that kubectl prints.

use serde_json::{Value, json};
use skiff_api::resource::AnyResource;
use skiff_api::table::{IncludeObject, partial_list, table};

use crate::kind;

const NOW: &str = "2026-01-02T03:23:00Z";

fn cells(name: &str, object: &Value) -> Vec<String> {
    let cells = kind(name).cells(object, NOW.parse().unwrap());
    cells.iter().map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)).collect()
}

fn pod(spec: &Value, status: &Value) -> [String; 3] {
    let object = json!({"metadata": {"name": "a", "creationTimestamp": NOW}, "spec": spec, "status": status});
    let cells = cells("Pod", &object);
    [cells[1].clone(), cells[2].clone(), cells[3].clone()]
}

#[test]
fn pods_say_what_they_are_doing() {
    let one = json!({"containers": [{"name": "c"}]});
    let running = json!({"ready": true, "restartCount": 0, "state": {"running": {}}});
    let table = [
        (json!({"phase": "Pending"}), ["0/1", "Pending", "0"]),
        (json!({"phase": "Running", "containerStatuses": [running]}), ["1/1", "Running", "0"]),
        (
            json!({"phase": "Running", "containerStatuses": [{
                "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"finishedAt": "2026-01-02T03:22:30Z"}},
            }]}),
            ["0/1", "CrashLoopBackOff", "3 (30s ago)"],
        ),
        (
            json!({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}),
            ["0/1", "ErrImagePull", "0"],
        ),
        (
            json!({"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"reason": "Completed"}}}]}),
            ["0/1", "Completed", "0"],
        ),
        (
            json!({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]}),
            ["0/1", "ExitCode:3", "0"],
        ),
        (
            json!({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"signal": 9}}}]}),
            ["0/1", "Signal:9", "0"],
        ),
        (json!({"phase": "Failed", "reason": "Evicted"}), ["0/1", "Evicted", "0"]),
    ];
    for (status, expected) in table {
        assert_eq!(pod(&one, &status), expected, "{status}");
    }
    let mut leaving = json!({"metadata": {"name": "a", "deletionTimestamp": NOW}, "spec": one});
    leaving["status"] = json!({"phase": "Running"});
    assert_eq!(cells("Pod", &leaving)[2], "Terminating");
}

#[test]
fn init_containers_show_how_far_they_are() {
    let spec = json!({
        "initContainers": [{"name": "a"}, {"name": "b"}, {"name": "s", "restartPolicy": "Always"}],
        "containers": [{"name": "c"}],
    });
    let done = json!({"name": "a", "state": {"terminated": {"exitCode": 0}}});
    let table = [
        (json!([{"name": "a", "state": {"waiting": {"reason": "PodInitializing"}}}]), ["0/2", "Init:0/3", "0"]),
        (json!([done, {"name": "b", "state": {"running": {}}}]), ["0/2", "Init:1/3", "0"]),
        (
            json!([done, {"name": "b", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]),
            ["0/2", "Init:CrashLoopBackOff", "2"],
        ),
        (
            json!([done, {"name": "b", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]),
            ["0/2", "Init:Error", "0"],
        ),
    ];
    for (statuses, expected) in table {
        let status = json!({"phase": "Pending", "initContainerStatuses": statuses});
        assert_eq!(pod(&spec, &status), expected, "{status}");
    }
    let sidecar = json!({"name": "s", "started": true, "ready": true, "state": {"running": {}}});
    let status = json!({
        "phase": "Running",
        "initContainerStatuses": [done, {"name": "b", "state": {"terminated": {"exitCode": 0}}}, sidecar],
        "containerStatuses": [{"ready": true, "state": {"running": {}}}],
    });
    assert_eq!(pod(&spec, &status), ["2/2", "Running", "0"]);
}

#[test]
fn services_read_as_in_the_walkthrough() {
    let made = |name: &str, created: &str, spec: Value, status: Value| json!({"metadata": {"name": name, "creationTimestamp": created}, "spec": spec, "status": status});
    let table = [
        (
            made(
                "httpenv",
                "2026-01-02T00:00:00Z",
                json!({"type": "ClusterIP", "clusterIP": "10.108.189.10", "clusterIPs": ["10.108.189.10"],
                       "ports": [{"port": 8888, "protocol": "TCP"}], "selector": {"app": "httpenv"}}),
                json!({}),
            ),
            vec!["httpenv", "ClusterIP", "10.108.189.10", "<none>", "8888/TCP", "3h23m", "app=httpenv"],
        ),
        (
            made(
                "httpenv-my-lb",
                "2026-01-02T03:22:28Z",
                json!({"type": "LoadBalancer", "clusterIPs": ["10.97.192.241"],
                       "ports": [{"port": 8888, "nodePort": 32425, "protocol": "TCP"}]}),
                json!({"loadBalancer": {"ingress": [{"hostname": "localhost"}]}}),
            ),
            vec!["httpenv-my-lb", "LoadBalancer", "10.97.192.241", "localhost", "8888:32425/TCP", "32s", "<none>"],
        ),
        (
            made("lb", NOW, json!({"type": "LoadBalancer", "clusterIPs": ["10.97.0.1"]}), json!({"loadBalancer": {}})),
            vec!["lb", "LoadBalancer", "10.97.0.1", "<pending>", "<none>", "0s", "<none>"],
        ),
        (
            made("ext", NOW, json!({"type": "ExternalName", "externalName": "a.b"}), json!({})),
            vec!["ext", "ExternalName", "<none>", "a.b", "<none>", "0s", "<none>"],
        ),
    ];
    for (service, expected) in table {
        assert_eq!(cells("Service", &service), expected);
    }
}

#[test]
fn endpoints_show_three_and_count_the_others() {
    let addresses: Vec<Value> = (1..=5).map(|i| json!({"ip": format!("10.1.0.{i}")})).collect();
    let endpoints = json!({
        "metadata": {"name": "httpenv", "creationTimestamp": NOW},
        "subsets": [{"addresses": addresses, "ports": [{"port": 8888}]}],
    });
    let row = cells("Endpoints", &endpoints);
    assert_eq!(row[1], "10.1.0.1:8888,10.1.0.2:8888,10.1.0.3:8888 + 2 more...");
    assert!(row[3].ends_with("10.1.0.5:8888"));
    let slice = json!({
        "metadata": {"name": "s"}, "addressType": "IPv4", "ports": [{"port": 80}, {"name": "x"}],
        "endpoints": [{"addresses": ["10.1.0.1"]}],
    });
    assert_eq!(cells("EndpointSlice", &slice), ["s", "IPv4", "80,x", "10.1.0.1", "<unknown>"]);
    assert_eq!(cells("EndpointSlice", &json!({}))[2..4], ["<unset>", "<unset>"]);
}

#[test]
fn the_other_kinds_have_their_rows() {
    let table = [
        (
            "Deployment",
            json!({"spec": {"replicas": 5, "selector": {"matchLabels": {"app": "w"}},
                            "template": {"spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]}}},
                   "status": {"readyReplicas": 3, "updatedReplicas": 4, "availableReplicas": 2}}),
            vec!["x", "3/5", "4", "2", "0s", "c,d", "i,j", "app=w"],
        ),
        (
            "ReplicaSet",
            json!({"spec": {"replicas": 5, "selector": {"matchLabels": {"app": "w"}}}, "status": {"replicas": 4}}),
            vec!["x", "5", "4", "0", "0s", "", "", "app=w"],
        ),
        (
            "Node",
            json!({
                "metadata": {"name": "x", "creationTimestamp": NOW, "labels": {"node-role.kubernetes.io/control-plane": ""}},
                "spec": {"unschedulable": true},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                    "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Debian"},
                },
            }),
            vec![
                "x",
                "Ready,SchedulingDisabled",
                "control-plane",
                "0s",
                "v1.36.0",
                "10.0.0.1",
                "<none>",
                "Debian",
                "<unknown>",
                "<unknown>",
            ],
        ),
        (
            "Event",
            json!({"type": "Warning", "reason": "Failed", "message": " no \n", "count": 3,
                   "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.x"},
                   "source": {"component": "kubelet", "host": "n"},
                   "firstTimestamp": "2026-01-02T03:13:00Z", "lastTimestamp": "2026-01-02T03:22:00Z"}),
            vec!["60s", "Warning", "Failed", "pod/p", "spec.x", "kubelet, n", "no", "10m", "3", "x"],
        ),
    ];
    rows(table.into());
}

fn rows(table: Vec<(&str, Value, Vec<&str>)>) {
    for (kind, mut object, expected) in table {
        if object["metadata"].is_null() {
            object["metadata"] = json!({"name": "x", "creationTimestamp": NOW});
        }
        assert_eq!(cells(kind, &object), expected, "{kind}");
    }
}

#[test]
fn the_smaller_kinds_have_their_rows() {
    let table = [
        ("Secret", json!({"type": "Opaque", "data": {"a": "", "b": ""}}), vec!["x", "Opaque", "2", "0s"]),
        ("ConfigMap", json!({"data": {"a": ""}, "binaryData": {"b": ""}}), vec!["x", "2", "0s"]),
        ("ServiceAccount", json!({}), vec!["x", "0", "0s"]),
        ("Lease", json!({"spec": {"holderIdentity": "n"}}), vec!["x", "n", "0s"]),
        ("Namespace", json!({"status": {"phase": "Active"}}), vec!["x", "Active", "0s"]),
        ("Role", json!({}), vec!["x", NOW]),
        (
            "RoleBinding",
            json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [
                {"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
            ]}),
            vec!["x", "Role/r", "0s", "u", "", "n/s"],
        ),
    ];
    rows(table.into());
}

#[test]
fn tables_carry_as_much_of_their_objects_as_asked() {
    let object = json!({"metadata": {"name": "x"}, "data": {"a": "b"}});
    let now = NOW.parse().unwrap();
    let make = |include, headers| {
        table(
            &AnyResource::Builtin(kind("ConfigMap")),
            [&object],
            json!({"resourceVersion": "7"}),
            include,
            headers,
            now,
        )
    };
    let full = make(IncludeObject::Object, true);
    assert_eq!((&full["kind"], &full["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    assert_eq!(full["columnDefinitions"][0]["format"], "name");
    assert_eq!(full["rows"][0]["object"], object);
    assert_eq!(make(IncludeObject::Metadata, true)["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert!(make(IncludeObject::None, false)["rows"][0].get("object").is_none());
    assert_eq!(make(IncludeObject::None, false)["columnDefinitions"], json!([]));
    assert_eq!(IncludeObject::parse("Everything"), None);
    assert_eq!(partial_list([&object], json!({}))["items"][0]["metadata"]["name"], "x");
}
