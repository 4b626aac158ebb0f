//! The files that every container of a pod is given: `/etc/hosts`, `/etc/resolv.conf`,
//! `/etc/hostname`, and where it may leave a last word.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{Container, Pod};
use skiff_runtime::{Mount, Propagation};

use crate::{
    config::Config,
    pod::{self, hosts, resolv, resolv::Resolver},
    volumes::{VolumeError, at},
};

/// The longest last word that is read from a file, and from a log.
const FROM_FILE: u64 = 4096;
const FROM_LOG: usize = 2048;
const FROM_LOG_LINES: usize = 80;

/// Writes the pod's files; to be done again when its address changes.
pub(crate) fn write(config: &Config, pod: &Pod, addresses: &[String]) -> Result<(), VolumeError> {
    let dir = config.pod_dir(pod::uid(pod));
    fs::create_dir_all(&dir).map_err(at("make folder", &dir))?;
    let host = Resolver::parse(&fs::read_to_string(&config.resolv_conf).unwrap_or_default());
    let resolver = resolv::resolver(pod, &config.cluster_dns, &config.cluster_domain, &host);
    let hosts = if pod::host_network(pod) {
        hosts::of_host(pod, &fs::read_to_string("/etc/hosts").unwrap_or_default())
    } else {
        hosts::own(pod, addresses, &config.cluster_domain)
    };
    put(&dir.join("hosts"), &hosts)?;
    put(&dir.join("resolv.conf"), &resolver.text())?;
    put(&dir.join("hostname"), &format!("{}\n", hostname(config, pod)))
}

/// The name that the pod's containers see.
pub(crate) fn hostname(config: &Config, pod: &Pod) -> String {
    if pod::host_network(pod) { config.node_name.clone() } else { pod::hostname(pod) }
}

/// Writes in place: containers that run hold the file itself.
fn put(path: &Path, text: &str) -> Result<(), VolumeError> {
    fs::write(path, text).map_err(at("write", path))
}

fn last_words(config: &Config, uid: &str, container: &str, attempt: u32) -> PathBuf {
    config.pod_dir(uid).join("last-words").join(container).join(attempt.to_string())
}

/// The mounts of these files, but for those that the container mounts itself.
pub(crate) fn mounts(
    config: &Config,
    pod: &Pod,
    container: &Container,
    attempt: u32,
) -> Result<Vec<Mount>, VolumeError> {
    let uid = pod::uid(pod);
    let dir = config.pod_dir(uid);
    let mut mounts = Vec::new();
    let taken = |target: &str| {
        container.volume_mounts.iter().flatten().any(|mount| Path::new(&mount.mount_path) == Path::new(target))
    };
    let mut add = |source: PathBuf, target: &str| {
        if !taken(target) {
            let target = PathBuf::from(target);
            mounts.push(Mount { source, target, readonly: false, propagation: Propagation::Private });
        }
    };
    for name in ["hosts", "resolv.conf", "hostname"] {
        add(dir.join(name), &format!("/etc/{name}"));
    }
    if let Some(target) = container.termination_message_path.as_deref().filter(|path| !path.is_empty()) {
        let file = last_words(config, uid, &container.name, attempt);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(at("make folder", parent))?;
        }
        fs::write(&file, "").map_err(at("write", &file))?;
        // Whoever the container runs as may leave its last word.
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .map_err(at("set the mode of", &file))?;
        add(file, target);
    }
    Ok(mounts)
}

/// The path of a container's log.
pub(crate) fn log(config: &Config, uid: &str, container: &str, attempt: u32) -> PathBuf {
    config.log_dir(uid, container).join(format!("{attempt}.log"))
}

/// What the container said at its end.
pub(crate) fn last_word(config: &Config, pod: &Pod, container: &str, attempt: u32, failed: bool) -> Option<String> {
    let uid = pod::uid(pod);
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(last_words(config, uid, container, attempt)) {
        // What cannot be read was not said.
        let _ = file.take(FROM_FILE).read_to_end(&mut bytes);
    }
    let policy = pod::container(pod, container).and_then(|own| own.termination_message_policy.clone());
    if bytes.is_empty() && failed && policy.as_deref() == Some("FallbackToLogsOnError") {
        bytes = crate::logs::last_lines(&log(config, uid, container, attempt), FROM_LOG_LINES, FROM_LOG);
    }
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Removes what an attempt that nobody can ask for any more has left.
pub(crate) fn forget(config: &Config, uid: &str, container: &str, attempt: u32) {
    let log = log(config, uid, container, attempt);
    let prefix = log.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let _ = fs::remove_file(last_words(config, uid, container, attempt));
    for entry in fs::read_dir(config.log_dir(uid, container)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name == prefix || name.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with('.')) {
            // The folder goes with the pod at the latest.
            let _ = fs::remove_file(entry.path());
        }
    }
}
