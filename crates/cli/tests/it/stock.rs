//! What `--dry-run=client -o yaml` prints, beside what kubectl prints for the same words.

use std::process::Command;

use crate::support::User;

/// What the kubectl of this machine prints; `None` without one.
fn kubectl(line: &str) -> Option<String> {
    let (before, after) = line.split_once(" -- ").unwrap_or((line, ""));
    let after = after.split_whitespace();
    let flags = ["--dry-run=client", "-o", "yaml", "--"];
    let words = before.split(' ').chain(flags).chain(after);
    let output = match Command::new("kubectl").args(words).env("KUBECONFIG", "/dev/null").output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: no kubectl to compare with ({error})");
            return None;
        }
    };
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn generators_make_what_kubectl_makes() {
    let user = User::new().await;
    for line in [
        "create deployment web --image=a",
        "create deployment web --image=r.io/x/a:1,b --replicas=3 --port=80",
        "create deployment web --image=a -- sleep 5",
        "create namespace red",
        "create serviceaccount robot",
        "create configmap c --from-literal=a=b --from-literal=c=d",
        "create secret generic s --from-literal=a=b --type=x/y",
        "create secret docker-registry s --docker-server=r.io --docker-username=u --docker-password=p --docker-email=e@x",
        "create service clusterip web --tcp=80:8080 --tcp=443",
        "create service clusterip web --clusterip=None",
        "create service nodeport web --tcp=80 --node-port=30080",
        "create service loadbalancer web --tcp=80:http",
        "create service externalname web --external-name=example.org",
    ] {
        let Some(expected) = kubectl(line) else { return };
        let (before, after) = line.split_once(" -- ").map_or((line, None), |(before, after)| (before, Some(after)));
        let after = after.map_or_else(String::new, |words| format!(" -- {words}"));
        let made = user.reads(&format!("{before} --dry-run=client -o yaml{after}")).await;
        assert_eq!(made, expected, "{line}");
    }
}
