//! The kubeconfig file, as clients of Kubernetes read it.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::Certified;

/// A kubeconfig with one cluster, user and context, all named after skiff.
pub(super) fn render(server: &str, ca: &str, user: &str, certified: &Certified) -> String {
    let [ca, certificate, key] = [ca, &certified.certificate, &certified.key].map(|pem| BASE64_STANDARD.encode(pem));
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: skiff
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: skiff-{user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: skiff
  context:
    cluster: skiff
    user: skiff-{user}
current-context: skiff
preferences: {{}}
"
    )
}
