//! How long a pod takes: sandbox, one container that runs `true` to its end, removal; and what a supervisor weighs.
//!
//! Prints a table and, as the last line, JSON. Needs root and busybox-static.

#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use skiff_runtime::{Config, ContainerSpec, Log, Runtime, SandboxSpec};

const ROUNDS: u32 = 50;
const NAMES: [&str; 5] = ["sandbox", "container_start", "container_end", "remove", "exec"];

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|role| role == "supervisor") {
        return skiff_runtime::supervisor::main(args);
    }
    if !nix::unistd::geteuid().is_root() || !Path::new("/bin/busybox").exists() {
        println!("SKIPPED: needs root and /bin/busybox (busybox-static)");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
    ExitCode::SUCCESS
}

async fn measure() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("layer/bin")).unwrap();
    fs::copy("/bin/busybox", dir.path().join("layer/bin/true")).unwrap();
    fs::copy("/bin/busybox", dir.path().join("layer/bin/sleep")).unwrap();
    let program = std::env::current_exe().unwrap().into_os_string();
    let node = Runtime::new(Config {
        run_dir: dir.path().join("run"),
        cgroup_parent: format!("skiff-bench-{}", std::process::id()),
        supervisor: vec![program, OsString::from("supervisor")],
    })
    .unwrap();
    let mut rounds = Vec::new();
    for number in 0..ROUNDS + 3 {
        let times = round(&node, dir.path(), number).await;
        // The first ones compile the filter and warm the caches.
        if number >= 3 {
            rounds.push(times);
        }
    }
    let pss = weigh(&node, dir.path()).await;
    node.release().unwrap();
    report(&rounds, pss);
}

fn container(dir: &Path, argv: &[&str]) -> ContainerSpec {
    ContainerSpec {
        name: "main".into(),
        layers: vec![dir.join("layer")],
        argv: argv.iter().map(|arg| (*arg).into()).collect(),
        log: Some(Log::new(dir.join("logs/0.log"))),
        ..ContainerSpec::default()
    }
}

fn sandbox(dir: &Path, uid: String) -> SandboxSpec {
    SandboxSpec { dir: dir.join("pods").join(&uid), uid, hostname: "bench".into(), ..SandboxSpec::default() }
}

async fn round(node: &Runtime, dir: &Path, number: u32) -> [Duration; NAMES.len()] {
    let begun = Instant::now();
    let pod = node.create(sandbox(dir, format!("pod{number}"))).await.unwrap();
    let created = begun.elapsed();
    let mut events = pod.events();
    pod.start(container(dir, &["true"])).await.unwrap();
    let started = begun.elapsed();
    while !matches!(events.recv().await.unwrap(), skiff_runtime::Event::Changed(status) if status.exit().is_some()) {}
    let ended = begun.elapsed();
    let mut long = container(dir, &["sleep", "1000"]);
    long.attempt = 1;
    pod.start(long).await.unwrap();
    let exec_begun = Instant::now();
    assert_eq!(pod.exec("main", skiff_runtime::ExecSpec::new(["true"])).await.unwrap().exit_code, 0);
    let exec = exec_begun.elapsed();
    let removing = Instant::now();
    pod.remove().await.unwrap();
    [created, started - created, ended - started, removing.elapsed(), exec]
}

/// PSS in KiB of the supervisor of a pod that runs.
async fn weigh(node: &Runtime, dir: &Path) -> u64 {
    let pod = node.create(sandbox(dir, "weighed".into())).await.unwrap();
    pod.start(container(dir, &["sleep", "1000"])).await.unwrap();
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", pod.pid())).unwrap();
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    let pss = pss.trim().trim_end_matches(" kB").parse().unwrap();
    pod.remove().await.unwrap();
    pss
}

fn report(rounds: &[[Duration; NAMES.len()]], pss: u64) {
    let mut json = Vec::new();
    println!("{:<16} {:>10} {:>10}", "step", "median ms", "p90 ms");
    let line = |name: &str, mut times: Vec<Duration>| {
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1000.0;
        println!("{name:<16} {:>10.2} {:>10.2}", at(50), at(90));
        format!("\"{name}_ms\":{:.2}", at(50))
    };
    for (at, name) in NAMES.iter().enumerate() {
        json.push(line(name, rounds.iter().map(|round| round[at]).collect()));
    }
    json.push(line("to_started", rounds.iter().map(|round| round[0] + round[1]).collect()));
    json.push(line("to_ended", rounds.iter().map(|round| round[0] + round[1] + round[2]).collect()));
    println!("{:<16} {pss:>10} KiB", "supervisor PSS");
    json.push(format!("\"supervisor_pss_kib\":{pss}"));
    println!("{{{}}}", json.join(","));
}
