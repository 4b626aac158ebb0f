//! `skiff status`: what runs on this machine, and whether it is well.

use std::{fs, path::Path, process::ExitCode};

use serde_json::Value;

use crate::{args::Places, node_client};

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

/// Prints what runs; the exit code tells whether the server is well.
pub(crate) async fn main(places: &Places, as_json: bool) -> anyhow::Result<ExitCode> {
    let told = match node_client::client(places).await {
        Some(client) => Some(node_client::call(&client, http::Method::GET, "/status", None).await?),
        None => None,
    };
    let left = pods(places);
    if as_json {
        println!("{:#}", serde_json::json!({ "server": told, "pods": left }));
    } else {
        print!("{}", shown(told.as_ref(), &left, places));
    }
    Ok(if told.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shown(told: Option<&Value>, left: &[String], places: &Places) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let Some(told) = told else {
        let _ = writeln!(text, "server       not running (no answer at {})", places.node_socket().display());
        let _ = writeln!(text, "pods         {} go on without it", left.len());
        let _ = writeln!(text, "start it     skiff server");
        return text;
    };
    let field = |name: &str| told[name].as_str().unwrap_or("-").to_owned();
    let memory = told["memoryMiB"].as_f64().map_or(String::new(), |mib| format!(", {mib:.1} MiB"));
    let _ = writeln!(text, "server       running, process {}{memory}, {}", told["pid"], field("version"));
    let _ = writeln!(text, "api          {}", field("api"));
    let _ = writeln!(text, "node         {} at {}", field("node"), field("nodeIP"));
    let _ = writeln!(
        text,
        "store        revision {}, {}",
        told["store"]["revision"],
        told["store"]["health"].as_str().unwrap_or("-")
    );
    let _ = writeln!(text, "images       {}", told["images"]);
    let _ = writeln!(text, "pods         {}", left.len());
    for listener in told["listeners"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "published    {}", listener.as_str().unwrap_or_default());
    }
    for pending in told["pending"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "pending      {}", pending.as_str().unwrap_or_default());
    }
    text
}
