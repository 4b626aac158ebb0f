//! Which process namespace a container's first process is born into: its own, the machine's, that of another container,
//! or one that all containers of the pod share.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::{prctl, signal::Signal};
use nix::unistd::{Gid, Uid, pipe2, setgroups, setresgid, setresuid};
use skiff_linux::caps::CapSet;
use skiff_linux::mount::{self, Attributes, Spread};
use skiff_linux::process::{self, Forked};

use crate::error::Fault;
use crate::paths::PodDir;
use crate::supervisor::rootfs::INERT;
use crate::supervisor::sandbox::step;

/// Whom the first process of a shared namespace runs as: nobody.
const NOBODY: u32 = 65_535;

/// Where a container's processes are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Processes<'a> {
    /// In a namespace of their own.
    Own,
    /// Among the machine's.
    Host,
    /// In the namespace of a process that runs.
    With(BorrowedFd<'a>),
}

impl Processes<'_> {
    /// The namespaces to make for the container.
    pub(super) fn namespaces(self) -> CloneFlags {
        let mut namespaces = CloneFlags::CLONE_NEWNS;
        namespaces.set(CloneFlags::CLONE_NEWPID, matches!(self, Self::Own));
        namespaces
    }

    /// Whether the process whose namespace it is has ended.
    pub(super) fn have_ended(self) -> bool {
        let Self::With(process) = self else { return false };
        poll(&mut [PollFd::new(process, PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Does `work`, whose children are born there. `home`: our own namespace, to come back to.
    pub(super) fn within<T>(self, home: BorrowedFd<'_>, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        let Self::With(process) = self else { return work() };
        // Only children are affected.
        setns(process, CloneFlags::CLONE_NEWPID).map_err(step("join the container's process namespace"))?;
        let done = work();
        setns(home, CloneFlags::CLONE_NEWPID).map_err(step("return from the process namespace"))?;
        done
    }
}

/// Starts the first process of a namespace that the pod's containers will share. It takes in orphans and does nothing
/// else, and since containers may look into it, it has no rights and sees no files.
pub(super) fn hold(dir: &PodDir) -> Result<OwnedFd, Fault> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).map_err(step("make a pipe"))?;
    match process::fork(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS, None).map_err(step("fork"))? {
        Forked::Parent { pidfd, .. } => {
            drop(write);
            let mut said = Vec::new();
            File::from(read).read_to_end(&mut said).map_err(step("hear of the shared process namespace"))?;
            let heard = serde_json::from_slice::<Result<(), Fault>>(&said);
            heard.unwrap_or_else(|_| Err(Fault::Died { how: "an unknown cause".into() }))?;
            Ok(pidfd)
        }
        Forked::Child => {
            drop(read);
            let confined = confine(dir);
            let said = serde_json::to_vec(&confined).map_err(io::Error::from);
            match said.and_then(|said| File::from(write).write_all(&said)) {
                Ok(()) if confined.is_ok() => process::idle(),
                _ => process::exit_now(1),
            }
        }
    }
}

fn confine(dir: &PodDir) -> Result<(), Fault> {
    let failed = |error: io::Error| step("confine the shared process namespace")(error);
    prctl::set_name(c"skiff-pause").map_err(step("name the first process"))?;
    nix::unistd::setsid().map_err(step("make a session"))?;
    mount::change_at(std::path::Path::new("/"), Attributes::NONE, Some(Spread::Slave), true).map_err(failed)?;
    let options = [("mode", Some(std::path::Path::new("555"))), ("nr_inodes", Some(std::path::Path::new("2")))];
    let nothing = mount::new_filesystem("tmpfs", &options, Attributes::READONLY.and(INERT)).map_err(failed)?;
    mount::attach(nothing.as_fd(), mount::open_target(&dir.0).map_err(failed)?.as_fd()).map_err(failed)?;
    mount::pivot(&dir.0).map_err(failed)?;
    let none = CapSet::none();
    none.bound().map_err(failed)?;
    setgroups(&[]).map_err(step("leave all groups"))?;
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    setresgid(gid, gid, gid).map_err(step("set group"))?;
    setresuid(uid, uid, uid).map_err(step("set user"))?;
    none.apply().map_err(failed)?;
    prctl::set_no_new_privs().map_err(step("set no_new_privs"))?;
    // After the change of user, which clears it.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("tie the first process to its supervisor"))
}
