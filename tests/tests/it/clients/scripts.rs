//! The clients in other languages: each script says `passed` once all of its parts went well.

use std::{path::Path, time::Duration};

use super::cached;
use crate::cluster::lab;

/// What a script may take; it takes a few seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a script of `tests/clients` with an interpreter of the cache, or one that is installed.
fn passes(interpreter: &str, script: &str, parts: &[&str]) {
    let (python, node) = (cached("python/bin/python"), cached("node/node_modules"));
    let (Some(python), Some(node)) = (python, node) else { return };
    let Some(lab) = lab(&[]) else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
    let program = if interpreter == "python" { python.display().to_string() } else { interpreter.to_owned() };
    let mut command = lab.inside(&program);
    // Where the JavaScript finds its modules.
    let cache = node.parent().and_then(Path::parent).unwrap();
    command.arg(script).args(parts).env("SKIFF_CLIENTS", cache).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = skiff_tests::run(&mut command, "", LIMIT).unwrap();
    assert_eq!(output.out.trim_end().lines().last(), Some("passed"), "{}\n{}", output.out, output.err);
}

#[test]
fn the_python_client() {
    passes(
        "python",
        "python.py",
        &["patches", "watches", "pages", "discovery", "election", "logs", "execute", "apply"],
    );
}

#[test]
fn the_javascript_client() {
    // Objects are scaled, and may take the pod away that the other parts look at.
    passes("node", "node.mjs", &["informer", "logs", "execute", "objects", "apply"]);
}

#[test]
fn the_calls_that_helm_makes() {
    passes("python", "helm.py", &["apply"]);
}
