//! Limits are the kernel's, and what they end is told apart.

use std::fs;

use skiff_runtime::{ExitReason, Limits};

use crate::world::World;

pub(crate) async fn memory_beyond_the_limit_is_oom_killed() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    let mut greedy = world.script("greedy", "echo begun; tail -c 200000000 /dev/zero");
    greedy.argv[2] = "exec tail -c 200000000 /dev/zero".into();
    greedy.limits = Limits { memory: Some(20 << 20), ..Limits::default() };
    let mut modest = world.script("modest", "sleep 1000");
    modest.limits = Limits { memory: Some(20 << 20), ..Limits::default() };
    sandbox.start(modest).await.unwrap();
    let (exit, _) = world.run(&sandbox, greedy).await;
    assert_eq!((exit.code, exit.reason), (137, ExitReason::OOMKilled));
    sandbox.kill("modest", 9).await.unwrap();
    let modest = sandbox.wait("modest").await.unwrap();
    assert_eq!(modest.exit().unwrap().reason, ExitReason::Error, "its neighbour was the greedy one");
    world.finish(&[sandbox]).await;
}

pub(crate) async fn processes_and_cpu() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    let script = "for n in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; true";
    let mut spec = world.script("main", script);
    let some = Some(5);
    spec.limits = Limits { pids: some, cpu_shares: Some(204), cpu_quota: Some(20_000), ..Limits::default() };
    let (exit, output) = world.run(&sandbox, spec.clone()).await;
    assert_ne!(exit.code, 0, "{output}");
    assert!(output.contains("can't fork"), "{output}");
    spec.attempt = 1;
    spec.argv[2] = "sleep 1000".into();
    sandbox.start(spec).await.unwrap();
    let group = format!("{}/poduid-1/main-1", world.parent);
    let v1 = fs::read_to_string(format!("/sys/fs/cgroup/cpu/{group}/cpu.cfs_quota_us"));
    let quota = v1.or_else(|_| fs::read_to_string(format!("/sys/fs/cgroup/{group}/cpu.max"))).unwrap();
    assert!(quota.starts_with("20000"), "{quota}");
    world.finish(&[sandbox]).await;
}
