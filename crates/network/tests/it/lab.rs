//! Namespaces for tests: a host without anything, and pods.

use std::{fs::File, os::fd::AsRawFd as _, path::PathBuf};

use skiff_linux::netns;
use skiff_network::Config;

/// Runs `test` as on a fresh host: a network namespace with nothing set up, and a run folder.
pub(crate) fn on_host(test: impl FnOnce(Config) + Send) {
    let run_dir = tempfile::tempdir().unwrap();
    let host = netns::create().unwrap();
    netns::within_open(&host, || test(Config::new(run_dir.path()))).unwrap();
}

/// A pod's network namespace.
pub(crate) struct Pod(File);

impl Pod {
    pub(crate) fn new() -> Self {
        Self(netns::create().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }

    /// Runs `work` inside.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        netns::within_open(&self.0, work).unwrap()
    }
}
