//! `skiff doctor`: what on this machine is missing or in the way, each with its remedy.

use std::{fs, net::TcpListener, path::Path};

use crate::args::Places;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    Warning,
    Bad,
}

/// One line of the doctor's report.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    pub(crate) what: String,
    pub(crate) remedy: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Good, what: what.into(), remedy: None }
    }

    fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, what: what.into(), remedy: Some(remedy.into()) }
    }

    fn bad(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, what: what.into(), remedy: Some(remedy.into()) }
    }
}

/// All checks, in the order of the report.
pub(crate) fn examine(places: &Places, api_port: u16) -> Vec<Finding> {
    let running = crate::status::server_pid(places).is_some();
    let mut findings = vec![root(), kernel()];
    findings.extend(namespaces());
    findings.extend(file_systems());
    findings.push(cgroups());
    findings.push(nf_tables());
    findings.push(loopback());
    findings.push(forwarding(running));
    findings.push(api_port_free(api_port, running));
    findings.push(space(&places.data_dir));
    findings.push(writable(&places.data_dir));
    findings.push(leftovers(places, running));
    findings
}

/// Prints the report; returns whether nothing is bad.
pub(crate) fn report(findings: &[Finding]) -> bool {
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Good => "ok  ",
            Verdict::Warning => "warn",
            Verdict::Bad => "BAD ",
        };
        println!("{mark}  {}", finding.what);
        if let Some(remedy) = &finding.remedy {
            println!("      -> {remedy}");
        }
    }
    findings.iter().all(|finding| finding.verdict != Verdict::Bad)
}

fn root() -> Finding {
    if nix::unistd::geteuid().is_root() {
        Finding::good("running as root")
    } else {
        Finding::bad("not running as root", "run skiff with sudo: it makes namespaces, mounts and nf_tables rules")
    }
}

fn kernel() -> Finding {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) >= (5, 10) => Finding::good(format!("kernel {release}")),
        _ => Finding::bad(format!("kernel {release} is too old"), "use a kernel of 5.10 or newer"),
    }
}

fn namespaces() -> Vec<Finding> {
    let missing: Vec<_> = ["net", "mnt", "pid", "ipc", "uts"]
        .into_iter()
        .filter(|kind| !Path::new("/proc/self/ns").join(kind).exists())
        .collect();
    match missing.as_slice() {
        [] => vec![Finding::good("namespaces: net, mnt, pid, ipc, uts")],
        _ => vec![Finding::bad(
            format!("the kernel lacks namespaces: {}", missing.join(", ")),
            "use a kernel with CONFIG_NAMESPACES, CONFIG_NET_NS, CONFIG_PID_NS, CONFIG_IPC_NS, CONFIG_UTS_NS",
        )],
    }
}

fn file_systems() -> Vec<Finding> {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let has = |name: &str| known.lines().any(|line| line.split_whitespace().last() == Some(name));
    if has("overlay") {
        return vec![Finding::good("overlayfs")];
    }
    vec![Finding::bad("overlayfs is not there", "modprobe overlay, or use a kernel with CONFIG_OVERLAY_FS")]
}

fn cgroups() -> Finding {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let has = |kind: &str| mounts.lines().any(|line| line.contains(kind));
    let unified = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    if ["cpu", "memory", "pids"].iter().all(|name| unified.split_whitespace().any(|one| one == *name)) {
        return Finding::good("cgroup v2 with cpu, memory and pids");
    }
    if has(" - cgroup ") && fs::read_to_string("/proc/cgroups").is_ok_and(|table| table.contains("memory")) {
        return Finding::good("cgroup v1 controllers");
    }
    Finding::warning(
        "no cgroup controllers for cpu, memory and pids: limits of containers will not hold",
        "mount cgroup2 at /sys/fs/cgroup with these controllers (systemd does), or boot without cgroup_disable=",
    )
}

fn nf_tables() -> Finding {
    match skiff_proxy::exists("skiff") {
        Ok(_) => Finding::good("nf_tables"),
        Err(error) => Finding::bad(
            format!("nf_tables cannot be used: {error}"),
            "modprobe nf_tables nft_ct nft_nat nft_numgen nft_fib_inet nft_reject_inet, or use a kernel with CONFIG_NF_TABLES_INET",
        ),
    }
}

fn loopback() -> Finding {
    let flags = fs::read_to_string("/proc/net/if_inet6").is_ok();
    let up = TcpListener::bind("127.0.0.1:0").and_then(|listener| std::net::TcpStream::connect(listener.local_addr()?));
    match up {
        Ok(_) if flags => Finding::good("loopback"),
        Ok(_) => Finding::good("loopback, without IPv6"),
        Err(_) => {
            Finding::warning("the loopback link is down", "ip link set lo up; the server does so itself when it starts")
        }
    }
}

fn forwarding(running: bool) -> Finding {
    let on = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|text| text.trim() == "1");
    match (on, running) {
        (true, _) => Finding::good("IPv4 forwarding"),
        (false, false) => Finding::good("IPv4 forwarding is off; the server turns it on"),
        (false, true) => Finding::bad(
            "IPv4 forwarding is off while the server runs: pods cannot reach each other",
            "sysctl -w net.ipv4.ip_forward=1, and find out which tool turned it off",
        ),
    }
}

fn api_port_free(port: u16, running: bool) -> Finding {
    match TcpListener::bind(("127.0.0.1", port)) {
        _ if running => Finding::good(format!("the API answers on port {port}")),
        Ok(_) => Finding::good(format!("port {port} is free for the API")),
        Err(error) => Finding::bad(
            format!("port {port} of 127.0.0.1 cannot be used: {error}"),
            format!("end what listens there (ss -ltnp 'sport = :{port}'), or choose another with --api-port"),
        ),
    }
}

fn space(folder: &Path) -> Finding {
    const NEEDED: u64 = 1 << 30;
    let there = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    match nix::sys::statvfs::statvfs(there) {
        Ok(stat) => {
            let free = stat.blocks_available() * stat.fragment_size();
            let shown = format!("{:.1} GiB free for {}", free as f64 / f64::from(1 << 30), folder.display());
            if free >= NEEDED {
                Finding::good(shown)
            } else {
                Finding::bad(
                    shown,
                    "make room: images and volumes live there; or choose another folder with --data-dir",
                )
            }
        }
        Err(error) => Finding::bad(format!("{} cannot be looked at: {error}", there.display()), "check the disk"),
    }
}

fn writable(folder: &Path) -> Finding {
    let there = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    match nix::unistd::access(there, nix::unistd::AccessFlags::W_OK) {
        Ok(()) => Finding::good(format!("{} can be written", folder.display())),
        Err(error) => Finding::bad(
            format!("{} cannot be written: {error}", there.display()),
            "choose another folder with --data-dir",
        ),
    }
}

fn leftovers(places: &Places, running: bool) -> Finding {
    let pods = fs::read_dir(places.run_dir.join("pods")).map(|entries| entries.count()).unwrap_or_default();
    match (running, pods) {
        (true, _) => Finding::good("a server runs"),
        (false, 0) => Finding::good("no server runs, and no pod is left"),
        (false, pods) => Finding::warning(
            format!("no server runs, but {pods} pods go on without it"),
            "skiff server takes them over; skiff uninstall ends them",
        ),
    }
}
