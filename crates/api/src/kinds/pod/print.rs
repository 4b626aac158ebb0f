//! The row of a Pod: above all, what it is doing.

use jiff::Timestamp;
use serde_json::Value;

use crate::meta;
use crate::print;
use crate::time;
use crate::value::Read as _;

pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let found = read(pod);
    let restarts = match (found.restarts, found.last_restart) {
        (0, _) | (_, None) => found.restarts.to_string(),
        (n, Some(then)) => format!("{n} ({} ago)", time::human_duration(now.duration_since(then).as_secs())),
    };
    let total = spec.items("containers").len() + spec.items("initContainers").iter().filter(|c| is_sidecar(c)).count();
    let ip = status.items("podIPs").first().map_or(status.text("podIP"), |ip| ip.text("ip"));
    vec![
        meta::name(pod).into(),
        format!("{}/{total}", found.ready).into(),
        found.state.into(),
        restarts.into(),
        print::age(pod, now),
        print::or_none(ip),
        print::or_none(spec.text("nodeName")),
        print::or_none(status.text("nominatedNodeName")),
        gates(pod),
    ]
}

/// What the container statuses say.
#[derive(Default)]
struct Found {
    state: String,
    ready: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Found {
    fn restarted(&mut self, container: &Value) {
        self.restarts += container.int("restartCount").unwrap_or_default();
        let finished = container["lastState"]["terminated"]["finishedAt"].as_str().and_then(time::parse);
        self.last_restart = self.last_restart.max(finished);
    }
}

/// An init container that goes on running beside the others.
fn is_sidecar(container: &Value) -> bool {
    container.text("restartPolicy") == "Always"
}

fn condition<'a>(pod: &'a Value, sort: &str) -> Option<&'a Value> {
    pod["status"].items("conditions").iter().find(|c| c.text("type") == sort)
}

fn is_true(pod: &Value, sort: &str) -> bool {
    condition(pod, sort).is_some_and(|c| c.text("status") == "True")
}

fn read(pod: &Value) -> Found {
    let status = &pod["status"];
    let phase = status.text("phase");
    let mut found = Found { state: phase.to_owned(), ..Found::default() };
    if status.has("reason") {
        found.state = status.text("reason").to_owned();
    }
    if condition(pod, "PodScheduled").is_some_and(|c| c.text("reason") == "SchedulingGated") {
        found.state = "SchedulingGated".to_owned();
    }
    let mut sidecars = Found::default();
    let initializing = init_containers(pod, &mut found, &mut sidecars);
    if !initializing || is_true(pod, "Initialized") {
        found.restarts = sidecars.restarts;
        found.last_restart = sidecars.last_restart;
        main_containers(pod, &mut found);
    }
    if meta::deletion_timestamp(pod).is_some() {
        match status.text("reason") {
            "NodeLost" => found.state = "Unknown".to_owned(),
            _ if !matches!(phase, "Succeeded" | "Failed") => found.state = "Terminating".to_owned(),
            _ => {}
        }
    }
    found
}

/// Reads the init containers up to the first that has not done its work; whether there is one.
fn init_containers(pod: &Value, found: &mut Found, sidecars: &mut Found) -> bool {
    let specs = pod["spec"].items("initContainers");
    for (i, container) in pod["status"].items("initContainerStatuses").iter().enumerate() {
        found.restarted(container);
        let sidecar = specs.iter().any(|c| c.text("name") == container.text("name") && is_sidecar(c));
        if sidecar {
            sidecars.restarted(container);
        }
        let (terminated, waiting) = (&container["state"]["terminated"], container["state"]["waiting"].text("reason"));
        if terminated.is_object() && terminated.int("exitCode").unwrap_or_default() == 0 {
            continue;
        }
        if sidecar && container.flag("started") {
            found.ready += usize::from(container.flag("ready"));
            continue;
        }
        found.state = if terminated.is_object() {
            format!("Init:{}", end_of(terminated))
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{i}/{}", specs.len())
        };
        return true;
    }
    false
}

/// Why a container ended.
fn end_of(terminated: &Value) -> String {
    let signal = terminated.int("signal").unwrap_or_default();
    match terminated.text("reason") {
        "" if signal != 0 => format!("Signal:{signal}"),
        "" => format!("ExitCode:{}", terminated.int("exitCode").unwrap_or_default()),
        reason => reason.to_owned(),
    }
}

fn main_containers(pod: &Value, found: &mut Found) {
    let mut running = false;
    for container in pod["status"].items("containerStatuses").iter().rev() {
        found.restarted(container);
        let state = &container["state"];
        let waiting = state["waiting"].text("reason");
        if !waiting.is_empty() {
            found.state = waiting.to_owned();
        } else if state["terminated"].is_object() {
            found.state = end_of(&state["terminated"]);
        } else if container.flag("ready") && state["running"].is_object() {
            running = true;
            found.ready += 1;
        }
    }
    if found.state == "Completed" && running {
        found.state = if is_true(pod, "Ready") { "Running".to_owned() } else { "NotReady".to_owned() };
    }
}

fn gates(pod: &Value) -> Value {
    let gates = pod["spec"].items("readinessGates");
    if gates.is_empty() {
        return print::NONE.into();
    }
    let open = gates.iter().filter(|gate| is_true(pod, gate.text("conditionType"))).count();
    format!("{open}/{}", gates.len()).into()
}

/// Whether the pod has done its work, well or not.
pub(super) fn ended(pod: &Value) -> Option<[&'static str; 2]> {
    match pod["status"].text("phase") {
        "Succeeded" => Some(["Succeeded", "The pod has completed successfully."]),
        "Failed" => Some(["Failed", "The pod failed."]),
        _ => None,
    }
}
