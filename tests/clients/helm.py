"""The calls that `helm install`, `upgrade`, `rollback`, `list` and `uninstall` make, in their order.

Run inside of a lab by the tests; KUBECONFIG says where the cluster is. Pinned in scripts/clients.
"""

import base64
import gzip
import json
import sys
import time

from kubernetes import client, config

NS, RELEASE = "helm", "shop"
LABELS = {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": RELEASE}
OWNED = {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NS}

config.load_kube_config()
api, core, apps = client.ApiClient(), client.CoreV1Api(), client.AppsV1Api()


def raw(method, path, body=None, content="application/json", accept="application/json", query=()):
    headers = {"Accept": accept, "Content-Type": content}
    answer = api.call_api(
        *api.param_serialize(method, path, query_params=list(query), header_params=headers, body=body, auth_settings=["BearerToken"])
    )
    answer.read()
    if answer.status >= 400:
        raise client.ApiException.from_response(http_resp=answer, body=answer.data.decode(), data=None)
    return json.loads(answer.data)


def chart(version, replicas):
    meta = lambda: {"name": RELEASE, "namespace": NS, "labels": dict(LABELS), "annotations": dict(OWNED)}
    container = {"name": "main", "image": "httpenv", "env": [{"name": "VERSION", "value": str(version)}], "ports": [{"name": "http", "containerPort": 8888}]}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(), "spec": {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta(), "spec": {"selector": LABELS, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}
    return {"deployments": deployment, "services": service}


def path(kind, name=""):
    root = "/apis/apps/v1" if kind == "deployments" else "/api/v1"
    return f"{root}/namespaces/{NS}/{kind}" + (f"/{name}" if name else "")


def record(version, status):
    """A release is a Secret: compressed, encoded once by Helm and once by JSON."""
    text = json.dumps({"name": RELEASE, "version": version, "info": {"status": status}, "manifest": "x" * 4096})
    packed = base64.b64encode(gzip.compress(text.encode())).decode()
    labels = {"name": RELEASE, "owner": "helm", "status": status, "version": str(version), "modifiedAt": str(int(time.time()))}
    metadata = {"name": f"sh.helm.release.v1.{RELEASE}.v{version}", "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "helm.sh/release.v1", "data": {"release": base64.b64encode(packed.encode()).decode()}}


def releases(selector):
    found = raw("GET", path("secrets"), query=[("labelSelector", selector)])["items"]
    return sorted(int(one["metadata"]["labels"]["version"]) for one in found)


def mark(version, status):
    """Helm replaces the whole record, with the version it has read."""
    name = f"sh.helm.release.v1.{RELEASE}.v{version}"
    changed = raw("PUT", path("secrets", name), body=record(version, status))
    assert changed["metadata"]["labels"]["status"] == status and changed["type"] == "helm.sh/release.v1"


def wait():
    """`--wait`: the Deployment has caught up, the Service has an address."""
    deadline = time.monotonic() + 15
    while True:
        one = raw("GET", path("deployments", RELEASE))
        status, wanted = one["status"], one["spec"]["replicas"]
        current = status.get("observedGeneration") == one["metadata"]["generation"]
        if current and status.get("updatedReplicas") == status.get("readyReplicas") == status.get("replicas") == wanted:
            break
        assert time.monotonic() < deadline, status
        time.sleep(0.02)
    assert raw("GET", path("services", RELEASE))["spec"]["clusterIP"]


def discover():
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    groups = raw("GET", "/apis", accept=accept)
    assert groups["kind"] == "APIGroupDiscoveryList" and groups["apiVersion"] == "apidiscovery.k8s.io/v2"
    assert raw("GET", "/version")["major"] == "1"
    listed = raw("GET", "/openapi/v3")["paths"]
    url, _, known = listed["apis/apps/v1"]["serverRelativeURL"].partition("?hash=")
    types = raw("GET", url, query=[("hash", known)])["components"]["schemas"]
    assert "io.k8s.api.apps.v1.Deployment" in types


def install():
    for kind, body in chart(1, 1).items():
        try:
            raw("GET", path(kind, RELEASE))
            raise AssertionError(f"{kind} are there already")
        except client.ApiException as error:
            assert error.status == 404
        raw("POST", path(kind), body=body, query=[("fieldManager", "helm"), ("fieldValidation", "Strict")])
    raw("POST", path("secrets"), body=record(1, "pending-install"))
    wait()
    mark(1, "deployed")


def upgrade(version, replicas):
    """A three-way merge: what others set stays, what the chart no longer says goes."""
    others = {"metadata": {"annotations": {"other": "stays"}}}
    raw("PATCH", path("deployments", RELEASE), body=others, content="application/merge-patch+json")
    raw("POST", path("secrets"), body=record(version, "pending-upgrade"))
    container = {"name": "main", "env": [{"name": "VERSION", "value": str(version)}], "$setElementOrder/env": [{"name": "VERSION"}]}
    spec = {"containers": [container], "$setElementOrder/containers": [{"name": "main"}]}
    patch = {"spec": {"replicas": replicas, "template": {"spec": spec}}}
    content = "application/strategic-merge-patch+json"
    changed = raw("PATCH", path("deployments", RELEASE), body=patch, content=content, query=[("fieldManager", "helm")])
    assert changed["metadata"]["annotations"]["other"] == "stays"
    main = changed["spec"]["template"]["spec"]["containers"][0]
    assert main["image"] == "httpenv" and main["env"] == [{"name": "VERSION", "value": str(version)}], main
    wait()
    mark(version - 1, "superseded")
    mark(version, "deployed")


def apply():
    """Helm 4 applies on the server's side."""
    for kind, body in chart(3, 1).items():
        query = [("fieldManager", "helm"), ("force", "true")]
        applied = raw("PATCH", path(kind, RELEASE), body=body, content="application/apply-patch+yaml", query=query)
        owners = {(one["manager"], one["operation"]) for one in applied["metadata"]["managedFields"]}
        assert ("helm", "Apply") in owners, owners
    wait()


def uninstall():
    mark(releases("name=shop,owner=helm")[-1], "uninstalling")
    for kind in ("services", "deployments"):
        raw("DELETE", path(kind, RELEASE), body={"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"})
    for version in releases("name=shop,owner=helm"):
        raw("DELETE", path("secrets", f"sh.helm.release.v1.{RELEASE}.v{version}"))
    assert releases("owner=helm") == []


raw("POST", "/api/v1/namespaces", body={"metadata": {"name": NS}})
deadline = time.monotonic() + 10
while not raw("GET", path("serviceaccounts"))["items"]:
    assert time.monotonic() < deadline, "no service account"
    time.sleep(0.02)
discover()
install()
assert releases("owner=helm") == [1]
upgrade(2, 2)
assert releases("owner=helm,status=deployed") == [2]
assert releases("name=shop,owner=helm,status notin (deployed,unknown)") == [1]
if "apply" in sys.argv[1:]:
    apply()
uninstall()
raw("DELETE", f"/api/v1/namespaces/{NS}")
print("passed")
