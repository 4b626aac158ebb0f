//! What the whole machine uses, from `/proc`.

use std::fs;

use jiff::{SignedDuration, Timestamp};

/// The machine's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) booted: Timestamp,
    /// CPU time since then, without idleness.
    pub(super) cpu_nanos: u64,
    /// Bytes that new programs could have.
    pub(super) available: u64,
    /// Bytes in use, with what the kernel keeps of files.
    pub(super) used: u64,
    /// Bytes in use that the kernel could not drop at once.
    pub(super) working_set: u64,
}

impl Machine {
    /// Asks the kernel. What it does not tell is zero.
    pub(super) fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
        let ticks = ticks.and_then(|ticks| u64::try_from(ticks).ok()).unwrap_or(100);
        Self::parse(&text("/proc/stat"), &text("/proc/meminfo"), ticks)
    }

    fn parse(stat: &str, meminfo: &str, ticks_per_second: u64) -> Self {
        let booted = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).unwrap_or(0);
        let total = memory(meminfo, "MemTotal");
        let used = total.saturating_sub(memory(meminfo, "MemFree"));
        Self {
            booted: Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_secs(booted)).unwrap_or(Timestamp::MIN),
            cpu_nanos: busy(stat).saturating_mul(1_000_000_000 / ticks_per_second.max(1)),
            available: memory(meminfo, "MemAvailable"),
            used,
            working_set: used.saturating_sub(memory(meminfo, "Inactive(file)")),
        }
    }
}

/// All of the first line but idleness and waiting; guests are part of users' time already.
fn busy(stat: &str) -> u64 {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let fields = line.split_whitespace().take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4));
    fields.filter_map(|(_, ticks)| ticks.parse::<u64>().ok()).sum()
}

fn memory(meminfo: &str, name: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let stat = "cpu  10 20 30 1000 500 1 2 3 9 9\ncpu0 1 2 3 4\nbtime 60\n";
        let meminfo = "MemTotal: 100 kB\nMemFree: 40 kB\nMemAvailable: 70 kB\nInactive: 90 kB\nInactive(file): 25 kB\n";
        let wanted = Machine {
            booted: Timestamp::from_second(60).unwrap(),
            cpu_nanos: 66 * 10_000_000,
            available: 70 << 10,
            used: 60 << 10,
            working_set: 35 << 10,
        };
        assert_eq!(Machine::parse(stat, meminfo, 100), wanted);
        assert_eq!(Machine::parse("", "", 0).cpu_nanos, 0);
    }
}
