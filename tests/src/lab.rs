//! One server in namespaces of its own.

use std::{
    fs, io,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use crate::run::{self, Output};

/// Why a lab could not be made.
#[derive(Debug)]
pub enum LabError {
    /// A privilege or a program is missing: the test is to be skipped, loudly.
    Missing(String),
    /// Everything was there and it failed all the same.
    Failed(String),
}

/// The built binaries.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The folder with `skiff`, `httpenv` and `httpenv.tar`.
    pub folder: PathBuf,
}

impl Binaries {
    /// What `SKIFF_BINARIES` names, or the release build of `scripts/build`.
    ///
    /// # Errors
    /// [`LabError::Missing`] where nothing was built.
    pub fn find() -> Result<Self, LabError> {
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let default = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).join("target");
        let folder = std::env::var_os("SKIFF_BINARIES").map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| default.join(target).join("release"));
        let all = ["skiff", "httpenv", "httpenv.tar"];
        match all.iter().find(|name| !folder.join(name).exists()) {
            None => Ok(Self { folder: folder.canonicalize().map_err(|error| LabError::Failed(error.to_string()))? }),
            Some(name) => Err(LabError::Missing(format!("{} (run scripts/build)", folder.join(name).display()))),
        }
    }

    /// The path of one of them.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// How a lab's server is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Further flags of `skiff server`.
    pub flags: Vec<String>,
    /// Whether the sample image is imported at once.
    pub image: bool,
}

/// A running server with its own network, mounts, folders and cgroup. Dropping it uninstalls it.
pub struct Lab {
    binaries: Binaries,
    folder: PathBuf,
    cgroup: String,
    options: Options,
    /// Holds the namespaces, whether a server runs or not.
    keeper: Child,
    server: Option<Child>,
    log: PathBuf,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Lab {
    /// Starts a server and waits until it says that it is ready.
    ///
    /// # Errors
    /// See [`LabError`]; the server's output is part of the message.
    pub fn start(options: Options) -> Result<Self, LabError> {
        let mut lab = Self::prepare(options)?;
        lab.start_server()?;
        if lab.options.image {
            let image = lab.binaries.path("httpenv.tar").display().to_string();
            let output = lab.skiff(&["image", "import", &image]);
            if output.code != 0 {
                return Err(LabError::Failed(format!("image import: {}", output.err)));
            }
        }
        Ok(lab)
    }

    /// A lab without a server yet.
    ///
    /// # Errors
    /// See [`LabError`].
    pub fn prepare(options: Options) -> Result<Self, LabError> {
        if !is_root() {
            return Err(LabError::Missing("root".to_owned()));
        }
        let binaries = Binaries::find()?;
        let id = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("skiff-lab-{id}"));
        fs::create_dir_all(&folder).map_err(failed)?;
        let keeper = Command::new("unshare")
            .args(["--net", "--mount", "sleep", "infinity"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| LabError::Missing(format!("unshare: {error}")))?;
        let log = folder.join("server.log");
        let lab = Self { binaries, folder, cgroup: format!("skifftest{id}"), options, keeper, server: None, log };
        lab.await_namespaces()?;
        Ok(lab)
    }

    fn await_namespaces(&self) -> Result<(), LabError> {
        let own = fs::read_link("/proc/self/ns/mnt").map_err(failed)?;
        let theirs = format!("/proc/{}/ns/mnt", self.keeper.id());
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::read_link(&theirs).is_ok_and(|link| link == own) {
            if Instant::now() > deadline {
                return Err(LabError::Missing("the privilege to make namespaces".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// The folder of everything of this lab.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The name of the lab's cgroup.
    #[must_use]
    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// The lab's network namespace, for those who enter it themselves.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.keeper.id()))
    }

    /// The server's process, while one runs.
    #[must_use]
    pub fn server_pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    fn places(&self) -> [String; 4] {
        let of = |name: &str| self.folder.join(name).display().to_string();
        ["--data-dir".to_owned(), of("data"), "--run-dir".to_owned(), of("run")]
    }

    /// Starts the server (again) and returns how long it took to be ready.
    ///
    /// # Errors
    /// [`LabError::Failed`] with the server's output.
    pub fn start_server(&mut self) -> Result<Duration, LabError> {
        let notify = self.folder.join("notify.sock");
        let _ = fs::remove_file(&notify);
        let socket = UnixDatagram::bind(&notify).map_err(failed)?;
        socket.set_read_timeout(Some(Duration::from_millis(50))).map_err(failed)?;
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log).map_err(failed)?;
        let started = Instant::now();
        let mut command = self.inside(&self.binaries.path("skiff").display().to_string());
        command.arg("server").args(self.places()).args(["--cgroup-parent", &self.cgroup, "--node-name", "lab"]);
        command.args(&self.options.flags).env("NOTIFY_SOCKET", &notify).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(failed)?).stderr(log);
        self.server = Some(command.spawn().map_err(failed)?);
        let deadline = started + Duration::from_secs(60);
        while !is_ready(&socket) {
            let ended = self.server.as_mut().is_some_and(|server| matches!(server.try_wait(), Ok(Some(_))));
            if ended || Instant::now() > deadline {
                let text = self.server_log();
                return Err(LabError::Failed(format!("the server is not ready:\n{text}")));
            }
        }
        Ok(started.elapsed())
    }

    /// What the server printed.
    #[must_use]
    pub fn server_log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends the server with a signal (`TERM`, `KILL`) and waits for it; pods go on.
    pub fn stop_server(&mut self, signal: &str) {
        if let Some(mut server) = self.server.take() {
            let _ = Command::new("kill").args([&format!("-{signal}"), &server.id().to_string()]).status();
            let _ = server.wait();
        }
    }

    /// A command that will run in the lab's namespaces.
    #[must_use]
    pub fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let keeper = self.keeper.id().to_string();
        command.args(["--target", &keeper, "--net", "--mount", "--wd=/", "--", program]);
        command.env("KUBECONFIG", self.folder.join("data/admin.kubeconfig"));
        command.env("HOME", &self.folder);
        command.env("SKIFF_DATA_DIR", self.folder.join("data")).env("SKIFF_RUN_DIR", self.folder.join("run"));
        command
    }

    /// Runs a program in the lab; half a minute at most.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn run(&self, program: &str, args: &[&str]) -> Output {
        self.run_with(program, args, "")
    }

    /// The same with standard input.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test without its program can only end")]
    pub fn run_with(&self, program: &str, args: &[&str], input: &str) -> Output {
        run::run(self.inside(program).args(args), input, Duration::from_secs(30)).expect("nsenter can be run")
    }

    /// Runs stock kubectl.
    #[must_use]
    pub fn kubectl(&self, args: &[&str]) -> Output {
        self.run("kubectl", args)
    }

    /// Runs this build's `skiff`.
    #[must_use]
    pub fn skiff(&self, args: &[&str]) -> Output {
        self.run(&self.binaries.path("skiff").display().to_string(), args)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop_server("TERM");
        let skiff = self.binaries.path("skiff").display().to_string();
        let mut command = self.inside(&skiff);
        command.args(["uninstall", "--yes", "--cgroup-parent", &self.cgroup]).args(self.places());
        let gone = run::run(&mut command, "", Duration::from_secs(30));
        if let Ok(output) = gone
            && output.code != 0
        {
            eprintln!("uninstall failed: {}{}", output.out, output.err);
        }
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn is_ready(socket: &UnixDatagram) -> bool {
    let mut message = [0_u8; 512];
    socket.recv(&mut message).is_ok_and(|length| String::from_utf8_lossy(&message[..length]).contains("READY=1"))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

fn failed(error: io::Error) -> LabError {
    LabError::Failed(error.to_string())
}
