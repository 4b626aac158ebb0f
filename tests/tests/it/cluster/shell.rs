//! An image with a shell and busybox's tools, for tests that look into containers.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use skiff_tests::Lab;

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn pack(folder: &Path, archive: &Path) {
    run("tar", &["-C", folder.to_str().unwrap(), "-cf", archive.to_str().unwrap(), "."]);
}

/// Imports the image `shell`; `false`, loudly, where this machine has no busybox.
pub(super) fn import(lab: &Lab) -> bool {
    if !Path::new("/bin/busybox").exists() {
        eprintln!("SKIPPED: /bin/busybox is missing; install busybox-static");
        return false;
    }
    let (root, bundle) = (lab.folder().join("shell-root"), lab.folder().join("shell-bundle"));
    for folder in ["bin", "etc", "tmp", "www", "root"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::create_dir_all(&bundle).unwrap();
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for tool in run("/bin/busybox", &["--list"]).lines().filter(|tool| *tool != "busybox") {
        symlink("busybox", root.join("bin").join(tool)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\n").unwrap();
    fs::write(root.join("www/index.html"), "hello\n").unwrap();
    pack(&root, &bundle.join("layer.tar"));
    let digest = run("sha256sum", &[bundle.join("layer.tar").to_str().unwrap()]);
    let digest = digest.split_whitespace().next().unwrap();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = serde_json::json!({
        "architecture": architecture, "os": "linux", "config": {"Cmd": ["sleep", "100000"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]}});
    fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    let manifest =
        serde_json::json!([{"Config": "config.json", "RepoTags": ["shell:latest"], "Layers": ["layer.tar"]}]);
    fs::write(bundle.join("manifest.json"), manifest.to_string()).unwrap();
    let archive = lab.folder().join("shell.tar");
    pack(&bundle, &archive);
    lab.skiff(&["image", "import", archive.to_str().unwrap()]).ok();
    true
}
