//! The store from outside: what it promises, on real files, under real failures.
#![allow(clippy::unwrap_used)]

mod crashes;
mod folder;
mod load;
mod model;
mod storage;
mod transactions;
mod watching;

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use skiff_store::{Options, Store};

/// Runs a test with a limit in time, on a runtime of its own.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await })
        .expect("the test took too long")
}

/// A store in a fresh folder.
fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    (folder, store)
}

/// Says that a test was passed over, past the test harness, which would keep it to itself.
fn skipped(reason: impl Display) {
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: no disk of our own ({reason}): this needs root, loop devices and mkfs.ext4"
    );
}
