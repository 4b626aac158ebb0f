//! What a container finds in its file system.

use std::fs;
use std::os::unix::fs::symlink;

use skiff_runtime::{Mount, Propagation};

use crate::world::World;

pub(crate) async fn the_usual_places_are_there() {
    let script = "ls -d /proc/1 /sys/kernel /dev/null /dev/pts/ptmx /dev/shm /dev/mqueue /dev/stdout
        echo x > /dev/null; head -c 3 /dev/zero | wc -c; echo ok > /dev/stderr
        awk '$2 == \"/\" {print $3}' /proc/mounts; touch /written && echo $HOME $PATH $HOSTNAME; echo groups $(ls /sys/fs/cgroup | wc -l)";
    let output = World::new().print(|_| {}, script).await;
    for expected in ["/proc/1\n", "/dev/pts/ptmx\n", "\n3\n", "ok\n", "overlay\n"] {
        assert!(output.contains(expected), "{expected:?} is not in {output}");
    }
    let environment = "/root /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin pod-a\n";
    assert!(output.contains(environment), "{output}");
    let groups = output.lines().find_map(|line| line.strip_prefix("groups ")).unwrap();
    assert!(groups.parse::<u32>().unwrap() > 1, "{output}");
}

pub(crate) async fn the_root_can_be_read_only() {
    let world = World::new();
    let data = world.dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let mount = Mount { source: data, target: "/data".into(), readonly: false, propagation: Propagation::Private };
    let change = |spec: &mut skiff_runtime::ContainerSpec| {
        spec.readonly_root = true;
        spec.mounts = vec![mount];
        spec.cwd = "/made/for/it".into();
    };
    let script = "touch /x 2>&1; touch /data/x && echo written; touch /dev/shm/x && pwd";
    let output = World::print(world, change, script).await;
    assert_eq!(output, "touch: /x: Read-only file system\nwritten\n/made/for/it\n");
}

pub(crate) async fn mounts_of_files_and_folders() {
    let world = World::new();
    let at = |name: &str| world.dir.path().join(name);
    fs::create_dir_all(at("vol/sub")).unwrap();
    fs::write(at("vol/sub/file"), "content\n").unwrap();
    fs::write(at("hosts"), "127.0.0.1 localhost\n").unwrap();
    let mount = |source: &str, target: &str, readonly| Mount {
        source: at(source),
        target: target.into(),
        readonly,
        propagation: Propagation::Private,
    };
    let mounts = vec![
        mount("vol/sub/file", "/vol/deep/file", true),
        mount("vol", "/vol", false),
        mount("hosts", "/etc/hosts", true),
        mount("vol/sub", "/ro", true),
    ];
    fs::create_dir_all(at("vol/deep")).unwrap();
    let sandbox = world.sandbox().await;
    let script = "cat /vol/deep/file /etc/hosts; echo y >> /etc/hosts; touch /ro/x; echo new > /vol/made; cat /ro/file";
    let mut spec = world.script("main", script);
    spec.mounts = mounts.clone();
    let (_, output) = world.run(&sandbox, spec).await;
    assert!(output.contains("can't create /etc/hosts: Read-only file system"), "{output}");
    assert!(output.contains("touch: /ro/x: Read-only file system"), "{output}");
    assert_eq!(output.matches("content").count(), 2);
    assert_eq!(fs::read_to_string(at("vol/made")).unwrap(), "new\n");
    for (source, target, text) in [
        ("gone", "/gone", "/gone: no such file or directory"),
        ("vol", "/proc/sys", "mount target /proc/sys must not be in /proc or /sys"),
        ("vol", "/sys", "mount target /sys must not be in /proc or /sys"),
    ] {
        let mut spec = world.script(&format!("bad-{source}-{}", target.len()), "true");
        spec.mounts = vec![mount(source, target, false)];
        let error = sandbox.start(spec).await.unwrap_err().to_string();
        assert!(error.ends_with(text), "{error}");
    }
    world.finish(&[sandbox]).await;
}

pub(crate) async fn links_in_an_image_stay_inside() {
    let world = World::new();
    let layer = world.layer();
    let outside = world.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, layer.join("trap")).unwrap();
    symlink("../run/none/resolv.conf", layer.join("etc/resolv.conf")).unwrap();
    symlink("/proc/sys", layer.join("kernel")).unwrap();
    fs::write(world.dir.path().join("resolv"), "nameserver 1.2.3.4\n").unwrap();
    let mount = |target: &str| Mount {
        source: world.dir.path().join("resolv"),
        target: target.into(),
        readonly: true,
        propagation: Propagation::Private,
    };
    let sandbox = world.sandbox().await;
    let mut spec = world.script("main", "cat /etc/resolv.conf /trap/file");
    spec.mounts = vec![mount("/etc/resolv.conf"), mount("/trap/file")];
    let (exit, output) = world.run(&sandbox, spec).await;
    assert_eq!((exit.code, output.as_str()), (0, "nameserver 1.2.3.4\nnameserver 1.2.3.4\n"));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing of it is on the host");
    let mut spec = world.script("kernel", "true");
    spec.mounts = vec![mount("/kernel/vm/swappiness")];
    let error = sandbox.start(spec).await.unwrap_err().to_string();
    assert!(error.contains("must not be in /proc or /sys"), "{error}");
    // An image whose /proc is a link would have it mounted elsewhere and unmasked.
    symlink("/tmp", layer.join("proc")).unwrap();
    let error = sandbox.start(world.script("proc", "true")).await.unwrap_err().to_string();
    assert_eq!(error, "mount /proc: not a directory");
    world.finish(&[sandbox]).await;
}
