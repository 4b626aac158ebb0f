//! The folders, the socket files and the pid file of a server, and what was on this machine before.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use tokio::net::UnixListener;

use crate::{
    args::ServerArgs,
    host::{Scope, Snapshot},
    status,
};

/// Removes the pid file when the server ends.
pub(crate) struct PidFile(PathBuf);

impl Drop for PidFile {
    fn drop(&mut self) {
        // Its absence is as good.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes the folders, and claims them by the pid file (the store's lock is what really keeps two apart).
pub(crate) fn claim(args: &ServerArgs) -> anyhow::Result<PidFile> {
    let places = &args.places;
    if let Some(pid) = status::server_pid(places).filter(|pid| i64::from(*pid) != i64::from(std::process::id())) {
        bail!(
            "another skiff server, process {pid}, uses {} and {}; stop it, or choose other folders with --data-dir and --run-dir",
            places.data_dir.display(),
            places.run_dir.display()
        );
    }
    let scope = Scope {
        cgroup_parent: &args.cgroup_parent,
        nft_table: &args.nft_table,
        folders: vec![places.data_dir.clone(), places.run_dir.clone()],
    };
    let before = (!places.baseline().exists()).then(|| Snapshot::take(&scope));
    for folder in [&places.data_dir, &places.run_dir] {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| {
            format!("make the folder {}; choose another with --data-dir or --run-dir", folder.display())
        })?;
    }
    if let Some(before) = before {
        let text = serde_json::to_string(&before)?;
        fs::write(places.baseline(), text).with_context(|| format!("write {}", places.baseline().display()))?;
    }
    let file = places.pid_file();
    fs::write(&file, std::process::id().to_string()).with_context(|| format!("write {}", file.display()))?;
    Ok(PidFile(file))
}

/// A listener on a socket file in place of one that a dead server left.
pub(crate) fn socket(path: &Path) -> anyhow::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("replace {}", path.display()));
        }
        _ => {}
    }
    let listener = super::unix_listener(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("protect {}", path.display()))?;
    Ok(listener)
}
