//! Objects are marked, patched, looked at, and rolled back.

use crate::support::User;

#[tokio::test]
async fn marks() {
    let user = User::new().await;
    user.reads("run p --image=a").await;
    assert_eq!(user.reads("label pod p a=b").await, "pod/p labeled\n");
    assert_eq!(user.reads("label pod p a=b").await, "pod/p not labeled\n");
    assert!(!user.types("label pod p a=c").await.0);
    assert_eq!(user.reads("label pod/p a=c --overwrite").await, "pod/p labeled\n");
    assert_eq!(user.reads("label pods --all a-").await, "pod/p unlabeled\n");
    assert_eq!(user.reads("label pod p a-").await, "label \"a\" not found.\npod/p not labeled\n");
    assert_eq!(user.reads("annotate pod p x=y").await, "pod/p annotated\n");
    assert_eq!(user.sees("get pod p").await["metadata"]["annotations"]["x"], "y");
}

#[tokio::test]
async fn patches_and_settings() {
    let user = User::new().await;
    user.reads("create deployment web --image=a").await;
    let patch = ["patch", "deploy", "web", "-p", r#"{"spec":{"replicas":3}}"#];
    assert_eq!(user.passes(&patch).await.1, "deployment.apps/web patched\n");
    assert_eq!(user.passes(&patch).await.1, "deployment.apps/web patched (no change)\n");
    let json = ["patch", "deploy/web", "--type=json", "-p", r#"[{"op":"replace","path":"/spec/replicas","value":4}]"#];
    assert_eq!(user.passes(&json).await.1, "deployment.apps/web patched\n");
    assert_eq!(user.reads("set image deployment/web a=b").await, "deployment.apps/web image updated\n");
    assert_eq!(user.reads("set env deployment/web X=1 Y=2").await, "deployment.apps/web env updated\n");
    assert_eq!(user.reads("set env deployment/web X-").await, "deployment.apps/web env updated\n");
    assert_eq!(user.reads("set env deployment/web --list").await, "# deployments web, container a\nY=2\n");
    let spec = user.sees("get deploy web").await["spec"].clone();
    assert_eq!((&spec["replicas"], &spec["template"]["spec"]["containers"][0]["image"]), (&4.into(), &"b".into()));
    assert!(!user.types("set image deployment/web nobody=b").await.0);
}

#[tokio::test]
async fn rollouts() {
    let user = User::new().await;
    user.reads("create deployment web --image=a").await;
    assert_eq!(user.reads("rollout pause deploy/web").await, "deployment.apps/web paused\n");
    assert!(!user.types("rollout pause deploy/web").await.0);
    assert!(!user.types("rollout restart deploy/web").await.0);
    assert_eq!(user.reads("rollout resume deploy/web").await, "deployment.apps/web resumed\n");
    assert_eq!(user.reads("rollout restart deploy/web").await, "deployment.apps/web restarted\n");
    assert_eq!(user.reads("rollout history deploy/web").await, "deployment.apps/web \nREVISION  CHANGE-CAUSE\n\n");
    assert!(!user.types("rollout undo deploy/web").await.0);
    let uid = user.sees("get deploy web").await["metadata"]["uid"].as_str().unwrap().to_owned();
    for (revision, image) in [("1", "old"), ("2", "new")] {
        user.reads(&format!("apply -f {}", user.file("rs.yaml", &revised(revision, image, &uid)))).await;
    }
    let history = "deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n\n";
    assert_eq!(user.reads("rollout history deploy/web").await, history);
    assert!(user.reads("rollout history deploy/web --revision=1").await.contains("Image:"));
    assert_eq!(user.reads("rollout undo deploy/web").await, "deployment.apps/web rolled back\n");
    let template = user.sees("get deploy web").await["spec"]["template"].clone();
    assert_eq!(template["spec"]["containers"][0]["image"], "old");
    assert!(!user.types("rollout undo deploy/web --to-revision=9").await.0);
}

/// A replica set as the deployment controller makes it.
fn revised(revision: &str, image: &str, uid: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web-{revision}
  annotations: {{deployment.kubernetes.io/revision: \"{revision}\"}}
  ownerReferences: [{{apiVersion: apps/v1, kind: Deployment, name: web, uid: {uid}, controller: true}}]
spec:
  selector: {{matchLabels: {{app: web, pod-template-hash: h}}}}
  template:
    metadata: {{labels: {{app: web, pod-template-hash: h}}}}
    spec: {{containers: [{{name: a, image: {image}}}]}}
"
    )
}

#[tokio::test]
async fn descriptions() {
    let user = User::new().await;
    user.reads("create deployment web --image=a --port=80").await;
    user.reads("expose deployment web").await;
    user.reads("run p --image=a --env=A=b").await;
    user.reads("create secret generic s --from-literal=password=hidden").await;
    user.reads("create configmap c --from-literal=a=b").await;
    let service = user.reads("describe svc web").await;
    for part in ["Name:                     web\n", "Selector:                 app=web\n", "  80/TCP\n", "Events:"] {
        assert!(service.contains(part), "{part:?} in {service}");
    }
    let pod = user.reads("describe pod p").await;
    for part in ["Containers:\n  p:\n", "      A:  b\n", "Node:             <none>\n", "Events:"] {
        assert!(pod.contains(part), "{part:?} in {pod}");
    }
    let deployment = user.reads("describe deployment web").await;
    assert!(deployment.contains("25% max unavailable, 25% max surge"), "{deployment}");
    let secret = user.reads("describe secret s").await;
    assert!(secret.contains("password:  6 bytes") && !secret.contains("hidden"), "{secret}");
    assert!(user.reads("describe cm c").await.contains("Data\n====\na:\n----\nb\n"));
    assert!(user.reads("describe ns default").await.contains("Status:       Active\n"));
    for line in ["describe sa default", "describe endpointslices", "describe endpoints kubernetes", "describe svc -A"] {
        assert!(user.reads(line).await.contains("Name:"), "{line}");
    }
    assert!(!user.types("describe pod absent").await.0);
}

#[tokio::test]
async fn the_server_tells_of_itself() {
    let user = User::new().await;
    let resources = user.reads("api-resources").await;
    assert!(
        resources.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")
            == "deployments deploy apps/v1 true Deployment"),
        "{resources}"
    );
    assert!(user.reads("api-versions").await.contains("apps/v1\n"));
    assert!(user.reads("version").await.contains("Server Version: v1."));
    assert!(user.reads("cluster-info").await.starts_with("Kubernetes control plane is running at "));
    assert_eq!(user.reads("create token default").await.matches('.').count(), 2);
}

#[tokio::test]
async fn the_server_applies() {
    let user = User::new().await;
    let file = |name: &str, data: &str| {
        user.file(name, &format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {data}\n"))
    };
    let (first, other) = (file("first.yaml", "{a: '1', b: '1'}"), file("other.yaml", "{b: '2'}"));
    let applied = "configmap/c serverside-applied\n";
    assert_eq!(user.reads(&format!("apply --server-side -f {first}")).await, applied);
    assert_eq!(user.sees("get configmap c").await["metadata"]["annotations"], serde_json::Value::Null);
    let owners = "get configmap c -o jsonpath={.metadata.managedFields[*].manager}";
    assert_eq!(user.reads(owners).await, "kubectl");
    let line = format!("apply --server-side --field-manager=two -f {other}");
    assert!(!user.types(&line).await.0);
    assert_eq!(user.sees("get configmap c").await["data"]["b"], "1");
    assert_eq!(user.reads(&format!("{line} --force-conflicts")).await, applied);
    assert_eq!(user.sees("get configmap c").await["data"], serde_json::json!({"a": "1", "b": "2"}));
    let left = file("left.yaml", "{b: '2'}");
    assert_eq!(
        user.reads(&format!("apply --server-side -f {left} --dry-run=server")).await,
        "configmap/c serverside-applied (server dry run)\n"
    );
    assert_eq!(user.reads(&format!("apply --server-side -f {left}")).await, applied);
    assert_eq!(user.sees("get configmap c").await["data"], serde_json::json!({"b": "2"}));
    assert!(!user.types(&format!("apply --server-side --dry-run=client -f {left}")).await.0);
}
