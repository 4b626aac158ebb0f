//! Who may depend on whom, by `cargo metadata`.

use std::{collections::BTreeMap, process::Command};

/// The allowed arrows between the workspace's crates.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("skiff-api", &[][..]),
        ("skiff-store", &[]),
        ("skiff-linux", &[]),
        ("skiff-client", &["skiff-api"]),
        ("skiff-apiserver", &["skiff-api", "skiff-store"]),
        ("skiff-controllers", &["skiff-api", "skiff-client"]),
        ("skiff-scheduler", &["skiff-api", "skiff-client"]),
        ("skiff-kubelet", &["skiff-api", "skiff-client", "skiff-runtime", "skiff-image", "skiff-network"]),
        ("skiff-runtime", &["skiff-linux"]),
        ("skiff-image", &["skiff-linux"]),
        ("skiff-network", &["skiff-linux"]),
        ("skiff-proxy", &["skiff-api", "skiff-client", "skiff-linux"]),
        ("skiff-dns", &["skiff-api", "skiff-client", "skiff-linux"]),
        ("skiff-loadbalancer", &["skiff-api", "skiff-client", "skiff-linux"]),
        ("skiff-cli", &["skiff-api", "skiff-client"]),
        ("httpenv", &[]),
        ("skiff-tests", &[]),
    ])
}

/// These may use every crate: the binary wires them, the testkit is for tests only.
const WIRING: [&str; 2] = ["skiff", "skiff-testkit"];

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(super::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn only_the_allowed_arrows_exist() {
    let metadata = metadata();
    let allowed = allowed();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            let ours = dependency["path"].is_string();
            let for_tests = dependency["kind"] == "dev";
            let fine = match on {
                _ if !ours => true,
                "skiff" => false,
                "skiff-testkit" => for_tests,
                _ if WIRING.contains(&name) => true,
                _ => allowed.get(name).is_some_and(|list| list.contains(&on)),
            };
            if !fine {
                wrong.push(format!("{name} -> {on}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that ARCHITECTURE.md does not allow: {wrong:?}");
}

#[test]
fn every_crate_has_its_arrows_listed() {
    let metadata = metadata();
    let allowed = allowed();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        assert!(WIRING.contains(&name) || allowed.contains_key(name), "{name} has no entry in the list of arrows");
    }
}

#[test]
fn the_top_level_holds_nothing_else() {
    let known = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "ARCHITECTURE.md",
        "Vagrantfile",
        "clippy.toml",
        "cmd",
        "crates",
        "deny.toml",
        "examples",
        "rustfmt.toml",
        "scripts",
        "target",
        "tests",
    ];
    for entry in std::fs::read_dir(super::root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(name.starts_with('.') || known.contains(&name.as_str()), "{name} does not belong to the top level");
    }
}
