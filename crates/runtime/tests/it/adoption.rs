//! Servers and supervisors that are killed.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use skiff_runtime::{Error, Event, ExitReason, Runtime, SandboxSpec};

use crate::world::{World, config, container, exec, find};

/// The server that is going to be killed: makes a pod with three containers and waits.
pub(crate) fn serve(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let dir = PathBuf::from(args.next().unwrap());
    let parent = args.next().unwrap().into_string().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let node = Runtime::new(config(&dir, &parent)).unwrap();
        let spec = SandboxSpec { uid: "kept".into(), dir: dir.join("pods/kept"), ..SandboxSpec::default() };
        let sandbox = node.create(spec).await.unwrap();
        sandbox.start(container(&dir, "long", &["sh", "-c", "echo begun; sleep 1000"])).await.unwrap();
        // It ends when nobody is there any more, and must not be forgotten.
        let later = "echo waiting; while [ ! -e /flag/go ]; do usleep 10000; done; echo late; exit 5";
        let mut spec = container(&dir, "later", &["sh", "-c", later]);
        spec.annotations.insert("hash".into(), "abc".into());
        spec.mounts = vec![skiff_runtime::Mount {
            source: dir.join("flag"),
            target: "/flag".into(),
            readonly: true,
            propagation: skiff_runtime::Propagation::Private,
        }];
        sandbox.start(spec).await.unwrap();
        println!("ready");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

async fn start_and_kill_a_server(world: &World) {
    std::fs::create_dir(world.dir.path().join("flag")).unwrap();
    let mut server = Command::new(std::env::current_exe().unwrap())
        .arg("server")
        .arg(world.dir.path())
        .arg(&world.parent)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    server.kill().unwrap();
    server.wait().unwrap();
}

pub(crate) async fn a_killed_server_is_no_loss() {
    let world = World::new();
    start_and_kill_a_server(&world).await;
    std::fs::write(world.dir.path().join("flag/go"), "").unwrap();
    while !std::fs::read_to_string(world.log("later")).unwrap().contains("late") {
        tokio::task::yield_now().await;
    }
    let adopted = world.runtime.adopt().await.unwrap();
    assert_eq!((adopted.sandboxes.len(), adopted.lost.len()), (1, 0));
    let sandbox = adopted.sandboxes.into_iter().next().unwrap();
    assert_eq!(sandbox.uid(), "kept");
    let later = sandbox.wait("later").await.unwrap();
    assert_eq!((later.exit().unwrap().code, later.annotations["hash"].as_str()), (5, "abc"));
    assert_eq!(world.output("later"), "waiting\nlate\n");
    let statuses = sandbox.statuses().await.unwrap();
    assert!(find(&statuses, "long").is_running());
    assert_eq!(exec(&sandbox, "long", "echo hello").await.output, "hello\n");
    // Two servers' worth of connections at once.
    let again = world.runtime.adopt().await.unwrap().sandboxes;
    let mut events = again[0].events();
    sandbox.kill("long", 9).await.unwrap();
    let Event::Changed(status) = events.recv().await.unwrap() else { panic!("lost") };
    assert_eq!((status.name.as_str(), status.exit().unwrap().code), ("long", 137));
    world.finish(&[sandbox]).await;
}

pub(crate) async fn a_lost_sandbox_is_cleaned_up_by_the_next_server() {
    let world = World::new();
    start_and_kill_a_server(&world).await;
    let pid = world.runtime.adopt().await.unwrap().sandboxes[0].pid();
    kill(pid);
    let adopted = world.runtime.adopt().await.unwrap();
    assert_eq!((adopted.sandboxes.len(), adopted.lost.len()), (0, 1), "{adopted:?}");
    let lost = &adopted.lost[0];
    assert_eq!(lost.spec.uid, "kept");
    let exit = find(&lost.statuses, "long").exit().unwrap();
    assert_eq!((exit.code, exit.reason), (137, ExitReason::ContainerStatusUnknown));
    assert!(!lost.spec.dir.join("containers").exists());
    world.finish(&[]).await;
}

pub(crate) async fn a_killed_supervisor_takes_its_containers_along() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    let mut events = sandbox.events();
    let started = sandbox.start(world.script("main", "sleep 1000 & sleep 1000")).await.unwrap();
    assert!(matches!(events.recv().await.unwrap(), Event::Changed(_)));
    kill(sandbox.pid());
    assert_eq!(events.recv().await.unwrap(), Event::Lost);
    assert!(sandbox.is_lost());
    assert!(matches!(sandbox.statuses().await, Err(Error::Lost { .. })));
    while Path::new(&format!("/proc/{}/exe", started.pid)).read_link().is_ok() {
        tokio::task::yield_now().await;
    }
    world.finish(&[sandbox]).await;
}

fn kill(pid: u32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// Servers under test live in network and mount namespaces of their own.
pub(crate) async fn it_works_in_other_namespaces() {
    run_in("exec \"$0\" \"$1\"", &["lifecycle::exit_codes", "files::the_usual"]).await;
}

/// A machine of today has version 2 alone. Which controllers are in it can't be changed here, so there may be none.
pub(crate) async fn it_works_with_cgroup_version_2_alone() {
    let script = "for d in /sys/fs/cgroup/*; do umount -l $d; done; umount -l /sys/fs/cgroup
        mount -t cgroup2 none /sys/fs/cgroup && exec \"$0\" \"$1\"";
    let tests = ["lifecycle::exit_codes", "lifecycle::commands", "lifecycle::host_namespaces", "adoption::a_lost"];
    run_in(script, &tests).await;
}

async fn run_in(script: &'static str, tests: &[&'static str]) {
    for test in tests {
        let (program, test) = (std::env::current_exe().unwrap(), *test);
        let mut command = Command::new("unshare");
        command.args(["-n", "-m", "sh", "-c", script]).arg(program).arg(test);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed, 0 failed"),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
