//! Containers that see each other's processes.

use skiff_runtime::{SandboxSpec, StartError};

use crate::world::{World, exec, find};

pub(crate) async fn a_container_looks_at_another() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    sandbox.start(world.script("main", "sleep 1001")).await.unwrap();
    let mut looks = world.script("looks", "cat /proc/1/cmdline; echo; ls /proc/1/root/bin/sleep; sleep 1002");
    looks.processes_of = Some("main".to_owned());
    sandbox.start(looks).await.unwrap();
    while !world.output("looks").contains("/proc/1/root/bin/sleep") {
        tokio::task::yield_now().await;
    }
    let shown = world.output("looks");
    assert!(shown.contains("sleep") && shown.contains("1001"), "{shown}");
    let seen = exec(&sandbox, "looks", "ps").await.output;
    assert!(seen.contains("sleep 1001") && seen.contains("sleep 1002"), "{seen}");
    // Another container's processes are still its own.
    sandbox.start(world.script("apart", "sleep 1003")).await.unwrap();
    assert!(!exec(&sandbox, "apart", "ps").await.output.contains("sleep 1001"));
    // With what it looks at, it ends.
    sandbox.kill("main", 9).await.unwrap();
    let ended = sandbox.wait("looks").await.unwrap();
    assert_eq!(ended.exit().unwrap().code, 137);
    let mut late = world.script("late", "true");
    late.processes_of = Some("main".to_owned());
    let refused = sandbox.start(late).await.unwrap_err();
    assert!(matches!(&refused, StartError::Fault(_)), "{refused}");
    assert_eq!(refused.to_string(), "unable to find target container main");
    // The supervisor is back in its own namespace.
    let (_, pids) = world.run(&sandbox, world.script("own", "echo $$")).await;
    assert_eq!(pids, "1\n");
    assert!(find(&sandbox.statuses().await.unwrap(), "apart").is_running());
    world.finish(&[sandbox]).await;
}

pub(crate) async fn a_pod_shares_its_processes() {
    let world = World::new();
    let spec = SandboxSpec { share_processes: true, ..world.sandbox_spec("uid-1") };
    let sandbox = world.runtime.create(spec).await.unwrap();
    sandbox.start(world.script("a", "sleep 1001")).await.unwrap();
    sandbox.start(world.script("b", "(sleep 1002 &); sleep 0.2; sleep 1003")).await.unwrap();
    let seen = exec(&sandbox, "a", "sleep 0.3; ps -o pid,ppid,args").await.output;
    for wanted in ["sleep 1001", "sleep 1002", "sleep 1003"] {
        assert!(seen.contains(wanted), "{seen}");
    }
    let orphan = seen.lines().find(|line| line.contains("sleep 1002")).unwrap();
    assert_eq!(orphan.split_whitespace().nth(1), Some("1"), "{seen}");
    // What a container leaves behind goes with it, and an orphan's end leaves nothing.
    sandbox.kill("b", 9).await.unwrap();
    sandbox.wait("b").await.unwrap();
    let gone = "while ps | grep -q 'sleep 100[23]'; do sleep 0.01; done; ps -o stat,args";
    let seen = exec(&sandbox, "a", gone).await.output;
    assert!(seen.contains("sleep 1001") && !seen.contains("Z "), "{seen}");
    world.finish(&[sandbox]).await;
}

pub(crate) async fn the_first_process_of_a_shared_namespace_is_no_way_out() {
    let world = World::new();
    let spec = SandboxSpec { share_processes: true, ..world.sandbox_spec("uid-1") };
    let sandbox = world.runtime.create(spec).await.unwrap();
    let mut strong = world.script(
        "strong",
        "grep -E '^(Uid|Cap...|NoNewPrivs|Name):' /proc/1/status; ls -A /proc/1/root | wc -l; ls /proc/1/fd | wc -l",
    );
    strong.capabilities.add = vec!["SYS_PTRACE".to_owned()];
    let (exit, seen) = world.run(&sandbox, strong).await;
    assert_eq!(exit.code, 0, "{seen}");
    assert!(seen.contains("Name:\tskiff-pause") && seen.contains("Uid:\t65535\t65535\t65535\t65535"), "{seen}");
    assert!(seen.contains("NoNewPrivs:\t1") && seen.matches("0000000000000000").count() >= 4, "{seen}");
    assert!(seen.ends_with("0\n0\n"), "no files, no descriptors: {seen}");
    world.finish(&[sandbox]).await;
}
