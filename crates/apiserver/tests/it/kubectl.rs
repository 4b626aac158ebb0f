//! Stock kubectl applies: by the client, by the server, and from the one to the other.

use std::{path::Path, time::Duration};

use serde_json::Value;

use crate::{
    serving::{pki, serving},
    support::Server,
};

/// kubectl 1.32 where it is installed beside others.
const KUBECTLS: [&str; 2] = ["/usr/lib/google-cloud-sdk/bin/kubectl.1.32", "/usr/bin/kubectl"];

struct Kubectl {
    program: &'static str,
    config: std::path::PathBuf,
    home: std::path::PathBuf,
}

impl Kubectl {
    /// Runs it with that input; the exit code and everything that it says.
    async fn run(&self, args: &[&str], input: &str) -> (i32, String) {
        use tokio::io::AsyncWriteExt as _;
        let mut command = tokio::process::Command::new(self.program);
        command.arg("--kubeconfig").arg(&self.config).args(args).env("HOME", &self.home);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.stderr(std::process::Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = tokio::time::timeout(Duration::from_secs(120), child.wait_with_output()).await.unwrap().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    async fn ok(&self, args: &[&str], input: &str) -> String {
        let (code, said) = self.run(args, input).await;
        assert_eq!(code, 0, "{args:?}: {said}");
        said
    }
}

fn manifest(replicas: u8, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: {replicas}\n  selector:\n    \
         matchLabels:\n      app: web\n  template:\n    metadata:\n      labels:\n        app: web\n    spec:\n      \
         containers:\n      - name: c\n        image: {image}\n        ports:\n        - containerPort: 80\n"
    )
}

async fn managers(server: &Server) -> Vec<String> {
    let web = server.get("/apis/apps/v1/namespaces/default/deployments/web").await.expect(200);
    let list = web["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.iter().map(|entry| format!("{} {}", text(&entry["manager"]), text(&entry["operation"]))).collect()
}

#[tokio::test]
async fn kubectl_applies_by_client_and_server() {
    let Some(program) = KUBECTLS.into_iter().find(|program| Path::new(program).exists()) else { return };
    let server = Server::start().await;
    let (config, home) = (server.folder.path().join("kubeconfig"), server.folder.path().join("home"));
    let pki = pki(&server);
    let server = &server;
    serving(server, |address| async move {
        pki.write_admin_kubeconfig(&config, &format!("https://{address}")).unwrap();
        let kubectl = Kubectl { program, config, home };
        let by_client = ["apply", "-f", "-"];
        let by_server = ["apply", "--server-side", "-f", "-"];
        assert!(kubectl.ok(&by_client, &manifest(1, "one")).await.contains("deployment.apps/web created"));
        assert!(kubectl.ok(&by_client, &manifest(1, "one")).await.contains("unchanged"));
        assert!(kubectl.ok(&by_server, &manifest(2, "two")).await.contains("web serverside-applied"));
        // kubectl itself turns its former entry into an applier's, and keeps its annotation.
        let mut appliers = managers(server).await;
        appliers.sort();
        assert_eq!(appliers, ["kubectl Apply", "kubectl-last-applied Apply"]);
        let shown = kubectl.ok(&["get", "deployment", "web", "-o", "yaml"], "").await;
        assert!(!shown.contains("managedFields"), "{shown}");
        let args = ["get", "deployment", "web", "-o", "yaml", "--show-managed-fields"];
        assert!(kubectl.ok(&args, "").await.contains("k:{\"containerPort\":80,\"protocol\":\"TCP\"}"));
        kubectl.ok(&["scale", "deployment", "web", "--replicas=5"], "").await;
        let (code, said) = kubectl.run(&by_server, &manifest(3, "two")).await;
        assert_eq!(code, 1);
        let conflict = "with subresource \"scale\" using apps/v1: .spec.replicas";
        assert!(said.contains(conflict), "{said}");
        let (code, said) =
            kubectl.run(&["diff", "--server-side", "--force-conflicts", "-f", "-"], &manifest(3, "two")).await;
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("-  replicas: 5") && said.contains("+  replicas: 3"), "{said}");
        kubectl.ok(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &manifest(3, "two")).await;
        let (code, said) = kubectl.run(&["diff", "-f", "-"], &manifest(3, "three")).await;
        assert!(code == 1 && said.contains("+      - image: three"), "{code} {said}");
        kubectl.ok(&["diff", "-f", "-"], &manifest(3, "two")).await;
        let said = kubectl.ok(&["apply", "--dry-run=server", "-f", "-"], &manifest(4, "two")).await;
        assert!(said.contains("configured (server dry run)"), "{said}");
        kubectl.ok(&by_client, &manifest(4, "four")).await;
        let owners = managers(server).await;
        assert!(owners.contains(&"kubectl-client-side-apply Update".to_owned()), "{owners:?}");
        let (code, said) =
            kubectl.run(&by_server, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndat: {}\n").await;
        assert!(code == 1 && said.contains(".dat: field not declared in schema"), "{said}");
    })
    .await;
}
