//! Shared pieces of the whole-binary tests and benchmarks: a lab in which one `skiff server` runs in
//! network and mount namespaces of its own, with its own folders and cgroup, and leaves nothing.

mod lab;
mod run;

pub use lab::{Binaries, Lab, LabError, Options};
pub use run::{Output, eventually, run};
