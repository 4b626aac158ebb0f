//! The last steps of a child: give up what the container must not have, then become its program.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::sys::{prctl, signal::Signal};
use nix::unistd::{AccessFlags, Gid, Uid, faccessat, setgroups, setresgid, setresuid};
use skiff_linux::caps::CapSet;
use skiff_linux::seccomp::Profile;
use skiff_linux::user::{self, Identity, Unknown, Wish};

use crate::error::{Fault, Reason};
use crate::spec::ContainerSpec;
use crate::supervisor::launch::Reports;
use crate::supervisor::sandbox::step;
use crate::supervisor::stdio::Stdio;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to become, and how confined.
#[derive(Debug)]
pub(super) struct Program<'a> {
    pub(super) spec: &'a ContainerSpec,
    pub(super) argv: &'a [String],
    /// Variables beside the container's own.
    pub(super) env: &'a [(String, String)],
    pub(super) hostname: &'a str,
    pub(super) caps: CapSet,
    pub(super) filter: Option<Profile>,
    pub(super) stdio: &'a Stdio,
}

impl Program<'_> {
    /// Called inside the container's root, with all privileges still there.
    pub(super) fn become_it(&self, identity: &Identity, reports: &mut Reports) -> Result<Infallible, Fault> {
        enter_cwd(&self.spec.cwd)?;
        self.stdio.enter_terminal()?;
        Stdio::hand_over(identity)?;
        // The filter needs CAP_SYS_ADMIN or no_new_privs to be installed: so it is the first, or the last.
        if !self.spec.no_new_privileges {
            self.install_filter()?;
        }
        self.give_up_privileges(identity)?;
        if self.spec.no_new_privileges {
            prctl::set_no_new_privs().map_err(step("set no_new_privs"))?;
        }
        // After the change of user, which clears it.
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("tie the container to its supervisor"))?;
        if !reports.heard() {
            return Err(Fault::Died { how: "the end of its supervisor".into() });
        }
        let env = self.environment(identity);
        let program = find(&self.argv.first().ok_or(Fault::NoCommand)?.clone(), &env)?;
        let path = c_string(program.as_os_str().as_bytes(), "the program's path")?;
        let argv =
            self.argv.iter().map(|arg| c_string(arg.as_bytes(), "an argument")).collect::<Result<Vec<_>, _>>()?;
        let env = env
            .iter()
            .map(|(name, value)| c_string(format!("{name}={value}").as_bytes(), "a variable"))
            .collect::<Result<Vec<_>, _>>()?;
        reports.becoming(identity)?;
        if self.spec.no_new_privileges {
            self.install_filter()?;
        }
        let Err(error) = nix::unistd::execve(&path, &argv, &env);
        Err(Fault::Exec { program: program.display().to_string(), reason: error.into() })
    }

    fn install_filter(&self) -> Result<(), Fault> {
        self.filter.as_ref().map_or(Ok(()), Profile::install).map_err(step("install the system call filter"))
    }

    fn give_up_privileges(&self, identity: &Identity) -> Result<(), Fault> {
        self.caps.bound().map_err(step("drop capabilities"))?;
        let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
        setgroups(&groups).map_err(step("set groups"))?;
        let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
        setresgid(gid, gid, gid).map_err(step("set group"))?;
        setresuid(uid, uid, uid).map_err(step("set user"))?;
        self.caps.apply().map_err(step("drop capabilities"))
    }

    fn environment(&self, identity: &Identity) -> Vec<(String, String)> {
        let mut env: Vec<(String, String)> = Vec::new();
        for (name, value) in self.spec.env.iter().chain(self.env) {
            // A later value replaces an earlier one, in its place.
            match env.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => known.clone_from(value),
                None => env.push((name.clone(), value.clone())),
            }
        }
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() && !env.iter().any(|(known, _)| known == name) {
                env.push((name.into(), value.into()));
            }
        };
        add("PATH", DEFAULT_PATH);
        add("HOSTNAME", self.hostname);
        add("TERM", if self.stdio.is_terminal() { "xterm" } else { "" });
        add("HOME", &identity.home);
        env
    }
}

/// Whom the container runs as. Called inside its root.
pub(super) fn identify(spec: &ContainerSpec) -> Result<Identity, Fault> {
    let passwd = user::read_listing("/etc/passwd").map_err(step("read the container's /etc/passwd"))?;
    let group = user::read_listing("/etc/group").map_err(step("read the container's /etc/group"))?;
    let wish = Wish { user: &spec.user.name, gid: spec.user.gid, groups: &spec.user.groups };
    user::resolve(&passwd, &group, wish).map_err(|unknown| match unknown {
        Unknown::User(name) => Fault::NoUser { name },
        Unknown::Group(name) => Fault::NoGroup { name },
    })
}

/// As far as this machine permits: lowering it needs a privilege that the server may lack.
pub(super) fn adjust_oom_score(spec: &ContainerSpec) {
    fs::write("/proc/self/oom_score_adj", spec.oom_score_adj.to_string()).ok();
}

/// Makes the working folder where the image lacks it.
pub(super) fn make_cwd(cwd: &str) -> Result<(), Fault> {
    let failed = |reason: Reason| Fault::Cwd { path: cwd.into(), reason };
    match fs::create_dir_all(cwd_path(cwd)) {
        // A file, or a link to nowhere, shows when it is entered.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(error.into())),
        _ => Ok(()),
    }
}

fn enter_cwd(cwd: &str) -> Result<(), Fault> {
    let failed = |reason: Reason| Fault::Cwd { path: cwd.into(), reason };
    std::env::set_current_dir(cwd_path(cwd)).map_err(|error| failed(error.into()))?;
    // A folder that a leaked descriptor of the host leads to has no path in here.
    match nix::unistd::getcwd() {
        Ok(path) if path.is_absolute() => Ok(()),
        Ok(_) => Err(failed(nix::Error::ENOENT.into())),
        Err(error) => Err(failed(error.into())),
    }
}

fn cwd_path(cwd: &str) -> PathBuf {
    Path::new("/").join(cwd)
}

/// Looks a program up as shells and container runners do, with the rights of the container's user.
fn find(program: &str, env: &[(String, String)]) -> Result<PathBuf, Fault> {
    let program = program.to_owned();
    if program.contains('/') {
        return match executable(Path::new(&program)) {
            Ok(()) => Ok(program.into()),
            Err(nix::Error::EISDIR) => Err(Fault::IsDirectory { program }),
            Err(nix::Error::EACCES | nix::Error::EPERM) => Err(Fault::PermissionDenied { program }),
            Err(nix::Error::ENOENT | nix::Error::ENOTDIR) => Err(Fault::NoSuchFile { program }),
            Err(error) => Err(Fault::Exec { program, reason: error.into() }),
        };
    }
    let path = env.iter().find(|(name, _)| name == "PATH").map_or("", |(_, value)| value.as_str());
    let mut candidates = path.split(':').map(|folder| Path::new(if folder.is_empty() { "." } else { folder }));
    let found = candidates.find_map(|folder| Some(folder.join(&program)).filter(|path| executable(path).is_ok()));
    found.filter(|_| !program.is_empty()).ok_or(Fault::NotFound { program })
}

fn executable(path: &Path) -> nix::Result<()> {
    let there = fs::metadata(path).map_err(|error| nix::Error::from_raw(error.raw_os_error().unwrap_or(0)))?;
    if there.is_dir() {
        return Err(nix::Error::EISDIR);
    }
    faccessat(nix::fcntl::AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS)
}

fn c_string(bytes: &[u8], what: &str) -> Result<CString, Fault> {
    CString::new(bytes).map_err(|_| Fault::Nul { what: what.into() })
}
