//! How the parts of the control plane are: the store, and the components that this process runs.

use serde_json::{Value, json};

use crate::resource::Call;

/// All of them, by name.
pub(super) fn all(call: &Call) -> Vec<Value> {
    let mut parts = call.state.config.components.check();
    let store = call.state.store.health().map_err(|error| error.to_string());
    parts.push(("etcd-0".to_owned(), store));
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    parts.into_iter().map(|(name, health)| status(&name, health)).collect()
}

fn status(name: &str, health: Result<(), String>) -> Value {
    let condition = match health {
        Ok(()) => json!({"type": "Healthy", "status": "True", "message": "ok"}),
        Err(error) => json!({"type": "Healthy", "status": "False", "error": error}),
    };
    json!({
        "kind": "ComponentStatus",
        "apiVersion": "v1",
        "metadata": {"name": name, "creationTimestamp": null},
        "conditions": [condition],
    })
}
