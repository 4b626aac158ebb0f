//! `skiff status`: what runs on this machine, and whether it is well.

use std::{fs, path::Path};

use crate::args::Places;

/// The process of the server that uses these folders, if one runs.
pub(crate) fn server_pid(places: &Places) -> Option<i32> {
    let pid: i32 = fs::read_to_string(places.pid_file()).ok()?.trim().parse().ok()?;
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    // The number may have been given to another process since.
    command.split('\0').any(|word| word == "server").then_some(pid)
}

/// Supervisors of pods whose folder is still there.
pub(crate) fn pods(places: &Places) -> Vec<String> {
    let entries = fs::read_dir(places.run_dir.join("pods")).into_iter().flatten().flatten();
    let mut pods: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    pods.sort();
    pods
}

/// Resident memory of a process in MiB: its proportional share where the kernel tells it.
pub(crate) fn memory(pid: i32) -> Option<f64> {
    let rollup = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("smaps_rollup")).ok()?;
    let line = rollup.lines().find(|line| line.starts_with("Pss:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
