//! What a container can't do.

use std::os::unix::fs::MetadataExt;

use skiff_runtime::{Mount, Propagation, Seccomp, User};

use crate::world::World;

const STATUS: &str = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d ' \\t'";

pub(crate) async fn capabilities_are_those_asked_for() {
    let output = World::new().print(|_| {}, STATUS).await;
    let sets = "CapInh:0000000000000000\nCapPrm:00000000a80425fb\nCapEff:00000000a80425fb\nCapBnd:00000000a80425fb\n\
                CapAmb:0000000000000000\nNoNewPrivs:0\nSeccomp:2\n";
    assert_eq!(output, sets);
    let change = |spec: &mut skiff_runtime::ContainerSpec| {
        spec.capabilities.drop = vec!["ALL".into()];
        spec.capabilities.add = vec!["NET_BIND_SERVICE".into()];
        spec.no_new_privileges = true;
        spec.seccomp = Seccomp::Unconfined;
    };
    let output = World::new().print(change, STATUS).await;
    assert!(output.contains("CapPrm:0000000000000400\nCapEff:0000000000000400\nCapBnd:0000000000000400"), "{output}");
    assert!(output.contains("NoNewPrivs:1\nSeccomp:0"), "{output}");
    let change = |spec: &mut skiff_runtime::ContainerSpec| {
        spec.user.name = "1000".into();
        spec.no_new_privileges = true;
    };
    let output = World::new().print(change, STATUS).await;
    assert!(output.contains("CapPrm:0000000000000000\nCapEff:0000000000000000\nCapBnd:00000000a80425fb"), "{output}");
    assert!(output.contains("NoNewPrivs:1\nSeccomp:2"), "{output}");
}

pub(crate) async fn privileged_has_everything() {
    let script = format!("{STATUS}; touch /sys/fs/cgroup/x 2>&1 | grep -c Read-only; ls /dev | wc -l");
    let output = World::new().print(|spec| spec.privileged = true, &script).await;
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).unwrap();
    assert!(output.contains(&format!("CapEff:{own}")) && output.contains("Seccomp:0"), "{output}");
}

pub(crate) async fn the_filter_refuses_administration() {
    let script = "unshare -m true; mount -t tmpfs x /tmp; hostname other; echo $(hostname)";
    let change = |spec: &mut skiff_runtime::ContainerSpec| spec.capabilities.add = vec!["SYS_ADMIN".into()];
    assert!(World::new().print(change, script).await.ends_with("other\n"));
    let output = World::new().print(|_| {}, script).await;
    assert!(output.contains("unshare(0x20000): Operation not permitted"), "{output}");
    assert!(output.ends_with("pod-a\n"), "{output}");
}

pub(crate) async fn paths_are_masked_and_protected() {
    let masked = skiff_runtime::MASKED_PATHS.iter().filter(|path| std::path::Path::new(path).exists());
    let empty: Vec<String> =
        masked.map(|path| format!("if [ -d {path} ]; then ls {path}; else cat {path}; fi | wc -c")).collect();
    let script = format!(
        "{}; echo 1 > /proc/sys/vm/drop_caches; touch /sys/fs/cgroup/x; mkdir /sys/x; echo end",
        empty.join(";")
    );
    let output = World::new().print(|_| {}, &script).await;
    assert!(!empty.is_empty() && output.matches("0\n").count() >= empty.len(), "{output}");
    assert!(
        output.lines().all(|line| line == "0" || line == "end" || line.ends_with("Read-only file system")),
        "{output}"
    );
    assert_eq!(output.matches("Read-only file system").count(), 3, "{output}");
}

pub(crate) async fn devices_cannot_be_made_usable() {
    let root = std::fs::metadata("/").unwrap().dev();
    let (major, minor) = (nix::sys::stat::major(root), nix::sys::stat::minor(root));
    let script = format!(
        "for d in / /dev/ /dev/shm/ /tmp/; do mknod ${{d}}disk b {major} {minor} && head -c 1 ${{d}}disk; done; echo end"
    );
    let output = World::new().print(|_| {}, &script).await;
    assert_eq!(output.matches("Permission denied").count(), 4, "{output}");
}

pub(crate) async fn users_and_groups() {
    let user = User { name: "web".into(), gid: None, groups: vec![2000] };
    let script = "id -u; id -g; id -G; echo $HOME; echo fine > /dev/stdout; touch /no 2>&1; cat /proc/1/environ > /dev/null && echo own";
    let output = World::new().print(|spec| spec.user = user, script).await;
    assert_eq!(output, "101\n102\n102 103 2000\n/srv\nfine\ntouch: /no: Permission denied\nown\n");
    let user = User { name: "1234".into(), gid: Some(5), groups: vec![] };
    assert_eq!(World::new().print(|spec| spec.user = user, "id -u; id -g; id -G").await, "1234\n5\n5\n");
}

pub(crate) async fn no_descriptor_leaks() {
    let script = "cd /tmp; for n in $(seq 0 99); do readlink /proc/$$/fd/$n; done; readlink /proc/$$/cwd";
    let output = World::new().print(|_| {}, script).await;
    let open: Vec<&str> = output.lines().map(|name| name.split('[').next().unwrap()).collect();
    assert_eq!(open, ["/dev/null", "pipe:", "pipe:", "/tmp"]);
    // A working folder that is a descriptor of the host's leads nowhere.
    let world = World::new();
    let sandbox = world.sandbox().await;
    for number in 3..12 {
        let mut spec = world.script(&format!("fd{number}"), "pwd");
        spec.cwd = format!("/proc/self/fd/{number}");
        assert!(sandbox.start(spec).await.is_err(), "{number}");
    }
    world.finish(&[sandbox]).await;
}

/// A container whose program is `/proc/self/exe` executes the runtime itself, and could then try to write to it.
pub(crate) async fn the_runtime_can_not_be_overwritten() {
    let world = World::new();
    let program = std::env::current_exe().unwrap();
    let before = std::fs::metadata(&program).unwrap();
    let sandbox = world.sandbox().await;
    let libraries = |path: &str| Mount {
        source: path.into(),
        target: path.into(),
        readonly: true,
        propagation: Propagation::Private,
    };
    let mut spec = world.script("main", "");
    spec.argv = vec!["/proc/self/exe".into(), "sleep".into()];
    spec.mounts = ["/lib", "/lib64", "/usr/lib"]
        .iter()
        .filter(|path| std::path::Path::new(path).exists())
        .map(|path| libraries(path))
        .collect();
    // As the test program it runs no test of that name, and ends.
    let started = sandbox.start(spec).await;
    if started.is_ok() {
        sandbox.wait("main").await.unwrap();
    }
    let shell = "exec 3< /proc/1/exe; echo $(readlink /proc/1/exe)";
    sandbox.start(world.script("shell", shell)).await.unwrap();
    sandbox.wait("shell").await.unwrap();
    let exe = format!("/proc/{}/exe", sandbox.pid());
    // Truncating asks the mount before it asks whether the file is being executed.
    let error = std::fs::OpenOptions::new().write(true).truncate(true).open(&exe).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(nix::libc::EROFS), "{error}");
    assert_eq!(std::fs::metadata(&program).unwrap().mtime_nsec(), before.mtime_nsec());
    world.finish(&[sandbox]).await;
}
