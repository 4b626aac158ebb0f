//! What is on this machine that skiff could have left there: links, tables, mounts, cgroups,
//! namespaces, processes, files. `uninstall` compares it with what was there before skiff first ran.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Everything that is compared, by kind; each entry is a name a user can look up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) links: BTreeSet<String>,
    pub(crate) nft_tables: BTreeSet<String>,
    pub(crate) mounts: BTreeSet<String>,
    pub(crate) cgroups: BTreeSet<String>,
    pub(crate) namespaces: BTreeSet<String>,
    pub(crate) processes: BTreeSet<String>,
    pub(crate) files: BTreeSet<String>,
}

/// What of ours could be where.
#[derive(Clone, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) cgroup_parent: &'a str,
    pub(crate) nft_table: &'a str,
    pub(crate) folders: Vec<PathBuf>,
}

impl Snapshot {
    /// Looks at this machine, in the network and mount namespaces that we are in.
    pub(crate) fn take(scope: &Scope<'_>) -> Self {
        Self {
            links: links(),
            nft_tables: table(scope.nft_table),
            mounts: mounts(&scope.folders),
            cgroups: cgroups(scope.cgroup_parent),
            namespaces: namespaces(&scope.folders),
            processes: processes(&scope.folders),
            files: scope.folders.iter().filter(|path| path.exists()).map(|path| path.display().to_string()).collect(),
        }
    }

    /// What is in `self` and was not in `before`, as `kind name`.
    pub(crate) fn beyond(&self, before: &Self) -> Vec<String> {
        let pairs = [
            ("link", &self.links, &before.links),
            ("nft table", &self.nft_tables, &before.nft_tables),
            ("mount", &self.mounts, &before.mounts),
            ("cgroup", &self.cgroups, &before.cgroups),
            ("namespace", &self.namespaces, &before.namespaces),
            ("process", &self.processes, &before.processes),
            ("file", &self.files, &before.files),
        ];
        let more = pairs
            .into_iter()
            .flat_map(|(kind, now, then)| now.difference(then).map(move |one| format!("{kind} {one}")));
        more.collect()
    }
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// `/proc/net/dev` and not `/sys/class/net`: it is that of our own network namespace.
fn links() -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    table.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

/// Our own table is the only one that we ever make.
fn table(name: &str) -> BTreeSet<String> {
    let there = skiff_proxy::exists(name).unwrap_or_default();
    there.then(|| format!("inet {name}")).into_iter().collect()
}

/// Mount points in those folders, outer ones first.
pub(crate) fn mounts(folders: &[PathBuf]) -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split_whitespace().nth(4).map(str::to_owned));
    points.filter(|point| folders.iter().any(|folder| Path::new(point).starts_with(folder))).collect()
}

fn cgroups(parent: &str) -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let hierarchies =
        table.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split_whitespace().nth(4));
    let ours = hierarchies.map(|mount| Path::new(mount).join(parent)).filter(|path| path.exists());
    ours.map(|path| path.display().to_string()).collect()
}

/// Namespaces that a pod's process holds: of processes that a supervisor of ours started.
fn namespaces(folders: &[PathBuf]) -> BTreeSet<String> {
    let own = |kind: &str| fs::read_link(format!("/proc/self/ns/{kind}")).ok();
    let mut found = BTreeSet::new();
    for pid in supervised(folders) {
        for kind in ["net", "ipc", "uts", "mnt", "pid"] {
            let theirs = fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
            if theirs.is_some() && theirs != own(kind) {
                found.extend(theirs.map(|link| link.display().to_string()));
            }
        }
    }
    found
}

fn command_line(pid: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ").trim().to_owned()
}

/// Supervisors of pods below these folders: another cluster on this machine is none of our business.
fn supervised(folders: &[PathBuf]) -> Vec<String> {
    let pids = names(Path::new("/proc")).filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    pids.filter(|pid| is_supervisor(&command_line(pid), folders)).collect()
}

fn is_supervisor(command: &str, folders: &[PathBuf]) -> bool {
    let mut words = command.split(' ').skip(1);
    let ours = |pod: &str| folders.iter().any(|folder| Path::new(pod).starts_with(folder));
    words.next() == Some("supervisor") && words.next().is_some_and(ours)
}

fn processes(folders: &[PathBuf]) -> BTreeSet<String> {
    supervised(folders).into_iter().map(|pid| format!("{pid} {}", command_line(&pid))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_told() {
        let mut before = Snapshot::default();
        before.links.insert("eth0".to_owned());
        let mut after = before.clone();
        after.links.insert("skiff0".to_owned());
        after.files.insert("/var/lib/skiff".to_owned());
        assert_eq!(after.beyond(&before), ["link skiff0", "file /var/lib/skiff"]);
        assert!(before.beyond(&after).is_empty());
    }

    #[test]
    fn supervisors_are_known_by_their_command() {
        let folders = [PathBuf::from("/run/skiff")];
        assert!(is_supervisor("/proc/self/exe supervisor /run/skiff/pods/x", &folders));
        assert!(!is_supervisor("/proc/self/exe supervisor /elsewhere/pods/x", &folders));
        assert!(!is_supervisor("/usr/bin/supervisor x", &folders));
    }
}
