//! Runs the probes of a container: one task each, from its start to its end.

use std::{future::Future, time::Duration};

use k8s_openapi::api::core::v1::{Container, Probe};
use skiff_runtime::{ExecSpec, Sandbox};
use tokio::{
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{Purpose, dial, http::Get, http::port, machine::Machine};

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) purpose: Purpose,
    /// The verdict, if it changed.
    pub(crate) verdict: Option<bool>,
    /// What an answer that was not good said.
    pub(crate) failure: Option<String>,
}

/// What is probed.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) sandbox: Sandbox,
    pub(crate) container: Container,
    /// The pod's address.
    pub(crate) address: String,
}

/// The probe of `container` for `purpose`.
pub(crate) fn probe(container: &Container, purpose: Purpose) -> Option<&Probe> {
    match purpose {
        Purpose::Startup => container.startup_probe.as_ref(),
        Purpose::Liveness => container.liveness_probe.as_ref(),
        Purpose::Readiness => container.readiness_probe.as_ref(),
    }
}

fn seconds(own: Option<i32>, default: u64) -> Duration {
    Duration::from_secs(own.and_then(|own| u64::try_from(own).ok()).unwrap_or(default))
}

/// Probes until it is dropped; a startup probe ends with its first verdict. `age` is how long the
/// container runs already, `before` what was known of it.
pub(crate) async fn run<F, Fut>(target: Target, purpose: Purpose, age: Duration, before: Option<bool>, report: F)
where
    F: Fn(Report) -> Fut,
    Fut: Future<Output = ()>,
{
    let Some(probe) = probe(&target.container, purpose) else { return };
    let mut machine = Machine::new(probe, before);
    let delay = seconds(probe.initial_delay_seconds, 0).saturating_sub(age);
    let period = seconds(probe.period_seconds, 10).max(Duration::from_secs(1));
    let mut ticks = interval_at(Instant::now() + delay, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let failure = once(&target, probe).await.err();
        let verdict = machine.observe(failure.is_none());
        if verdict.is_some() || failure.is_some() {
            report(Report { purpose, verdict, failure }).await;
        }
        if purpose == Purpose::Startup && verdict.is_some() {
            return;
        }
    }
}

/// Asks once; an error says why the answer is not good.
async fn once(target: &Target, probe: &Probe) -> Result<(), String> {
    let timeout = seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1));
    if let Some(exec) = &probe.exec {
        return command(target, exec.command.clone().unwrap_or_default(), timeout).await;
    }
    if let Some(action) = &probe.http_get {
        let get = Get::new(action, &target.container, &target.address).map_err(|error| error.to_string())?;
        let (status, _) = get.send(timeout).await.map_err(|error| error.to_string())?;
        let good = (200..400).contains(&status.as_u16());
        return if good { Ok(()) } else { Err(format!("HTTP probe failed with statuscode: {}", status.as_u16())) };
    }
    if let Some(action) = &probe.tcp_socket {
        let number = port(&target.container, &action.port).ok_or("couldn't find the port in the container's ports")?;
        let host = action.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(&target.address);
        let address = if host.contains(':') { format!("[{host}]:{number}") } else { format!("{host}:{number}") };
        return match tokio::time::timeout(timeout, TcpStream::connect(&address)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(dial(&address, &error)),
            Err(_) => Err(format!("dial tcp {address}: i/o timeout")),
        };
    }
    Err("missing probe handler".to_owned())
}

async fn command(target: &Target, argv: Vec<String>, timeout: Duration) -> Result<(), String> {
    let text = argv.join(" ");
    let spec = ExecSpec::new(argv).timeout(timeout);
    match target.sandbox.exec(&target.container.name, spec).await {
        Ok(result) if result.timed_out => {
            Err(format!("command timed out: {text:?} timed out after {}s", timeout.as_secs()))
        }
        Ok(result) if result.exit_code == 0 => Ok(()),
        Ok(result) => Err(result.output),
        Err(error) => Err(error.to_string()),
    }
}
