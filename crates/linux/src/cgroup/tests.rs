//! Hierarchies from the tables of real machines, and a group of our own on this one.

use super::hierarchy::parse;
use super::*;

const V2: &str = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const HYBRID: &str = "\
30 29 0:26 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw
31 29 0:27 / /sys/fs/cgroup/systemd rw shared:6 - cgroup cgroup rw,xattr,name=systemd
33 29 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:8 - cgroup cgroup rw,cpu,cpuacct
34 29 0:30 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
";

#[test]
fn one_hierarchy_holds_all_in_version_2() {
    let found = parse(V2, "0::/system.slice/skiff.service\n", |_| "cpuset cpu io memory pids".into());
    assert_eq!(found.0.len(), 1);
    assert_eq!(found.0[0].own, "/system.slice/skiff.service");
    assert_eq!(found.0[0].controllers, [Controller::Cpu, Controller::Memory, Controller::Pids]);
    assert_eq!(found.group("skiff/podx").members[0].path, Path::new("/sys/fs/cgroup/skiff/podx"));
}

#[test]
fn side_by_side_version_1_has_precedence() {
    let own = "4:memory:/\n2:cpu,cpuacct:/user\n1:name=systemd:/system.slice/x\n0::/system.slice/x\n";
    let found = parse(HYBRID, own, |_| "memory pids".into());
    let group = found.group("skiff");
    let of = |controller| group.member(controller).map(|member| (member.hierarchy.version, member.path.clone()));
    assert_eq!(of(Controller::Cpu), Some((Version::One, "/sys/fs/cgroup/cpu,cpuacct/skiff".into())));
    assert_eq!(of(Controller::Memory), Some((Version::One, "/sys/fs/cgroup/memory/skiff".into())));
    assert_eq!(of(Controller::Pids), Some((Version::Two, "/sys/fs/cgroup/unified/skiff".into())));
    let owns: Vec<&str> = found.0.iter().map(|hierarchy| hierarchy.own.as_str()).collect();
    assert_eq!(owns, ["/system.slice/x", "/user", "/", "/system.slice/x"]);
}

#[test]
fn a_missing_controller_is_named() {
    let found = parse("", "", |_| String::new());
    let error = found.group("skiff").limit(&Limits { pids: Some(1), ..Limits::default() }).unwrap_err();
    assert_eq!(error.to_string(), "this machine has no pids cgroup controller");
    found.group("skiff").limit(&Limits { cpu_shares: Some(2), ..Limits::default() }).unwrap();
}

#[test]
fn shares_become_weights() {
    assert_eq!([weight(0), weight(2), weight(1024), weight(262_144)], [1, 1, 39, 10_000]);
}

#[test]
fn what_is_in_a_group_is_killed_with_it() {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    let hierarchies = Hierarchies::discover().unwrap();
    let name = format!("skiff-linux-test-{}", std::process::id());
    let group = hierarchies.group(&format!("{name}/inner"));
    group.create().unwrap();
    group
        .limit(&Limits { pids: Some(64), cpu_shares: Some(100), memory: Some(64 << 20), ..Limits::default() })
        .unwrap();
    let mut command = std::process::Command::new("/bin/sleep");
    let mut child = command.arg("60").process_group(0).spawn().unwrap();
    for member in &group.members {
        fs::write(member.path.join("cgroup.procs"), child.id().to_string()).unwrap();
    }
    assert_eq!(group.processes(), [Pid::from_raw(child.id() as i32)]);
    assert_eq!(group.remove().unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    let outer = hierarchies.group(&name);
    let waiter = std::thread::spawn(move || child.wait().unwrap());
    outer.kill_and_remove(Duration::from_secs(10)).unwrap();
    assert_eq!(waiter.join().unwrap().signal(), Some(9));
    assert!(outer.members.iter().all(|member| !member.path.exists()));
}

/// The files' names and forms, in a folder that stands for a hierarchy.
#[test]
fn version_2_limits_are_written_as_the_kernel_wants_them() {
    let dir = tempfile::tempdir().unwrap();
    let mounts = format!("29 23 0:26 / {} rw - cgroup2 cgroup2 rw\n", dir.path().display());
    let group = parse(&mounts, "0::/x\n", |_| "cpu memory pids".into()).group("skiff/pod");
    group.create().unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("cgroup.subtree_control")).unwrap(), "+pids");
    let limits = Limits {
        cpu_shares: Some(1024),
        cpu_quota: Some(50_000),
        cpu_period: None,
        memory: Some(1 << 20),
        pids: Some(9),
    };
    group.limit(&limits).unwrap();
    let read = |file: &str| fs::read_to_string(dir.path().join("skiff/pod").join(file)).unwrap();
    let files = ["cpu.weight", "cpu.max", "memory.max", "memory.swap.max", "memory.oom.group", "pids.max"];
    assert_eq!(files.map(read), ["39", "50000 100000", "1048576", "0", "1", "9"]);
    assert_eq!(group.oom_kills(), 0);
    fs::write(dir.path().join("skiff/pod/memory.events"), "oom 3\noom_kill 2\noom_group_kill 1\n").unwrap();
    assert_eq!(group.oom_kills(), 2);
    assert!(group.clone_into().unwrap().is_some());
}
