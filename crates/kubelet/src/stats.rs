//! What the node and its containers use, as kubelets say it at `/stats/summary`: counters, read when somebody asks.
//! How much that is per second is for those to work out who ask twice.

mod machine;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use skiff_runtime::{Cgroups, Usage};
use thiserror::Error;

use self::machine::Machine;
use crate::{server::Node, sync::shared::Running};

/// Why there are no figures.
#[derive(Debug, Error)]
pub(crate) enum StatsError {
    /// The control groups.
    #[error(transparent)]
    Runtime(#[from] skiff_runtime::Error),
    /// A worker thread ended without an answer.
    #[error("the work was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl IntoResponse for StatsError {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

/// Answers `/stats/summary`.
pub(crate) async fn summary(State(node): State<Node>) -> Result<Response, StatsError> {
    let running = node.shared.board.running();
    let (cgroups, config) = (node.shared.runtime.cgroups()?, Arc::clone(&node.shared.config));
    let read = move || {
        let pods = pods(&running, &cgroups);
        json!({"node": of_node(&config.node_name, Machine::read(), Timestamp::now()), "pods": pods})
    };
    let summary = tokio::task::spawn_blocking(read).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], summary.to_string()).into_response())
}

fn of_node(name: &str, machine: Machine, now: Timestamp) -> Value {
    json!({
        "nodeName": name,
        "startTime": machine.booted.to_string(),
        "cpu": cpu(machine.cpu_nanos, now),
        "memory": {
            "time": now.to_string(),
            "availableBytes": machine.available,
            "usageBytes": machine.used,
            "workingSetBytes": machine.working_set,
        },
    })
}

fn pods(running: &[Running], cgroups: &Cgroups) -> Vec<Value> {
    let mut pods: BTreeMap<&str, (Value, Vec<Value>)> = BTreeMap::new();
    for one in running {
        let usage = cgroups.usage(&one.uid, &one.container, one.attempt);
        let reference = || json!({"name": one.name, "namespace": one.namespace, "uid": one.uid});
        let (_, containers) = pods.entry(&one.uid).or_insert_with(|| (reference(), Vec::new()));
        containers.push(of_container(one, usage, Timestamp::now()));
    }
    pods.into_values().map(|(reference, containers)| json!({"podRef": reference, "containers": containers})).collect()
}

fn of_container(one: &Running, usage: Usage, now: Timestamp) -> Value {
    let mut stats = json!({"name": one.container, "startTime": one.started_at.to_string()});
    if let Some(used) = usage.cpu {
        stats["cpu"] = cpu(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), now);
    }
    if let Some(memory) = usage.memory {
        stats["memory"] =
            json!({"time": now.to_string(), "usageBytes": memory.total, "workingSetBytes": memory.working_set});
    }
    stats
}

fn cpu(nanos: u64, now: Timestamp) -> Value {
    json!({"time": now.to_string(), "usageCoreNanoSeconds": nanos})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_counted_is_not_said() {
        let one = Running {
            namespace: "n".to_owned(),
            name: "p".to_owned(),
            uid: "u".to_owned(),
            container: "c".to_owned(),
            attempt: 1,
            started_at: Timestamp::UNIX_EPOCH,
        };
        let bare = of_container(&one, Usage::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(bare, json!({"name": "c", "startTime": "1970-01-01T00:00:00Z"}));
        let cpu = Some(std::time::Duration::from_millis(2));
        let memory = Some(skiff_runtime::Memory { total: 9, working_set: 7 });
        let full = of_container(&one, Usage { cpu, memory }, Timestamp::UNIX_EPOCH);
        assert_eq!(full["cpu"]["usageCoreNanoSeconds"], 2_000_000);
        assert_eq!((&full["memory"]["usageBytes"], &full["memory"]["workingSetBytes"]), (&json!(9), &json!(7)));
    }
}
