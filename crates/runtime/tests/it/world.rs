//! A node of its own for each test: run folder, image layer, control group; and proof that nothing is left of it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use skiff_runtime::{
    Config, ContainerSpec, ContainerStatus, ExecResult, ExecSpec, Exit, Log, Runtime, Sandbox, SandboxSpec,
};

const BUSYBOX: &str = "/bin/busybox";
const TOOLS: &[&str] = &[
    "awk", "cat", "cut", "dd", "echo", "env", "false", "find", "grep", "head", "hostname", "id", "ip", "kill", "ln",
    "ls", "mkdir", "mknod", "mount", "ps", "pwd", "readlink", "sed", "seq", "sh", "sleep", "sort", "stat", "tail",
    "touch", "tr", "true", "umount", "unshare", "usleep", "wc", "yes", "timeout",
];

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) runtime: Runtime,
    pub(crate) parent: String,
}

/// Whether this machine can run the tests.
pub(crate) fn able() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("they need root".into());
    }
    match fs::metadata(BUSYBOX) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{BUSYBOX}: {error}; install busybox-static")),
    }
}

impl World {
    pub(crate) fn new() -> World {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parent = format!("skiff-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::tempdir().unwrap();
        make_layer(&dir.path().join("layer"));
        let runtime = Runtime::new(config(dir.path(), &parent)).unwrap();
        World { dir, runtime, parent }
    }

    pub(crate) fn layer(&self) -> PathBuf {
        self.dir.path().join("layer")
    }

    pub(crate) fn sandbox_spec(&self, uid: &str) -> SandboxSpec {
        SandboxSpec {
            uid: uid.into(),
            namespace: "default".into(),
            name: uid.into(),
            hostname: "pod-a".into(),
            dir: self.dir.path().join("pods").join(uid),
            ..SandboxSpec::default()
        }
    }

    pub(crate) async fn sandbox(&self) -> Sandbox {
        self.runtime.create(self.sandbox_spec("uid-1")).await.unwrap()
    }

    /// A container that runs a shell script.
    pub(crate) fn script(&self, name: &str, script: &str) -> ContainerSpec {
        container(self.dir.path(), name, &["/bin/sh", "-c", script])
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        log_path(self.dir.path(), name)
    }

    /// What a container printed on both streams.
    pub(crate) fn output(&self, name: &str) -> String {
        let text = fs::read_to_string(self.log(name)).unwrap();
        text.lines().map(|line| format!("{}\n", line.splitn(4, ' ').nth(3).unwrap())).collect()
    }

    /// Runs a container to its end.
    pub(crate) async fn run(&self, sandbox: &Sandbox, spec: ContainerSpec) -> (Exit, String) {
        let name = spec.name.clone();
        sandbox.start(spec).await.unwrap();
        let status = sandbox.wait(&name).await.unwrap();
        (status.exit().unwrap().clone(), self.output(&name))
    }

    /// Runs a script in a fresh sandbox to its end and gives what it printed.
    pub(crate) async fn print(self, change: impl FnOnce(&mut ContainerSpec), script: &str) -> String {
        let sandbox = self.sandbox().await;
        let mut spec = self.script("main", script);
        change(&mut spec);
        let (exit, output) = self.run(&sandbox, spec).await;
        assert_eq!(exit.code, 0, "{output}");
        self.finish(&[sandbox]).await;
        output
    }

    /// Removes the sandboxes and proves that nothing is left.
    pub(crate) async fn finish(self, sandboxes: &[Sandbox]) {
        for sandbox in sandboxes {
            sandbox.remove().await.unwrap();
            assert!(!Path::new(&format!("/proc/{}/ns/net", sandbox.pid())).exists(), "the supervisor is gone");
        }
        self.runtime.release().unwrap();
        let left: Vec<_> = fs::read_dir(self.dir.path().join("run/pods")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.dir.path().to_str().unwrap()), "{mounts}");
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let group = hierarchy.path().join(&self.parent);
            assert!(!group.exists(), "{}", what_is_in(&group));
        }
        assert!(!Path::new("/sys/fs/cgroup").join(&self.parent).exists());
    }
}

/// What keeps a control group.
fn what_is_in(group: &Path) -> String {
    let below = fs::read_dir(group).into_iter().flatten().flatten().filter(|one| one.path().is_dir());
    let processes = fs::read_to_string(group.join("cgroup.procs"));
    let of_those: Vec<_> = below
        .map(|one| (one.path(), fs::read_to_string(one.path().join("cgroup.procs")), fs::remove_dir(one.path())))
        .collect();
    format!("{}: processes {processes:?}, below {of_those:?}, {:?}", group.display(), fs::remove_dir(group))
}

/// What a failed test leaves is cleaned up too.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let node = self.runtime.clone();
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for sandbox in node.adopt().await.unwrap().sandboxes {
                    sandbox.remove().await.unwrap();
                }
            });
            node.release().unwrap();
        });
        cleaner.join().ok();
    }
}

pub(crate) fn config(dir: &Path, parent: &str) -> Config {
    let program = std::env::current_exe().unwrap();
    Config {
        run_dir: dir.join("run"),
        cgroup_parent: parent.into(),
        supervisor: vec![program.into_os_string(), OsString::from("supervisor")],
    }
}

fn log_path(dir: &Path, name: &str) -> PathBuf {
    dir.join("logs").join(name).join("0.log")
}

pub(crate) fn container(dir: &Path, name: &str, argv: &[&str]) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        layers: vec![dir.join("layer")],
        argv: argv.iter().map(|arg| (*arg).into()).collect(),
        log: Some(Log::new(log_path(dir, name))),
        ..ContainerSpec::default()
    }
}

pub(crate) async fn exec(sandbox: &Sandbox, name: &str, script: &str) -> ExecResult {
    sandbox.exec(name, ExecSpec::new(["sh", "-c", script])).await.unwrap()
}

pub(crate) fn find<'a>(statuses: &'a [ContainerStatus], name: &str) -> &'a ContainerStatus {
    statuses.iter().find(|status| status.name == name).unwrap()
}

fn make_layer(layer: &Path) {
    fs::create_dir_all(layer.join("bin")).unwrap();
    fs::create_dir_all(layer.join("etc")).unwrap();
    fs::create_dir_all(layer.join("tmp")).unwrap();
    fs::set_permissions(layer.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::hard_link(BUSYBOX, layer.join("bin/busybox"))
        .or_else(|_| fs::copy(BUSYBOX, layer.join("bin/busybox")).map(drop))
        .unwrap();
    for tool in TOOLS {
        symlink("busybox", layer.join("bin").join(tool)).unwrap();
    }
    fs::write(layer.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102:web:/srv:/bin/sh\n").unwrap();
    fs::write(layer.join("etc/group"), "root:x:0:\nweb:x:102:\nlogs:x:103:web\n").unwrap();
}
