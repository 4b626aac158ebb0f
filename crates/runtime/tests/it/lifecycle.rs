//! Starting, ending, commands inside, and what can't be started.

use std::time::{Duration, Instant};

use skiff_runtime::{Error, Event, ExecSpec, ExitReason, SandboxSpec, StartError, State};

use crate::world::{World, container, exec, find};

pub(crate) async fn exit_codes_and_signals() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    let (exit, _) = world.run(&sandbox, world.script("good", "true")).await;
    assert_eq!((exit.code, exit.signal, exit.reason), (0, None, ExitReason::Completed));
    assert!(exit.started_at.unwrap() <= exit.finished_at);
    let (exit, _) = world.run(&sandbox, world.script("bad", "exit 7")).await;
    assert_eq!((exit.code, exit.signal, exit.reason), (7, None, ExitReason::Error));
    sandbox.start(world.script("long", "sleep 1000")).await.unwrap();
    sandbox.kill("long", 9).await.unwrap();
    let status = sandbox.wait("long").await.unwrap();
    assert_eq!((status.exit().unwrap().code, status.exit().unwrap().signal), (137, Some(9)));
    assert!(matches!(sandbox.kill("long", 9).await, Err(Error::NotRunning { .. })));
    assert!(matches!(sandbox.kill("nobody", 9).await, Err(Error::NotRunning { .. })));
    // The same attempt can't be started twice, the next one can.
    let again = sandbox.start(world.script("long", "true")).await.unwrap_err();
    assert_eq!(again.to_string(), "container long (attempt 0) exists already");
    let mut next = world.script("long", "sleep 1000");
    next.attempt = 1;
    sandbox.start(next).await.unwrap();
    sandbox.forget("long", 0).await.unwrap();
    assert!(sandbox.forget("long", 1).await.is_err(), "it runs");
    let statuses = sandbox.statuses().await.unwrap();
    assert_eq!(statuses.len(), 3);
    assert!(find(&statuses, "long").is_running() && find(&statuses, "long").attempt == 1);
    world.finish(&[sandbox]).await;
}

pub(crate) async fn stop_is_gentle_first() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    let ready = "echo ready; while :; do usleep 20000; done";
    sandbox.start(world.script("polite", &format!("trap 'exit 3' TERM; {ready}"))).await.unwrap();
    sandbox.start(world.script("deaf", &format!("trap '' TERM; {ready}"))).await.unwrap();
    for name in ["polite", "deaf"] {
        while !std::fs::read_to_string(world.log(name)).is_ok_and(|log| log.contains("ready")) {
            tokio::task::yield_now().await;
        }
    }
    let polite = sandbox.stop("polite", 15, Duration::from_secs(30)).await.unwrap();
    assert_eq!(polite.exit().unwrap().code, 3);
    let deaf = sandbox.stop("deaf", 15, Duration::from_millis(100)).await.unwrap();
    assert_eq!(deaf.exit().unwrap().code, 137);
    assert_eq!(sandbox.stop("deaf", 15, Duration::from_secs(30)).await.unwrap(), deaf, "at once");
    world.finish(&[sandbox]).await;
}

pub(crate) async fn programs_that_can_not_be_started() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    std::fs::write(world.layer().join("bin/noexec"), "text").unwrap();
    std::fs::write(world.layer().join("bin/script"), "#!/bin/nothing\n").unwrap();
    std::fs::write(world.layer().join("bin/nonsense"), [0x7f, 1, 2, 3]).unwrap();
    for file in ["script", "nonsense"] {
        use std::os::unix::fs::PermissionsExt;
        let path = world.layer().join("bin").join(file);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let cases = [
        (vec!["nope"], "exec: \"nope\": executable file not found in $PATH"),
        (vec!["noexec"], "exec: \"noexec\": executable file not found in $PATH"),
        (vec!["/bin/nope"], "exec: \"/bin/nope\": stat /bin/nope: no such file or directory"),
        (vec!["/bin/noexec"], "exec: \"/bin/noexec\": permission denied"),
        (vec!["/bin"], "exec: \"/bin\": is a directory"),
        (vec!["script"], "exec /bin/script: no such file or directory"),
        (vec!["nonsense"], "exec /bin/nonsense: exec format error"),
        (vec![], "no command specified"),
    ];
    for (at, (argv, text)) in cases.into_iter().enumerate() {
        let error = sandbox.start(container(world.dir.path(), &format!("c{at}"), &argv)).await.unwrap_err();
        assert_eq!(error.to_string(), text);
        assert!(matches!(error, StartError::Fault(_)));
    }
    let mut spec = world.script("user", "true");
    spec.user.name = "stranger".into();
    let error = sandbox.start(spec).await.unwrap_err();
    assert_eq!(error.to_string(), "unable to find user stranger: no matching entries in passwd file");
    let mut spec = world.script("cap", "true");
    spec.capabilities.add = vec!["FLY".into()];
    assert_eq!(sandbox.start(spec).await.unwrap_err().to_string(), "unknown capability \"FLY\"");
    let statuses = sandbox.statuses().await.unwrap();
    let exit = find(&statuses, "c0").exit().unwrap().clone();
    assert_eq!((exit.code, exit.reason), (128, ExitReason::StartError));
    assert_eq!(exit.message.unwrap(), "exec: \"nope\": executable file not found in $PATH");
    world.finish(&[sandbox]).await;
}

pub(crate) async fn commands_run_inside() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    let mut spec = world.script("main", "sleep 1000");
    spec.env = vec![("COLOR".into(), "red".into())];
    spec.user.name = "web".into();
    spec.cwd = "/tmp".into();
    sandbox.start(spec).await.unwrap();
    let result = exec(&sandbox, "main", "echo $COLOR; id; pwd; echo loud >&2; exit 4").await;
    let output = "red\nuid=101(web) gid=102(web) groups=102(web),103(logs)\n/tmp\nloud\n";
    assert_eq!((result.exit_code, result.timed_out, result.output.as_str()), (4, false, output));
    let result = exec(&sandbox, "main", "ps -o pid,comm; hostname; cat /proc/self/cgroup").await;
    assert!(result.output.contains("1 sleep") && result.output.contains("pod-a"), "{result:?}");
    assert!(result.output.lines().filter(|line| line.contains(":memory:")).all(|line| line.ends_with(":/")));
    // Output is bounded, and more of it does no harm.
    let mut spec = ExecSpec::new(["sh", "-c", "yes | head -c 1000000"]);
    spec.max_output = 100;
    let result = sandbox.exec("main", spec).await.unwrap();
    assert_eq!((result.exit_code, result.output.len()), (0, 100));
    let error = sandbox.exec("main", ExecSpec::new(["nope"])).await.unwrap_err();
    assert_eq!(error.to_string(), "exec: \"nope\": executable file not found in $PATH");
    let error = sandbox.exec("other", ExecSpec::new(["true"])).await.unwrap_err();
    assert_eq!(error.to_string(), "container other of pod uid-1 is not running");
    // What it leaves running does not keep the caller waiting.
    assert_eq!(exec(&sandbox, "main", "sleep 1000 & echo left").await.output, "left\n");
    world.finish(&[sandbox]).await;
}

pub(crate) async fn an_exec_has_a_deadline() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    sandbox.start(world.script("main", "sleep 1000")).await.unwrap();
    let spec = ExecSpec::new(["sh", "-c", "echo begun; sleep 1000"]).timeout(Duration::from_millis(200));
    let begun = Instant::now();
    let result = sandbox.exec("main", spec).await.unwrap();
    assert!(result.timed_out && begun.elapsed() < Duration::from_secs(10));
    assert_eq!((result.exit_code, result.output.as_str()), (137, "begun\n"));
    assert_eq!(exec(&sandbox, "main", "ps | grep -c '[s]leep 1000'").await.output, "1\n", "only the container's own");
    // A command ends with its container.
    let begun = ExecSpec::new(["sh", "-c", "echo > /begun; sleep 1000"]);
    let (waited, ()) = tokio::join!(sandbox.exec("main", begun), async {
        while exec(&sandbox, "main", "ls /begun").await.exit_code != 0 {}
        sandbox.kill("main", 9).await.unwrap();
    });
    assert_eq!(waited.unwrap().exit_code, 137);
    world.finish(&[sandbox]).await;
}

pub(crate) async fn containers_share_a_sandbox() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    let mut events = sandbox.events();
    sandbox.start(world.script("a", "echo from-a > /dev/shm/note; sleep 1000")).await.unwrap();
    sandbox.start(world.script("b", "sleep 1000")).await.unwrap();
    while exec(&sandbox, "b", "cat /dev/shm/note").await.output != "from-a\n" {}
    let links = "for n in net ipc uts pid mnt; do readlink /proc/self/ns/$n; done";
    let (a, b) = (exec(&sandbox, "a", links).await.output, exec(&sandbox, "b", links).await.output);
    let same: Vec<bool> = a.lines().zip(b.lines()).map(|(a, b)| a == b).collect();
    assert_eq!(same, [true, true, true, false, false], "{a}{b}");
    let net = std::fs::read_link(sandbox.netns()).unwrap();
    assert_eq!(net.to_str().unwrap(), a.lines().next().unwrap());
    assert!(exec(&sandbox, "a", "ip addr show lo").await.output.contains("127.0.0.1/8"), "loopback is up");
    sandbox.kill("a", 9).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let Event::Changed(status) = events.recv().await.unwrap() else { panic!("lost") };
        seen.push((status.name, matches!(status.state, State::Exited(_))));
    }
    assert_eq!(seen, [("a".into(), false), ("b".into(), false), ("a".into(), true)]);
    world.finish(&[sandbox]).await;
}

pub(crate) async fn host_namespaces() {
    let world = World::new();
    let spec = SandboxSpec { host_network: true, host_pid: true, host_ipc: true, ..world.sandbox_spec("host") };
    let sandbox = world.runtime.create(spec).await.unwrap();
    let links = "for n in net ipc pid; do readlink /proc/self/ns/$n; done; sleep 1000 & echo left";
    sandbox.start(world.script("main", &format!("{links}; sleep 1000"))).await.unwrap();
    let result = exec(&sandbox, "main", "cat /proc/self/cgroup; readlink /proc/self/ns/pid").await;
    assert_eq!(result.exit_code, 0, "{result:?}");
    while !world.output("main").contains("left") {
        tokio::task::yield_now().await;
    }
    let stopped = sandbox.stop("main", 9, Duration::from_secs(1)).await.unwrap();
    assert_eq!(stopped.exit().unwrap().code, 137);
    let own = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string();
    assert_eq!(world.output("main"), format!("{}\n{}\n{}\nleft\n", own("net"), own("ipc"), own("pid")));
    world.finish(&[sandbox]).await;
}

pub(crate) async fn a_failed_sandbox_says_why_and_leaves_nothing() {
    let world = World::new();
    let mut spec = world.sandbox_spec("bad");
    spec.sysctls.insert("kernel.panic".into(), "1".into());
    let error = world.runtime.create(spec).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "can't set up the sandbox of pod bad: sysctl \"kernel.panic\" is not of a pod's own namespaces"
    );
    let mut good = world.sandbox_spec("good");
    good.sysctls.insert("net.core.somaxconn".into(), "77".into());
    let sandbox = world.runtime.create(good.clone()).await.unwrap();
    assert!(matches!(world.runtime.create(good).await, Err(Error::Exists { .. })));
    let (_, output) = world.run(&sandbox, world.script("main", "cat /proc/sys/net/core/somaxconn")).await;
    assert_eq!(output, "77\n");
    let bad = world.runtime.create(SandboxSpec { uid: "../x".into(), ..SandboxSpec::default() }).await;
    assert!(matches!(bad, Err(Error::Name { .. })));
    sandbox.remove().await.unwrap();
    sandbox.remove().await.unwrap();
    world.finish(&[]).await;
}

/// Generous bounds, since other tests run beside it; the benchmark has the true figures.
pub(crate) async fn it_is_quick_and_small() {
    let world = World::new();
    let begun = Instant::now();
    let sandbox = world.sandbox().await;
    sandbox.start(world.script("main", "sleep 1000")).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", sandbox.pid())).unwrap();
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    let kib: u64 = pss.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 4 << 10, "{kib} KiB");
    world.finish(&[sandbox]).await;
}
