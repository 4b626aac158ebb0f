//! A small image with busybox, packed as `docker save` does it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

const TOOLS: &[&str] = &[
    "cat", "echo", "env", "false", "grep", "head", "hostname", "httpd", "id", "ip", "kill", "ls", "mkdir", "mount",
    "nc", "ps", "rm", "seq", "sh", "sleep", "stat", "tail", "touch", "true", "usleep", "wc",
];

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn pack(folder: &Path, archive: &Path) {
    run("tar", &["-C", folder.to_str().unwrap(), "-cf", archive.to_str().unwrap(), "."]);
}

/// Writes the archive `name` into `dir`.
pub(crate) fn archive(dir: &Path, name: &str) -> PathBuf {
    let root = dir.join(format!("{name}-root"));
    for folder in ["bin", "etc", "tmp", "www"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for tool in TOOLS {
        symlink("busybox", root.join("bin").join(tool)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/www:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nweb:x:1000:\n").unwrap();
    fs::write(root.join("www/index.html"), "hello\n").unwrap();
    let bundle = dir.join(format!("{name}-bundle"));
    fs::create_dir_all(&bundle).unwrap();
    pack(&root, &bundle.join("layer.tar"));
    let digest = run("sha256sum", &[bundle.join("layer.tar").to_str().unwrap()]);
    let digest = digest.split_whitespace().next().unwrap();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = serde_json::json!({
        "architecture": architecture, "os": "linux",
        "config": {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["sleep 1000"], "Env": ["FROM=image"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]}});
    fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    let manifest =
        serde_json::json!([{"Config": "config.json", "RepoTags": [format!("{name}:latest")], "Layers": ["layer.tar"]}]);
    fs::write(bundle.join("manifest.json"), manifest.to_string()).unwrap();
    let archive = dir.join(format!("{name}.tar"));
    pack(&bundle, &archive);
    archive
}
