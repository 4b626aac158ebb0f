"""The official Python client drives a cluster; each argument names a part of what it does.

Run inside of a lab by the tests; KUBECONFIG says where the cluster is. Pinned in scripts/clients.
"""

import json
import sys
import tempfile
import threading
import time

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.stream import stream

NS = "python"
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: httpenv, ports: [{containerPort: 8888}]}]}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 8888}]}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: listed}, data: {key: value}}
"""


def until(what, attempt, seconds=10):
    deadline = time.monotonic() + seconds
    while not (value := attempt()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return value


def refused(status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except client.ApiException as error:
        assert error.status == status, error
        return json.loads(error.body)
    raise AssertionError(f"{call.__name__} was not refused")


def start():
    """A namespace with a Deployment whose pods are up, made from a file."""
    core = client.CoreV1Api()
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NS)))
    accounts = lambda: [one.metadata.name for one in core.list_namespaced_service_account(NS).items]
    until("the service account", lambda: "default" in accounts())
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(MANIFEST)
        file.flush()
        utils.create_from_yaml(client.ApiClient(), file.name, namespace=NS)
    watcher, running = watch.Watch(), set()
    for event in watcher.stream(core.list_namespaced_pod, NS, label_selector="app=web", timeout_seconds=20):
        if event["object"].status.phase == "Running":
            running.add(event["object"].metadata.name)
        if len(running) == 2:
            watcher.stop()
    assert len(running) == 2, running
    return sorted(running)[0]


def patches(_):
    """The three patches, a scale, a status and a conflict."""
    apps = client.AppsV1Api()
    image = {"spec": {"template": {"spec": {"containers": [{"name": "main", "env": [{"name": "A", "value": "b"}]}]}}}}
    containers = apps.patch_namespaced_deployment("web", NS, image).spec.template.spec.containers
    assert [(one.image, one.env[0].value) for one in containers] == [("httpenv", "b")], containers
    operations = [{"op": "test", "path": "/spec/replicas", "value": 2}, {"op": "replace", "path": "/spec/replicas", "value": 1}]
    assert apps.patch_namespaced_deployment("web", NS, operations).spec.replicas == 1
    scale = apps.read_namespaced_deployment_scale("web", NS)
    # Controllers write as well: only without a version is it sure to be the latest.
    stale, scale.metadata.resource_version, scale.spec.replicas = scale.metadata.resource_version, None, 2
    assert apps.replace_namespaced_deployment_scale("web", NS, scale).spec.replicas == 2
    scale.metadata.resource_version = stale
    assert refused(409, apps.replace_namespaced_deployment_scale, "web", NS, scale)["reason"] == "Conflict"
    assert apps.read_namespaced_deployment_status("web", NS).status is not None
    available = lambda: apps.read_namespaced_deployment("web", NS).status.updated_replicas == 2
    until("the new pods", available)


def watches(_):
    """A watch from a version on sees what happened since, once, and typed."""
    core = client.CoreV1Api()
    listed = core.list_namespaced_config_map(NS)
    core.create_namespaced_config_map(NS, {"metadata": {"name": "later"}})
    core.patch_namespaced_config_map("later", NS, {"data": {"a": "b"}})
    core.delete_namespaced_config_map("later", NS)
    since = {"resource_version": listed.metadata.resource_version, "timeout_seconds": 1}
    events = watch.Watch().stream(core.list_namespaced_config_map, NS, **since)
    seen = [(event["type"], event["object"].metadata.name) for event in events]
    assert seen == [(kind, "later") for kind in ("ADDED", "MODIFIED", "DELETED")], seen


def pages(_):
    """Pages hold everything exactly once."""
    core = client.CoreV1Api()
    for index in range(5):
        core.create_namespaced_secret(NS, {"metadata": {"name": f"page-{index}"}, "stringData": {"a": "b"}})
    page, names = core.list_namespaced_secret(NS, limit=2), []
    while True:
        names += [one.metadata.name for one in page.items]
        if not page.metadata._continue:
            break
        page = core.list_namespaced_secret(NS, limit=2, _continue=page.metadata._continue)
    assert [name for name in names if name.startswith("page-")] == [f"page-{index}" for index in range(5)], names


def discovery(_):
    """The dynamic client finds kinds by discovery and writes without types."""
    cluster = dynamic.DynamicClient(client.ApiClient())
    maps = cluster.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "untyped"}, "data": {"a": "b"}}
    assert maps.create(body=body, namespace=NS).data.a == "b"
    body["data"] = {"c": "d"}
    merged = maps.patch(body=body, namespace=NS, content_type="application/merge-patch+json")
    assert merged.data.to_dict() == {"a": "b", "c": "d"}
    assert maps.delete(name="untyped", namespace=NS).status == "Success"
    kinds = {one.kind for one in cluster.resources.search()}
    assert {"Pod", "Deployment", "DeploymentList", "EndpointSlice", "Lease"} <= kinds, kinds


def election(_):
    """A leader is elected by a Lease."""
    from kubernetes.leaderelection import electionconfig, leaderelection
    from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

    leading = threading.Event()
    lock = LeaseLock("lock", NS, "me")
    settings = electionconfig.Config(
        lock, lease_duration=3, renew_deadline=2, retry_period=1,
        onstarted_leading=leading.set, onstopped_leading=lambda: None,
    )
    threading.Thread(target=leaderelection.LeaderElection(settings).run, daemon=True).start()
    assert leading.wait(5)
    assert client.CoordinationV1Api().read_namespaced_lease("lock", NS).spec.holder_identity == "me"


def logs(pod):
    """Logs, whole and followed."""
    core = client.CoreV1Api()
    assert "listening" in core.read_namespaced_pod_log(pod, NS, tail_lines=1)
    watcher = watch.Watch()
    for line in watcher.stream(core.read_namespaced_pod_log, pod, NS):
        assert "listening" in line, line
        watcher.stop()


def execute(pod):
    """A command runs in the pod, over a WebSocket."""
    core = client.CoreV1Api()
    options = {"stderr": True, "stdin": False, "stdout": True, "tty": False}
    command = ["/httpenv", "get", "http://localhost:8888/"]
    output = stream(core.connect_get_namespaced_pod_exec, pod, NS, command=command, **options)
    assert pod in str(output), output


def apply(_):
    """Server-side apply: owners, and a conflict that names them."""
    cluster = dynamic.DynamicClient(client.ApiClient())
    maps = cluster.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "b"}}
    made = maps.server_side_apply(body=body, name="applied", namespace=NS, field_manager="one")
    assert [(one.manager, one.operation) for one in made.metadata.managedFields] == [("one", "Apply")]
    body["data"]["a"] = "c"
    conflict = None
    try:
        maps.server_side_apply(body=body, name="applied", namespace=NS, field_manager="two")
    except client.ApiException as error:
        conflict = json.loads(error.body)
    except dynamic.exceptions.DynamicApiError as error:
        conflict = json.loads(error.body)
    assert conflict and conflict["code"] == 409 and '"one"' in conflict["message"], conflict
    forced = maps.server_side_apply(body=body, name="applied", namespace=NS, field_manager="two", force_conflicts=True)
    assert forced.data.a == "c"


def end():
    """Deletes in all ways there are; the namespace takes the rest with it."""
    core, apps = client.CoreV1Api(), client.AppsV1Api()
    assert refused(404, core.read_namespaced_pod, "none", NS)["reason"] == "NotFound"
    core.delete_collection_namespaced_secret(NS)
    apps.delete_namespaced_deployment("web", NS, propagation_policy="Foreground", grace_period_seconds=0)
    core.delete_namespaced_service("web", NS)
    core.delete_namespace(NS)
    gone = lambda: NS not in [one.metadata.name for one in core.list_namespace().items]
    until("the end of the namespace", gone)


PARTS = {one.__name__: one for one in (patches, watches, pages, discovery, election, logs, execute, apply)}

config.load_kube_config()
name = start()
for part in sys.argv[1:]:
    if part in ("logs", "execute"):
        # The pods may have been replaced meanwhile.
        items = client.CoreV1Api().list_namespaced_pod(NS, label_selector="app=web").items
        name = next(one.metadata.name for one in items if not one.metadata.deletion_timestamp and one.status.phase == "Running")
    PARTS[part](name)
end()
print("passed")
