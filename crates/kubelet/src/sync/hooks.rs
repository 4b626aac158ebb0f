//! Runs postStart and preStop hooks.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};
use skiff_runtime::{ExecSpec, Sandbox};
use thiserror::Error;

use crate::probes::http::{Get, GetError};

/// How long the request of a hook may take.
const REQUEST: Duration = Duration::from_secs(30);

/// Why a hook failed.
#[derive(Debug, Error)]
pub(crate) enum HookError {
    /// Its command ended badly.
    #[error("command {command:?} exited with {code}: {output}")]
    Exit {
        /// The command.
        command: String,
        /// Its exit code.
        code: i32,
        /// What it said.
        output: String,
    },
    /// Its command could not be run.
    #[error(transparent)]
    Start(#[from] skiff_runtime::StartError),
    /// Its request failed.
    #[error(transparent)]
    Get(#[from] GetError),
    /// Its request was answered with an error.
    #[error("HTTP hook failed with statuscode: {0}")]
    Status(u16),
}

/// Runs `hook` to its end.
pub(crate) async fn run(
    sandbox: &Sandbox,
    container: &Container,
    address: &str,
    hook: &LifecycleHandler,
) -> Result<(), HookError> {
    if let Some(exec) = &hook.exec {
        let argv = exec.command.clone().unwrap_or_default();
        let command = argv.join(" ");
        let result = sandbox.exec(&container.name, ExecSpec::new(argv)).await?;
        return match result.exit_code {
            0 => Ok(()),
            code => Err(HookError::Exit { command, code, output: result.output }),
        };
    }
    if let Some(sleep) = &hook.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or_default())).await;
    }
    if let Some(action) = &hook.http_get {
        let (status, _) = Get::new(action, container, address)?.send(REQUEST).await?;
        if status.as_u16() >= 400 {
            return Err(HookError::Status(status.as_u16()));
        }
    }
    Ok(())
}
