//! Endings: a namespace with all that is in it, graceful termination, uninstall.

use std::time::Duration;

use super::{apply, deploy, field_becomes, lab};

#[test]
fn a_namespace_goes_with_all_that_is_in_it() {
    let Some(lab) = lab(&[]) else { return };
    lab.kubectl(&["create", "namespace", "doomed"]).ok();
    lab.kubectl(&["-n", "doomed", "create", "deployment", "web", "--image=httpenv", "--replicas=3"]).ok();
    lab.kubectl(&["-n", "doomed", "rollout", "status", "deployment/web", "--timeout=20s"]).ok();
    lab.kubectl(&["delete", "namespace", "doomed", "--timeout=20s"]).ok();
    let left = lab.kubectl(&["get", "pods,replicasets,deployments", "-A"]);
    assert!(!left.out.contains("doomed"), "{}", left.out);
}

#[test]
fn a_namespace_lets_its_pods_end_first() {
    let Some(lab) = lab(&[]) else { return };
    lab.kubectl(&["create", "namespace", "doomed"]).ok();
    apply(
        &lab,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: held, namespace: doomed, finalizers: [example.com/held]}\n\
         spec: {containers: [{name: c, image: httpenv}]}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {name: needed, namespace: doomed}\n",
    );
    lab.kubectl(&["delete", "namespace", "doomed", "--wait=false"]).ok();
    let waits = "{.status.conditions[?(@.type==\"NamespaceFinalizersRemaining\")].message}";
    let message = "Some content in the namespace has finalizers remaining: example.com/held in 1 resource instances";
    field_becomes(&lab, &["namespace", "doomed"], waits, message);
    lab.kubectl(&["-n", "doomed", "get", "configmap", "needed"]).ok();
    lab.kubectl(&[
        "-n",
        "doomed",
        "patch",
        "pod",
        "held",
        "--type=merge",
        "-p",
        "{\"metadata\":{\"finalizers\":null}}",
    ])
    .ok();
    lab.kubectl(&["wait", "--for=delete", "namespace/doomed", "--timeout=20s"]).ok();
}

#[test]
fn a_replication_controller_keeps_its_pods() {
    let Some(lab) = lab(&[]) else { return };
    apply(
        &lab,
        "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: old}\nspec:\n  replicas: 2\n  template:\n    \
         metadata: {labels: {app: old}}\n    spec: {containers: [{name: c, image: httpenv}]}\n",
    );
    field_becomes(&lab, &["rc", "old"], "{.status.readyReplicas}", "2");
    lab.kubectl(&["scale", "rc", "old", "--replicas=1"]).ok();
    field_becomes(&lab, &["rc", "old"], "{.status.replicas}", "1");
    lab.kubectl(&["expose", "rc", "old", "--port=8888"]).ok();
    assert!(lab.kubectl(&["describe", "rc", "old"]).ok().contains("SuccessfulDelete"));
    // Its pods stay where they are orphaned, and go with it otherwise.
    lab.kubectl(&["delete", "rc", "old", "--cascade=orphan"]).ok();
    let orphan = lab.kubectl(&["get", "pods", "-l", "app=old", "-o", "jsonpath={.items[*].metadata.ownerReferences}"]);
    assert_eq!(orphan.ok(), "");
    apply(
        &lab,
        "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: new}\nspec:\n  replicas: 1\n  template:\n    \
         metadata: {labels: {app: old}}\n    spec: {containers: [{name: c, image: httpenv}]}\n",
    );
    field_becomes(&lab, &["rc", "new"], "{.status.readyReplicas}", "1");
    lab.kubectl(&["delete", "rc", "new"]).ok();
    skiff_tests::eventually("nothing is left", Duration::from_secs(15), || {
        let left = lab.kubectl(&["get", "pods", "-o", "name"]).ok();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

#[test]
fn a_deployment_takes_its_sets_and_pods_along() {
    let Some(lab) = lab(&[]) else { return };
    deploy(&lab, "web", 2);
    lab.kubectl(&["delete", "deployment", "web"]).ok();
    skiff_tests::eventually("nothing is left", Duration::from_secs(15), || {
        let left = lab.kubectl(&["get", "replicasets,pods", "-o", "name"]).ok();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

#[test]
fn exit_codes_are_told() {
    let Some(lab) = lab(&[]) else { return };
    apply(
        &lab,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: ends}\nspec:\n  restartPolicy: Never\n  containers:\n  - {name: c, image: httpenv, args: [exit, '3']}\n",
    );
    field_becomes(&lab, &["pod", "ends"], "{.status.phase}", "Failed");
    field_becomes(&lab, &["pod", "ends"], "{.status.containerStatuses[0].state.terminated.exitCode}", "3");
}

#[test]
fn uninstall_leaves_nothing_and_proves_it() {
    let Some(mut lab) = lab(&[]) else { return };
    deploy(&lab, "web", 2);
    lab.kubectl(&["expose", "deployment/web", "--port", "8888", "--type", "LoadBalancer"]).ok();
    lab.stop_server("KILL");
    let cgroup = lab.cgroup().to_owned();
    let told = lab.skiff(&["uninstall", "--yes", "--cgroup-parent", &cgroup]).ok();
    assert!(told.contains("nothing is left"), "{told}");
    let links = lab.run("ip", &["-o", "link"]).ok();
    assert!(!links.contains("skiff"), "{links}");
    assert!(!lab.folder().join("data").exists() && !lab.folder().join("run").exists());
    let left = lab.run("find", &["/sys/fs/cgroup", "-maxdepth", "2", "-name", &cgroup]).ok();
    assert_eq!(left, "");
}
