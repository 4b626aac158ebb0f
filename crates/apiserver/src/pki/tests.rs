//! What is kept, what is renewed, and what is refused.

use std::{fs, net::IpAddr, os::unix::fs::PermissionsExt as _};

use jiff::{Timestamp, ToSpan as _};

use super::{Pki, PkiError, ServingNames};

fn names() -> ServingNames {
    ServingNames::of_cluster("cluster.local", ["10.96.0.1".parse::<IpAddr>().unwrap()])
}

#[test]
fn files_are_private_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("pki");
    let now = Timestamp::now();
    let first = Pki::open(&dir, &names(), now).unwrap();
    let second = Pki::open(&dir, &names(), now).unwrap();
    assert_eq!(first.ca(), second.ca());
    assert_eq!(first.serving.certificate, second.serving.certificate);
    assert_eq!(first.admin().key, second.admin().key);
    for file in fs::read_dir(&dir).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
    second.server_config().unwrap();
}

#[test]
fn new_names_and_age_renew_the_serving_certificate_only() {
    let dir = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let first = Pki::open(dir.path(), &names(), now).unwrap();
    let mut more = names();
    more.addresses.insert("192.0.2.7".parse().unwrap());
    let named = Pki::open(dir.path(), &more, now).unwrap();
    assert_ne!(first.serving.certificate, named.serving.certificate);
    assert_eq!(first.ca(), named.ca());
    let later = now.checked_add((24 * 350).hours()).unwrap();
    let aged = Pki::open(dir.path(), &more, later).unwrap();
    assert_ne!(aged.serving.certificate, named.serving.certificate);
    assert_ne!(aged.admin().certificate, named.admin().certificate);
    assert_eq!(aged.ca(), named.ca());
}

#[test]
fn a_damaged_file_is_named_and_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    Pki::open(dir.path(), &names(), Timestamp::now()).unwrap();
    fs::write(dir.path().join("ca.key"), "nonsense").unwrap();
    let error = Pki::open(dir.path(), &names(), Timestamp::now()).err().unwrap();
    assert!(matches!(error, PkiError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("ca.key"), "{error}");
    assert_eq!(fs::read_to_string(dir.path().join("ca.key")).unwrap(), "nonsense");
}

#[test]
fn the_kubeconfig_is_yaml_with_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::open(dir.path(), &names(), Timestamp::now()).unwrap();
    let text = pki.admin_kubeconfig("https://127.0.0.1:6443");
    let parsed: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(parsed["clusters"][0]["cluster"]["server"], "https://127.0.0.1:6443");
    assert_eq!(parsed["current-context"], "skiff");
}
