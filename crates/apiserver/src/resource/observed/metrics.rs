//! `metrics.k8s.io`: what nodes and pods use, as metrics-server says it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use skiff_api::{meta, quantity::Quantity, status::Status, time};

use super::meter::{Measured, Rate};
use crate::{
    kind::{self, decode},
    resource::{Call, select::Filter},
    state::now,
};

/// The nodes that are meant and can be measured.
pub(super) async fn nodes(call: &Call, filter: &Filter) -> Result<Vec<Value>, Status> {
    let nodes = objects(call, "nodes", filter)?;
    let names = nodes.iter().map(|node| meta::name(node).to_owned()).collect();
    let measured = measure(call, names).await;
    let metrics = nodes.iter().filter_map(|node| {
        let measured = measured.get(meta::name(node))?;
        let rate = measured.node()?;
        let mut metrics = head("NodeMetrics", node, measured.at(), rate.window);
        metrics["usage"] = usage(&rate);
        Some(metrics)
    });
    Ok(metrics.collect())
}

/// The pods that are meant, run and can be measured.
pub(super) async fn pods(call: &Call, filter: &Filter) -> Result<Vec<Value>, Status> {
    let mut pods = objects(call, "pods", filter)?;
    pods.retain(|pod| pod["status"]["phase"] == "Running");
    let names = pods.iter().filter_map(|pod| pod["spec"]["nodeName"].as_str()).map(str::to_owned).collect();
    let measured = measure(call, names).await;
    Ok(pods.iter().filter_map(|pod| of_pod(pod, measured.get(pod["spec"]["nodeName"].as_str()?)?)).collect())
}

/// `None` unless each container that runs is measured.
fn of_pod(pod: &Value, measured: &Measured) -> Option<Value> {
    let uid = pod["metadata"]["uid"].as_str()?;
    let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let running = statuses.filter(|status| status["state"]["running"].is_object());
    let rates: Option<Vec<(&str, Rate)>> = running
        .map(|status| {
            let name = status["name"].as_str()?;
            Some((name, measured.container(uid, name)?))
        })
        .collect();
    let rates = rates.filter(|rates| !rates.is_empty())?;
    let window = rates.iter().map(|(_, rate)| rate.window).min().unwrap_or_default();
    let mut metrics = head("PodMetrics", pod, measured.at(), window);
    metrics["containers"] = rates.iter().map(|(name, rate)| json!({"name": name, "usage": usage(rate)})).collect();
    Some(metrics)
}

/// The stored objects that the request is about.
fn objects(call: &Call, plural: &str, filter: &Filter) -> Result<Vec<Value>, Status> {
    let Some(kind) = kind::of("", plural) else { return Ok(Vec::new()) };
    let snapshot = call.state.store.snapshot();
    let name = Some(call.name()).filter(|name| !name.is_empty());
    if let Some(name) = name {
        let found = snapshot.get(&kind.key(call.namespace(), name)).map(|entry| decode(entry));
        return found.into_iter().collect::<Result<_, _>>().map_err(Status::internal);
    }
    let prefix = kind.prefix_in(call.namespace());
    let all = snapshot.range(&prefix, None).map(|entry| decode(entry));
    let all: Vec<Value> = all.collect::<Result<_, _>>().map_err(Status::internal)?;
    Ok(all.into_iter().filter(|object| filter.matches_object(object)).collect())
}

async fn measure(call: &Call, names: BTreeSet<String>) -> BTreeMap<String, Measured> {
    let state = &call.state;
    state.meter.retain(|node| state.object("", "nodes", "", node).is_some());
    let each = names.into_iter().map(async |name| {
        let measured = state.meter.measure(&state.config.nodes, &name).await?;
        Some((name, measured))
    });
    futures::future::join_all(each).await.into_iter().flatten().collect()
}

fn head(kind: &str, object: &Value, at: Timestamp, window: Duration) -> Value {
    let mut metadata = json!({"name": meta::name(object), "creationTimestamp": time::format(now())});
    for field in ["namespace", "labels"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    json!({
        "kind": kind,
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": metadata,
        "timestamp": time::format(at),
        "window": in_words(window),
    })
}

fn usage(rate: &Rate) -> Value {
    let cpu: Option<Quantity> = format!("{}n", rate.cpu).parse().ok();
    let memory = Quantity::from_bytes(i64::try_from(rate.memory).unwrap_or(i64::MAX));
    json!({"cpu": cpu.unwrap_or(Quantity::ZERO).to_string(), "memory": memory.to_string()})
}

/// A time as Go writes it, to the millisecond: `15.034s`, `1m2s`.
fn in_words(window: Duration) -> String {
    let millis = window.as_millis();
    let (minutes, seconds) = (millis / 60_000, (millis % 60_000) as f64 / 1000.0);
    let hours = minutes / 60;
    match (hours, minutes % 60) {
        (0, 0) if millis < 1000 => format!("{millis}ms"),
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_kubernetes_does() {
        let rate = |cpu, memory| usage(&Rate { cpu, memory, window: Duration::ZERO });
        assert_eq!(rate(1_234_567, 12_345), json!({"cpu": "1234567n", "memory": "12345"}));
        assert_eq!(rate(2_000_000_000, 5 << 20), json!({"cpu": "2", "memory": "5Mi"}));
        assert_eq!(rate(250_000_000, 5188 << 10), json!({"cpu": "250m", "memory": "5188Ki"}));
        assert_eq!(rate(0, 0), json!({"cpu": "0", "memory": "0"}));
        let words = |millis| in_words(Duration::from_millis(millis));
        assert_eq!([words(15_034), words(2000), words(62_500), words(300)], ["15.034s", "2s", "1m2.5s", "300ms"]);
        assert_eq!(words(3_600_000), "1h0m0s");
    }
}
