//! What this machine is: read once, but for what can run out.

use std::{fs, path::Path};

use nix::sys::{statvfs::statvfs, utsname::uname};

use crate::config::Config;

/// What does not change while the server runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) cpus: u64,
    /// Bytes.
    pub(crate) memory: u64,
    /// Bytes of the file system that holds the data folder.
    pub(crate) disk: u64,
    pub(crate) kernel: String,
    pub(crate) os_image: String,
    pub(crate) machine_id: String,
    pub(crate) system_uuid: String,
    pub(crate) boot_id: String,
    pub(crate) architecture: &'static str,
}

fn text(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

impl Facts {
    /// Asks the kernel. What it does not tell stays empty.
    pub(crate) fn read(config: &Config) -> Self {
        let cpus = nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN).ok().flatten().unwrap_or(1);
        Self {
            cpus: u64::try_from(cpus).unwrap_or(1),
            memory: meminfo(&text("/proc/meminfo"), "MemTotal").unwrap_or_default(),
            disk: disk(&config.data_dir).map_or(0, |disk| disk.total),
            kernel: uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default(),
            os_image: pretty_name(&text("/etc/os-release")),
            machine_id: text("/etc/machine-id"),
            system_uuid: text("/sys/class/dmi/id/product_uuid"),
            boot_id: text("/proc/sys/kernel/random/boot_id"),
            architecture: match std::env::consts::ARCH {
                "x86_64" => "amd64",
                "aarch64" => "arm64",
                "x86" => "386",
                other => other,
            },
        }
    }
}

fn pretty_name(release: &str) -> String {
    let line = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

/// A line of /proc/meminfo, in bytes.
fn meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

struct Disk {
    total: u64,
    free: u64,
    nodes: u64,
    free_nodes: u64,
}

fn disk(path: &Path) -> Option<Disk> {
    // The data folder may not be there yet.
    let path = path.ancestors().find(|path| path.exists())?;
    let stat = statvfs(path).ok()?;
    let block = stat.fragment_size();
    Some(Disk {
        total: stat.blocks() * block,
        free: stat.blocks_available() * block,
        nodes: stat.files(),
        free_nodes: stat.files_available(),
    })
}

/// What is running out, by the thresholds that Kubernetes evicts at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    pub(crate) memory: bool,
    pub(crate) disk: bool,
    pub(crate) pids: bool,
}

const LEAST_MEMORY: u64 = 100 << 20;

impl Pressure {
    pub(crate) fn read(config: &Config) -> Self {
        let available = meminfo(&text("/proc/meminfo"), "MemAvailable");
        let disk = disk(&config.data_dir);
        let short = |disk: &Disk| disk.free < disk.total / 10 || (disk.nodes > 0 && disk.free_nodes < disk.nodes / 20);
        Self {
            memory: available.is_some_and(|bytes| bytes < LEAST_MEMORY),
            disk: disk.as_ref().is_some_and(short),
            pids: pids_short(&text("/proc/loadavg"), &text("/proc/sys/kernel/pid_max")),
        }
    }
}

fn pids_short(loadavg: &str, pid_max: &str) -> bool {
    let running = loadavg.split(' ').nth(3).and_then(|tasks| tasks.split_once('/')?.1.parse::<u64>().ok());
    let most = pid_max.parse::<u64>().ok();
    matches!((running, most), (Some(running), Some(most)) if running > most - most / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(meminfo("MemTotal:       16384 kB\nMemAvailable: 5 kB\n", "MemAvailable"), Some(5120));
        assert_eq!(pretty_name("ID=x\nPRETTY_NAME=\"Debian GNU/Linux 13\"\n"), "Debian GNU/Linux 13");
        assert!(pids_short("0.1 0.1 0.1 1/31000 77", "32768"));
        assert!(!pids_short("0.1 0.1 0.1 1/300 77", "32768"));
        assert!(!pids_short("", ""));
    }
}
