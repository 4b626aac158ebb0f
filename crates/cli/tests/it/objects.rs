//! Objects are made, shown, changed and deleted, in kubectl's words.

use crate::support::User;

#[tokio::test]
async fn the_walkthrough() {
    let user = User::new().await;
    assert_eq!(user.reads("create deployment httpenv --image=httpenv").await, "deployment.apps/httpenv created\n");
    assert_eq!(user.reads("scale deployment/httpenv --replicas=5").await, "deployment.apps/httpenv scaled\n");
    assert_eq!(user.sees("get deploy httpenv").await["spec"]["replicas"], 5);
    assert_eq!(user.reads("expose deployment/httpenv --port 8888").await, "service/httpenv exposed\n");
    let node_port = "expose deployment/httpenv --port 8888 --name httpenv-my-np --type NodePort";
    assert_eq!(user.reads(node_port).await, "service/httpenv-my-np exposed\n");
    let service = user.sees("get svc httpenv-my-np").await;
    assert_eq!(service["spec"]["selector"]["app"], "httpenv");
    assert!(service["spec"]["ports"][0]["nodePort"].as_u64().unwrap() >= 30000);
    assert_eq!(user.reads("delete deployment httpenv").await, "deployment.apps \"httpenv\" deleted\n");
    assert_eq!(
        user.reads("delete svc/httpenv svc/httpenv-my-np").await,
        "service \"httpenv\" deleted\nservice \"httpenv-my-np\" deleted\n"
    );
    assert!(!user.types("get svc httpenv").await.0);
}

#[tokio::test]
async fn dry_runs_change_nothing() {
    let user = User::new().await;
    let made = user.reads("create deployment web --image=a --dry-run=client").await;
    assert_eq!(made, "deployment.apps/web created (dry run)\n");
    let made = user.reads("create deployment web --image=a --dry-run=server").await;
    assert_eq!(made, "deployment.apps/web created (server dry run)\n");
    assert_eq!(user.reads("run p --image=a --dry-run=client -o name").await, "pod/p\n");
    assert!(!user.types("get deploy web").await.0);
    let (good, _) = user.types("delete pod absent").await;
    assert!(!good);
    assert!(user.types("delete pod absent --ignore-not-found").await.0);
    assert!(!user.types("delete pods").await.0, "a type alone deletes nothing");
}

#[tokio::test]
async fn apply_creates_configures_and_leaves_alone() {
    let user = User::new().await;
    let manifest =
        |extra: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  a: \"1\"\n{extra}");
    let file = user.file("c.yaml", &manifest("  b: \"2\"\n"));
    let apply = format!("apply -f {file}");
    assert_eq!(user.reads(&apply).await, "configmap/c created\n");
    assert_eq!(user.reads(&apply).await, "configmap/c unchanged\n");
    user.file("c.yaml", &manifest("  d: \"4\"\n"));
    assert_eq!(user.reads(&format!("{apply} --dry-run=server")).await, "configmap/c configured (server dry run)\n");
    assert_eq!(user.reads(&apply).await, "configmap/c configured\n");
    assert_eq!(user.sees("get cm c").await["data"], serde_json::json!({ "a": "1", "d": "4" }));
    user.file("c.yaml", &manifest("  d: \"5\"\n"));
    assert_eq!(user.reads(&format!("{apply} --server-side")).await, "configmap/c serverside-applied\n");
    assert_eq!(user.sees("get cm c").await["data"], serde_json::json!({ "a": "1", "d": "5" }));
    assert_eq!(user.reads(&format!("delete -f {file}")).await, "configmap \"c\" deleted\n");
}

#[tokio::test]
async fn apply_settles_deployments_and_services() {
    let user = User::new().await;
    let text = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: a, image: a, ports: [{containerPort: 80}], resources: {limits: {cpu: 100m}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: t, port: 53, protocol: TCP}, {name: u, port: 53, protocol: UDP}]
";
    let apply = format!("apply -f {}", user.file("web.yaml", text));
    assert_eq!(user.reads(&apply).await, "deployment.apps/web created\nservice/web created\n");
    assert_eq!(user.reads(&apply).await, "deployment.apps/web unchanged\nservice/web unchanged\n");
    user.file("web.yaml", &text.replace("image: a", "image: b"));
    assert_eq!(user.reads(&apply).await, "deployment.apps/web configured\nservice/web unchanged\n");
    let bad = user.file("bad.yaml", &text.replace("selector: {app: web}", "selektor: {app: web}"));
    let (good, said) = user.types(&format!("apply -f {bad}")).await;
    assert!(!good);
    assert_eq!(said, "deployment.apps/web configured\n");
}

#[tokio::test]
async fn waiting() {
    let user = User::new().await;
    user.reads("run p --image=a").await;
    assert_eq!(user.reads("wait pod/p --for=create").await, "pod/p condition met\n");
    assert_eq!(user.reads("wait pod/p --for=jsonpath={.metadata.name}=p").await, "pod/p condition met\n");
    assert!(!user.types("wait pod/p --for=condition=Ready --timeout=0").await.0);
    assert!(!user.types("wait pod/p --for=condition=Ready --timeout=50ms").await.0);
    assert!(!user.types("wait pod/absent --for=condition=Ready").await.0);
    let (gone, deleted) =
        tokio::join!(user.reads("wait pod/p --for=delete"), user.reads("delete pod p --force --grace-period=0"));
    assert_eq!((gone.as_str(), deleted.as_str()), ("pod/p condition met\n", "pod \"p\" force deleted\n"));
    user.reads("create deployment web --image=a").await;
    let (good, said) = user.types("rollout status deploy/web --timeout=50ms").await;
    assert_eq!((good, said.as_str()), (false, "Waiting for deployment spec update to be observed...\n"));
}
