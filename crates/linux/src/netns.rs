//! Network namespaces, entered only by threads that end there.
//!
//! A thread's namespace is inherited by the threads it starts and must never leak into a shared runtime.
//! So nothing here changes the caller: work in another namespace runs on a thread of its own, which is
//! never used for anything else.

use std::{fs::File, io, os::fd::AsFd, panic, path::Path, thread};

use nix::sched::{CloneFlags, setns, unshare};

/// Runs `work` on a fresh thread within the network namespace at `path` (`/proc/<pid>/ns/net`, a bind mount).
///
/// # Errors
/// When the namespace cannot be opened or entered.
pub fn within<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let namespace = File::open(path)?;
    on_fresh_thread(|| setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).map_err(io::Error::from), work)
}

/// The same for an open namespace.
///
/// # Errors
/// When the namespace cannot be entered.
pub fn within_open<T: Send>(namespace: &impl AsFd, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let namespace = namespace.as_fd();
    on_fresh_thread(move || setns(namespace, CloneFlags::CLONE_NEWNET).map_err(io::Error::from), work)
}

/// Makes a network namespace that lives as long as the returned handle or anything in it.
///
/// # Errors
/// Without `CAP_SYS_ADMIN`.
pub fn create() -> io::Result<File> {
    on_fresh_thread(|| unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from), current)?
}

/// The calling thread's network namespace.
///
/// # Errors
/// Without a mounted `/proc`.
pub fn current() -> io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

fn on_fresh_thread<T: Send>(
    enter: impl FnOnce() -> io::Result<()> + Send,
    work: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    thread::scope(|scope| {
        let worker =
            thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, || enter().map(|()| work()))?;
        worker.join().unwrap_or_else(|cause| panic::resume_unwind(cause))
    })
}
