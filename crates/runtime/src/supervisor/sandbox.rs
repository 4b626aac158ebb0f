//! What a pod's containers share: namespaces, host name, sysctls, control group, `/dev/shm`.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use nix::mount::MsFlags;
use nix::sched::{CloneFlags, unshare};
use skiff_linux::cgroup::{self, Group, Hierarchies};
use skiff_linux::process;

use crate::error::{Fault, Reason};
use crate::paths::{self, PodDir};
use crate::runtime::Boot;
use crate::spec::SandboxSpec;
use crate::supervisor::processes;

/// A pod's own sysctls unless it says otherwise: any port and `ping` without privileges, since the network is its own.
const SYSCTLS: [(&str, &str); 2] =
    [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];

/// A sandbox that is ready for containers.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) hierarchies: Hierarchies,
    /// The pod's control group, relative to the hierarchies' roots.
    pub(super) cgroup: String,
    /// The first process of the namespace that the containers share, where they share one.
    pub(super) first: Option<OwnedFd>,
}

impl Sandbox {
    pub(super) fn container_group(&self, name: &str, attempt: u32) -> Group {
        self.hierarchies.group(&paths::container_cgroup(&self.cgroup, name, attempt))
    }

    pub(super) fn group(&self) -> Group {
        self.hierarchies.group(&self.cgroup)
    }
}

pub(super) fn set_up(boot: &Boot, dir: &PodDir) -> Result<Sandbox, Fault> {
    let spec = &boot.spec;
    let hierarchies = Hierarchies::discover().map_err(step("find control groups"))?;
    hierarchies.take_refuge(&paths::supervisors_cgroup(&boot.cgroup_parent)).map_err(cgroup_fault)?;
    let cgroup = paths::pod_cgroup(&boot.cgroup_parent, &spec.uid);
    let mut sandbox = Sandbox { cgroup, hierarchies, first: None };
    sandbox.group().create().map_err(cgroup_fault)?;
    sandbox.group().limit(&spec.limits).map_err(cgroup_fault)?;
    enter_namespaces(spec)?;
    set_sysctls(spec)?;
    if spec.share_processes && !spec.host_pid {
        sandbox.first = Some(processes::hold(dir)?);
    }
    if !spec.host_ipc {
        make_shm(dir).map_err(step("mount the pod's /dev/shm"))?;
    }
    Ok(sandbox)
}

fn enter_namespaces(spec: &SandboxSpec) -> Result<(), Fault> {
    let mut flags = CloneFlags::CLONE_NEWUTS;
    flags.set(CloneFlags::CLONE_NEWNET, !spec.host_network);
    flags.set(CloneFlags::CLONE_NEWIPC, !spec.host_ipc);
    unshare(flags).map_err(step("make the pod's namespaces"))?;
    if !spec.hostname.is_empty() {
        nix::unistd::sethostname(&spec.hostname).map_err(step("set the host name"))?;
    }
    if !spec.host_network {
        process::loopback_up().map_err(step("bring the loopback link up"))?;
    }
    Ok(())
}

fn set_sysctls(spec: &SandboxSpec) -> Result<(), Fault> {
    if !spec.host_network {
        for (name, value) in SYSCTLS.iter().filter(|(name, _)| !spec.sysctls.contains_key(*name)) {
            // A kernel without it is no worse than it was.
            fs::write(sysctl_path(name), value).ok();
        }
    }
    for (name, value) in &spec.sysctls {
        if !is_own(name, spec) {
            return Err(Fault::Sysctl { name: name.clone() });
        }
        fs::write(sysctl_path(name), value).map_err(step(format!("set sysctl {name}")))?;
    }
    Ok(())
}

/// Whether a sysctl is of namespaces that are the pod's own.
fn is_own(name: &str, spec: &SandboxSpec) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) && !name.contains("..");
    let network = name.starts_with("net.") && !spec.host_network;
    let ipc = ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|prefix| name.starts_with(prefix));
    plain && (network || ((ipc || name == "kernel.sem") && !spec.host_ipc))
}

fn sysctl_path(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}

/// Mounted where the server can clean it up if it must: the containers get binds of it.
fn make_shm(dir: &PodDir) -> io::Result<()> {
    fs::create_dir(dir.shm())?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    Ok(nix::mount::mount(Some("shm"), &dir.shm(), Some("tmpfs"), flags, Some("mode=1777,size=65536k"))?)
}

/// A fault of a step whose words say enough.
pub(super) fn step<E: Into<Reason>>(step: impl Into<String>) -> impl FnOnce(E) -> Fault {
    move |error| Fault::Step { step: step.into(), reason: error.into() }
}

pub(super) fn cgroup_fault(error: cgroup::Error) -> Fault {
    match error {
        cgroup::Error::NoController(controller) => Fault::Controller { controller: controller.name().into() },
        cgroup::Error::File { path, source } => {
            Fault::Step { step: format!("control group {}", path.display()), reason: source.into() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sysctls_of_the_pods_own_namespaces_are_set() {
        let own = SandboxSpec::default();
        for name in ["net.core.somaxconn", "kernel.shmmax", "kernel.sem", "fs.mqueue.msg_max"] {
            assert!(is_own(name, &own), "{name}");
        }
        for name in ["kernel.core_pattern", "net..x", "net.ipv4/../../kernel/x", "vm.swappiness", "fs.mqueue"] {
            assert!(!is_own(name, &own), "{name}");
        }
        let shared = SandboxSpec { host_network: true, host_ipc: true, ..SandboxSpec::default() };
        assert!(!is_own("net.core.somaxconn", &shared) && !is_own("kernel.sem", &shared));
    }
}
