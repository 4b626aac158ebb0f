//! What the server prints for people: one line that moves while it starts, then what to do next.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;

use crate::args::{LogFormat, ServerArgs};

/// The server's voice.
pub(crate) struct Banner {
    started: Instant,
    spinner: Option<ProgressBar>,
    json: bool,
}

impl Banner {
    pub(crate) fn new(args: &ServerArgs, started: Instant) -> Self {
        let json = args.log_format == LogFormat::Json;
        let spinner = (!json && std::io::stderr().is_terminal()).then(|| {
            let spinner = ProgressBar::new_spinner();
            spinner.enable_steady_tick(Duration::from_millis(80));
            spinner
        });
        Self { started, spinner, json }
    }

    /// What is being done now; only a terminal shows it.
    pub(crate) fn step(&self, what: &'static str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(what);
        }
    }

    fn line(&self, event: &str, text: &str) {
        if self.json {
            let milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            println!("{}", serde_json::json!({ "event": event, "message": text, "sinceStartMs": milliseconds }));
        } else {
            println!("{text}");
        }
    }

    /// The API answers.
    pub(crate) fn api(&self, args: &ServerArgs) {
        self.step("starting the node");
        let after = self.started.elapsed().as_millis();
        let socket = args.places.api_socket();
        let text = format!("API on https://127.0.0.1:{} and {} after {after} ms", args.api_port, socket.display());
        self.line("api", &text);
    }

    /// The node is ready.
    pub(crate) fn ready(&self, args: &ServerArgs, node: &str, address: std::net::Ipv4Addr) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        let after = self.started.elapsed().as_millis();
        self.line("ready", &format!("Node {node} ({address}) ready after {after} ms"));
        if !self.json {
            let kubeconfig = args.kubeconfig();
            println!("\n  skiff get pods -A");
            println!("  skiff create deployment web --image=IMAGE      (skiff image import FILE brings one in)");
            println!("  export KUBECONFIG={}          for kubectl and others", kubeconfig.display());
            println!("  skiff doctor                                   if something is in the way\n");
        }
        // Only systemd, and who stands in for it, has told us where to say so.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }

    /// A signal came.
    pub(crate) fn stopping(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        self.line("stopping", "stopping; pods go on");
    }
}
