//! What a group uses, from the kernel's own counters.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Controller, Group, Version};

/// What the processes of a group have used, and use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time since the group was made. None: nothing here counts it.
    pub cpu: Option<Duration>,
    /// None: nothing here counts it.
    pub memory: Option<Memory>,
}

/// Bytes of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// All of it, with what the kernel keeps of files.
    pub total: u64,
    /// Without what the kernel could drop at once.
    pub working_set: u64,
}

impl Group {
    /// What it uses now.
    pub fn usage(&self) -> Usage {
        Usage { cpu: self.cpu(), memory: self.memory() }
    }

    fn cpu(&self) -> Option<Duration> {
        if let Some(member) = self.member(Controller::Accounting) {
            return number(&member.path.join("cpuacct.usage")).map(Duration::from_nanos);
        }
        let second = self.members.iter().find(|member| member.hierarchy.version == Version::Two)?;
        let stat = fs::read_to_string(second.path.join("cpu.stat")).ok()?;
        line(&stat, "usage_usec").map(Duration::from_micros)
    }

    fn memory(&self) -> Option<Memory> {
        let member = self.member(Controller::Memory)?;
        let (usage, inactive) = match member.hierarchy.version {
            Version::One => ("memory.usage_in_bytes", "total_inactive_file"),
            Version::Two => ("memory.current", "inactive_file"),
        };
        let total = number(&member.path.join(usage))?;
        let stat = fs::read_to_string(member.path.join("memory.stat")).ok()?;
        Some(Memory { total, working_set: total.saturating_sub(line(&stat, inactive).unwrap_or(0)) })
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn line(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Hierarchies;

    #[test]
    fn what_a_group_uses_is_counted() {
        use std::io::Write;
        let hierarchies = Hierarchies::discover().unwrap();
        let name = format!("skiff-linux-usage-{}", std::process::id());
        let group = hierarchies.group(&name);
        group.create().unwrap();
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", "read -r line; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; read -r line"]);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        for member in &group.members {
            fs::write(member.path.join("cgroup.procs"), child.id().to_string()).unwrap();
        }
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let begun = std::time::Instant::now();
        while group.usage().cpu.unwrap() < Duration::from_millis(10) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", group.usage());
            std::thread::sleep(Duration::from_millis(1));
        }
        let memory = group.usage().memory.unwrap();
        assert!(memory.working_set > 0 && memory.working_set <= memory.total, "{memory:?}");
        drop(child.stdin.take());
        child.wait().unwrap();
        group.kill_and_remove(Duration::from_secs(5)).unwrap();
        assert_eq!(group.usage(), Usage::default());
    }

    #[test]
    fn lines_are_whole_names() {
        let stat = "inactive_file_x 1\ntotal_inactive_file 7\ninactive_file 5\n";
        assert_eq!((line(stat, "inactive_file"), line(stat, "total_inactive_file")), (Some(5), Some(7)));
    }
}
