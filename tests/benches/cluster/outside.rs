//! What is measured from outside: start, rest, size. Then the lab is entered for all else.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use skiff_tests::{Binaries, Lab, Options};

use crate::{Figure, median};

/// Tells the program that it runs inside, and where the API's socket is.
pub(crate) const INSIDE: &str = "SKIFF_BENCH_INSIDE";

/// How long the cluster is watched at rest.
const REST: Duration = Duration::from_secs(20);

/// All figures, as JSON.
pub(crate) fn measure() -> Vec<Value> {
    let mut figures = starts();
    let lab = Lab::start(Options { image: true, ..Options::default() }).map_err(|error| format!("{error:?}")).unwrap();
    thread::sleep(Duration::from_secs(3));
    figures.extend(at_rest(lab.server_pid().unwrap()));
    let binary = fs::metadata(Binaries::find().map_err(|error| format!("{error:?}")).unwrap().path("skiff")).unwrap();
    figures.push(Figure::at_most("binary, static, one file", binary.len() as f64 / f64::from(1 << 20), "MiB", 30.0));
    let mut all: Vec<Value> = figures.iter().map(Figure::json).collect();
    let mut command = lab.inside(&std::env::current_exe().unwrap().display().to_string());
    let output =
        command.env(INSIDE, lab.folder().join("run/api.sock")).stderr(std::process::Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the measurements inside failed");
    let inside: Value = serde_json::from_slice(&output.stdout).unwrap();
    all.extend(inside.as_array().unwrap().iter().cloned());
    all
}

/// Five starts on fresh folders: until the API answers, until the node is ready.
fn starts() -> Vec<Figure> {
    let (mut api, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let mut lab = Lab::prepare(Options::default()).map_err(|error| format!("{error:?}")).unwrap();
        let socket = lab.folder().join("run/api.sock");
        let watcher = thread::spawn(move || {
            let started = Instant::now();
            while std::os::unix::net::UnixStream::connect(&socket).is_err() {
                thread::sleep(Duration::from_micros(200));
            }
            let mut connection = crate::http::Connection::open(&socket);
            while connection.call("GET", "/readyz", "").0 != 200 {}
            started.elapsed()
        });
        let took = lab.start_server().map_err(|error| format!("{error:?}")).unwrap();
        api.push(watcher.join().unwrap().as_secs_f64() * 1e3);
        ready.push(took.as_secs_f64() * 1e3);
    }
    vec![
        Figure::at_most("start -> API answers", median(api), "ms", 150.0),
        Figure::at_most("start -> node Ready", median(ready), "ms", 500.0),
    ]
}

fn at_rest(pid: u32) -> Vec<Figure> {
    let before = (ticks(pid), written(pid));
    thread::sleep(REST);
    let after = (ticks(pid), written(pid));
    let second = clock_ticks();
    let cpu = (after.0 - before.0) / second / REST.as_secs_f64() * 100.0;
    vec![
        Figure::at_most("idle memory (PSS)", pss(pid), "MiB", 30.0),
        Figure::at_most("idle CPU, of one core", cpu, "%", 0.2),
        Figure::at_most("idle disk writes", (after.1 - before.1) / REST.as_secs_f64(), "B/s", 0.0),
    ]
}

fn pss(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn ticks(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
}

fn clock_ticks() -> f64 {
    let output = Command::new("getconf").arg("CLK_TCK").output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}

fn written(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let line = text.lines().find(|line| line.starts_with("write_bytes:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
