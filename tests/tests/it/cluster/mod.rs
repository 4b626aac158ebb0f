//! The release binary in namespaces of its own, with stock kubectl, curl and skiff itself as clients.

mod debug;
mod endings;
mod failures;
mod shell;
mod streams;
mod survival;
mod top;
mod walkthrough;
mod wrong;

use std::{collections::BTreeSet, time::Duration};

use skiff_tests::{Lab, LabError, Options, eventually};

/// A lab with the sample image, or `None`, loudly, where this machine cannot have one.
pub(crate) fn lab(flags: &[&str]) -> Option<Lab> {
    let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    match Lab::start(Options { flags, image: true }) {
        Ok(lab) => Some(lab),
        Err(LabError::Missing(what)) => {
            assert!(std::env::var_os("SKIFF_BINARIES").is_none(), "the lab lacks {what}");
            eprintln!("SKIPPED: the lab lacks {what}");
            None
        }
        Err(LabError::Failed(why)) => panic!("{why}"),
    }
}

/// Applies a manifest with kubectl.
fn apply(lab: &Lab, manifest: &str) -> String {
    lab.run_with("kubectl", &["apply", "-f", "-"], manifest).ok()
}

/// A Deployment of the sample, all of whose pods are up.
pub(crate) fn deploy(lab: &Lab, name: &str, replicas: u32) {
    lab.kubectl(&["create", "deployment", name, "--image=httpenv", &format!("--replicas={replicas}")]).ok();
    lab.kubectl(&["rollout", "status", "deployment", name, "--timeout=20s"]).ok();
}

/// The body of an answer, or why there is none.
fn get(lab: &Lab, url: &str) -> Result<String, String> {
    let answer = lab.run("curl", &["-sS", "--max-time", "3", url]);
    if answer.code == 0 { Ok(answer.out) } else { Err(answer.err) }
}

/// The host names that answer at `url`, over `times` requests.
fn answering(lab: &Lab, url: &str, times: usize) -> Result<BTreeSet<String>, String> {
    (0..times)
        .map(|_| {
            let body = get(lab, url)?;
            let parsed: serde_json::Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
            parsed["HOSTNAME"].as_str().map(str::to_owned).ok_or(body)
        })
        .collect()
}

/// Waits until all of so many pods have answered at `url`.
pub(crate) fn answered_by_all(lab: &Lab, url: &str, pods: usize) {
    eventually(&format!("{pods} pods answer at {url}"), Duration::from_secs(10), || {
        let names = answering(lab, url, pods * 8)?;
        if names.len() == pods { Ok(()) } else { Err(format!("{names:?}")) }
    });
}

/// A value of an object by kubectl's JSON path.
pub(crate) fn field(lab: &Lab, object: &[&str], path: &str) -> String {
    let output = format!("jsonpath={path}");
    let mut args = vec!["get"];
    args.extend(object);
    args.extend(["-o", &output]);
    lab.kubectl(&args).ok()
}

/// Waits until a value of an object is as expected.
fn field_becomes(lab: &Lab, object: &[&str], path: &str, expected: &str) {
    eventually(&format!("{object:?} {path}"), Duration::from_secs(20), || {
        let value = field(lab, object, path);
        if value == expected { Ok(()) } else { Err(value) }
    });
}
