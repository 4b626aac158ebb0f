//! Processes: fork into new namespaces and control groups, and what a child does before it becomes a program.

use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use nix::sched::CloneFlags;
use nix::unistd::Pid;

/// The libc crate's constant is too narrow for it.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// Which side of a [`fork`] this is.
#[derive(Debug)]
pub enum Forked {
    /// The new process.
    Child,
    /// The old one.
    Parent {
        /// The new process's id, as the old one sees it.
        pid: Pid,
        /// A descriptor for it.
        pidfd: OwnedFd,
    },
}

/// How many threads this process has.
///
/// # Errors
/// When `/proc` can't be read.
pub fn thread_count() -> io::Result<u64> {
    // The folder holds one sub-folder per thread; its link count is that number plus `.` and its own name.
    Ok(std::fs::metadata("/proc/self/task")?.nlink().saturating_sub(2))
}

/// Forks, with the child in new namespaces and, where given, in the version 2 control group whose folder is `cgroup`.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] when this process has more than one thread, or when the kernel refuses.
pub fn fork(namespaces: CloneFlags, cgroup: Option<&File>) -> io::Result<Forked> {
    if thread_count()? != 1 {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "only a process with one thread may fork"));
    }
    let mut pidfd: libc::c_int = -1;
    // SAFETY: `clone_args` is a plain C struct for which all zeroes is a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = namespaces.bits() as u64 | libc::CLONE_PIDFD as u64;
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM this is fork: the child has its own copy of the memory and goes on with the same stack.
    // There is one thread (checked above; only that thread could start another), so no lock is held by a thread that
    // the child lacks, and the child may run any safe code. `args` outlives the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => {
            // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Forked::Parent { pid: Pid::from_raw(pid as libc::pid_t), pidfd })
        }
    }
}

/// Ends this process at once: no destructors, no buffers. For a child that has not become its program.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no requirements and does not return.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor and waits for this process's own end; children that end meanwhile leave nothing behind.
/// For a child that is to be the first process of a namespace and nothing else.
pub fn idle() -> ! {
    // SAFETY: nothing of this process runs after this but the loop below, which uses no descriptor.
    unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) };
    // SAFETY: SIG_IGN runs no code of ours; with it the kernel waits for children by itself.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    loop {
        nix::unistd::pause();
    }
}

/// Marks every descriptor from `first` on to be closed when this process becomes another program.
///
/// # Errors
/// When the kernel refuses.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: CLOSE_RANGE_CLOEXEC only sets a flag, no descriptor is closed under anyone.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes `fd` this process's descriptor `number` (0, 1 or 2).
///
/// # Errors
/// When the kernel refuses, or the number is not a standard stream's.
pub fn set_standard_stream(fd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    if !(0..=2).contains(&number) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the standard streams are never owned by an `OwnedFd`; replacing one changes where output goes, no more.
    if unsafe { libc::dup2(fd.as_raw_fd(), number) } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives every signal its default action and unblocks all, as a program expects to be started.
pub fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL runs no code of ours. Signals that can't be changed give an error, which is as good.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // An empty mask is always accepted.
    nix::sys::signal::SigSet::empty().thread_set_mask().ok();
}

/// A descriptor for a process that may not be our child.
///
/// # Errors
/// When there is no such process.
pub fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Sends a signal to the process behind a descriptor, which can't have become another one meanwhile.
///
/// # Errors
/// When the process is gone or the kernel refuses.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let none: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: a null siginfo is allowed and means "as kill does".
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Brings the loopback link of this thread's network namespace up.
///
/// # Errors
/// When the kernel refuses.
pub fn loopback_up() -> io::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: `ifreq` is a plain C struct for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an `ifreq`, which outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_may_not_fork() {
        let other = std::thread::spawn(std::thread::park);
        let error = fork(CloneFlags::empty(), None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        other.thread().unpark();
        other.join().unwrap();
    }

    #[test]
    fn a_signal_by_descriptor_ends_the_process() {
        use std::os::fd::AsFd;
        use std::os::unix::process::ExitStatusExt;
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_raw(child.id() as i32)).unwrap();
        pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }
}
