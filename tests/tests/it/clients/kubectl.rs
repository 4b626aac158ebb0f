//! kubectl as it is installed, and Debian 12's of years ago: the same job with both.

use super::cached;
use crate::cluster::{answered_by_all, field, lab};
use skiff_tests::Lab;

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: COLOUR}\n";

/// The Services of the walkthrough and the usual verbs.
fn works(lab: &Lab, kubectl: &str) {
    let with = |input: &str, words: &str| {
        let args: Vec<&str> = words.split(' ').collect();
        lab.run_with(kubectl, &args, input)
    };
    let run = |words: &str| with("", words).ok();
    run("create deployment web --image=httpenv --replicas=2");
    run("rollout status deployment web --timeout=20s");
    run("expose deployment/web --port 8888");
    run("expose deployment/web --port 8888 --name web-np --type NodePort");
    run("expose deployment/web --port 8888 --name web-lb --type LoadBalancer");
    answered_by_all(lab, &format!("{}:8888", field(lab, &["service", "web"], "{.spec.clusterIP}")), 2);
    let port = field(lab, &["service", "web-np"], "{.spec.ports[0].nodePort}");
    answered_by_all(lab, &format!("localhost:{port}"), 2);
    answered_by_all(lab, "localhost:8888", 2);

    let blue = CONFIG.replace("COLOUR", "blue");
    assert_eq!(with(&CONFIG.replace("COLOUR", "red"), "create -f -").ok(), "configmap/settings created\n");
    assert_eq!(with(&blue, "apply -f -").code, 0);
    assert_eq!(with(&blue, "apply -f -").ok(), "configmap/settings unchanged\n");
    let green = CONFIG.replace("COLOUR", "green");
    assert_eq!(with(&green, "apply --dry-run=server -f -").ok(), "configmap/settings configured (server dry run)\n");
    let difference = with(&green, "diff -f -");
    assert!(difference.code == 1 && difference.out.contains("+  colour: green"), "{difference:?}");
    let side = with(&green, "apply --server-side --field-manager=other -f -");
    assert!(side.code != 0 && side.err.contains("conflict with \"kubectl-client-side-apply\""), "{side:?}");
    let forced = with(&green, "apply --server-side --field-manager=other --force-conflicts -f -").ok();
    assert_eq!(forced, "configmap/settings serverside-applied\n");
    let typo = with(&blue.replace("data", "dota"), "create -f -");
    assert!(typo.code != 0 && typo.err.contains("dota"), "{typo:?}");
    assert!(run("explain deployment.spec.template.spec.containers").contains("livenessProbe"));
    assert!(run("explain pods --recursive").contains("hostAliases"));

    run("annotate service web a=b");
    run("label service web tier=front --overwrite");
    assert!(run("get services -l tier=front").contains("web "));
    run("patch service web --type=json -p [{\"op\":\"remove\",\"path\":\"/metadata/labels/tier\"}]");
    run("set env deployment/web A=b");
    run("rollout undo deployment/web");
    run("rollout status deployment/web --timeout=20s");
    run("scale deployment/web --replicas=1");
    assert!(run("logs deployment/web").contains("listening"));
    assert!(run("exec deployment/web -- /httpenv get http://localhost:8888/").contains("HOSTNAME"));
    assert!(run("describe service web").contains("Endpoints:"));
    assert!(run("describe deployment web").contains("RollingUpdate"));
    assert!(run("api-resources").contains("deployments"));
    assert!(run("api-versions").contains("apps/v1\n"));
    assert_eq!(run("auth can-i create pods"), "yes\n");
    run("delete configmap/settings service/web service/web-np service/web-lb deployment/web --wait");
    assert!(with("", "get deployments").ok().is_empty());
}

#[test]
fn kubectl_as_installed() {
    let Some(lab) = lab(&[]) else { return };
    works(&lab, "kubectl");
    every_kind_is_explained(&lab);
}

#[test]
fn debians_kubectl_1_20() {
    let Some(kubectl) = cached("debian/usr/bin/kubectl") else { return };
    let Some(lab) = lab(&[]) else { return };
    let kubectl = kubectl.display().to_string();
    assert!(lab.run(&kubectl, &["version", "--client", "--short"]).ok().contains("v1.20."));
    works(&lab, &kubectl);
}

fn every_kind_is_explained(lab: &Lab) {
    let script = "kubectl api-resources --no-headers | while read -r name rest; do set -- $rest; \
        while [ $# -gt 3 ]; do shift; done; echo \"$name --api-version=$1\"; done | \
        xargs -P 4 -I {} sh -c 'kubectl explain --recursive {} >/dev/null || echo {}'";
    let limit = std::time::Duration::from_secs(120);
    let failed = skiff_tests::run(lab.inside("sh").args(["-c", script]), "", limit).unwrap();
    assert!(failed.code == 0 && failed.out.is_empty(), "not explained: {}\n{}", failed.out, failed.err);
}
