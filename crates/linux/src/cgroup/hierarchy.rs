//! Which hierarchies this machine has, and which controller lives in which: read from the kernel's own tables.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The two generations of control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy per controller, or a few.
    One,
    /// One for all.
    Two,
}

/// A controller that container limits need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// CPU weight and quota.
    Cpu,
    /// CPU time that was used; a controller of its own in version 1 only.
    Accounting,
    /// Memory limit and out-of-memory kills.
    Memory,
    /// Number of processes.
    Pids,
}

impl Controller {
    const ALL: [Controller; 4] = [Controller::Cpu, Controller::Accounting, Controller::Memory, Controller::Pids];

    /// The kernel's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Controller::Cpu => "cpu",
            Controller::Accounting => "cpuacct",
            Controller::Memory => "memory",
            Controller::Pids => "pids",
        }
    }
}

/// Every hierarchy that is mounted here.
#[derive(Debug, Clone)]
pub struct Hierarchies(pub(super) Vec<Hierarchy>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    pub(super) mount: PathBuf,
    /// Which of the controllers we need live here. Empty for a hierarchy that only groups.
    pub(super) controllers: Vec<Controller>,
    /// The group this process is in.
    pub(super) own: String,
}

impl Hierarchies {
    /// Looks at what is mounted.
    ///
    /// # Errors
    /// When `/proc` can't be read.
    pub fn discover() -> io::Result<Hierarchies> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let own = fs::read_to_string("/proc/self/cgroup")?;
        Ok(parse(&mounts, &own, |mount| fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default()))
    }
}

impl Hierarchy {
    /// Lets the groups below a version 2 group use our controllers. One that can't be handed down shows when a limit
    /// needs it.
    pub(super) fn hand_down(&self, path: &Path) {
        for controller in &self.controllers {
            fs::write(path.join("cgroup.subtree_control"), format!("+{}", controller.name())).ok();
        }
    }
}

/// `available` gives the text of a version 2 hierarchy's `cgroup.controllers`.
pub(super) fn parse(mounts: &str, own: &str, available: impl Fn(&Path) -> String) -> Hierarchies {
    let mut found: Vec<Hierarchy> = Vec::new();
    let mut second = None;
    for line in mounts.lines() {
        let Some((mount, kind, options)) = mount_line(line) else { continue };
        let names: Vec<&str> = options.split(',').collect();
        match kind {
            "cgroup" => {
                let controllers: Vec<Controller> =
                    Controller::ALL.into_iter().filter(|controller| names.contains(&controller.name())).collect();
                let own =
                    own_group(own, |listed| listed.split(',').any(|name| !name.is_empty() && names.contains(&name)));
                let hierarchy = Hierarchy { version: Version::One, mount: mount.into(), controllers, own };
                if !found
                    .iter()
                    .any(|known| !known.controllers.is_empty() && known.controllers == hierarchy.controllers)
                {
                    found.push(hierarchy);
                }
            }
            "cgroup2" if second.is_none() => second = Some(PathBuf::from(mount)),
            _ => {}
        }
    }
    if let Some(mount) = second {
        let listed = available(&mount);
        let taken: Vec<Controller> = found.iter().flat_map(|hierarchy| hierarchy.controllers.clone()).collect();
        let free = |controller: &Controller| {
            !taken.contains(controller) && listed.split_whitespace().any(|name| name == controller.name())
        };
        let controllers = Controller::ALL.into_iter().filter(free).collect();
        let own = own_group(own, str::is_empty);
        found.push(Hierarchy { version: Version::Two, mount, controllers, own });
    }
    Hierarchies(found)
}

/// Mount point, kind and super block options of a line of `mountinfo`.
fn mount_line(line: &str) -> Option<(&str, &str, &str)> {
    let (left, right) = line.split_once(" - ")?;
    let mount = left.split(' ').nth(4)?;
    let mut right = right.split(' ');
    let kind = right.next()?;
    Some((mount, kind, right.nth(1)?))
}

fn own_group(own: &str, is_it: impl Fn(&str) -> bool) -> String {
    let mut lines = own.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    lines.find(|(controllers, _)| is_it(controllers)).map_or("/", |(_, path)| path).to_owned()
}
