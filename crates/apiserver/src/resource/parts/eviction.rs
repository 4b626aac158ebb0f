//! `pods/eviction`: a delete that a PodDisruptionBudget may refuse.

use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};
use skiff_api::{
    meta, schema,
    selector::LabelSelector,
    status::{Cause, Details, Qualified, Status},
    time,
};
use skiff_store::{Entry, Expect, TransactError};

use super::super::{
    create,
    delete::{self, DeleteOptions},
    write::{self, WriteOptions},
};
use super::Call;
use crate::{
    http::respond::Answer,
    kind::{self, Kind, decode},
    state::now,
};

const TYPE: &str = "io.k8s.api.policy.v1.Eviction";
/// A budget that changes all the time is tried this often.
const TRIES: usize = 20;
/// So many evictions may be waiting for the budget's controller to see them.
const MOST_PENDING: usize = 2000;
const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// Answers a create of an eviction.
pub(super) async fn create(call: &Call, body: Body) -> Answer {
    let options = WriteOptions::parse(call, "CreateOptions")?;
    let bytes = write::read_json(call, body, TYPE).await?;
    let mut source = serde_json::Deserializer::from_slice(&bytes);
    let eviction = schema::decode(TYPE, &mut source)
        .map_err(|error| {
            Status::bad_request(format!("Eviction in version \"v1\" cannot be handled as a Eviction: {error}"))
        })?
        .object;
    if meta::name(&eviction) != call.name() {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let mut wish = DeleteOptions::of(&eviction["deleteOptions"])?;
    wish.dry_run |= options.dry_run;
    evict(call, wish).await?;
    Ok(create::done(StatusCode::CREATED))
}

async fn evict(call: &Call, mut options: DeleteOptions) -> Result<(), Status> {
    let pod = call.kind.decode(&call.find(&call.state.store.snapshot())?.value).map_err(Status::internal)?;
    let mut guarded = None;
    if !is_idle(&pod) {
        guarded = permit(call, &pod, options.dry_run).await?;
    }
    // What was looked at must still be so when the pod goes.
    let pinned = (guarded.is_some() || is_pending(&pod)) && options.pin(meta::resource_version(&pod));
    match (delete::by_name(call, &options).await, guarded) {
        (Err(status), Some(budget)) if pinned && status.reason == "Conflict" => Err(busy(&budget)),
        (outcome, _) => outcome.map(drop),
    }
}

/// Whether nothing is disrupted if the pod goes.
fn is_idle(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending"))
        || meta::deletion_timestamp(pod).is_some()
}

fn is_pending(pod: &Value) -> bool {
    pod["status"]["phase"] == "Pending" && meta::deletion_timestamp(pod).is_none()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Asks the pod's budget and takes from it. `Some`: the budget need not be asked as long as the pod stays
/// as it is.
async fn permit(call: &Call, pod: &Value, dry_run: bool) -> Result<Option<String>, Status> {
    let Some(kind) = kind::of("policy", "poddisruptionbudgets") else { return Ok(None) };
    for _ in 0..TRIES {
        let snapshot = call.state.store.snapshot();
        let prefix = kind.prefix_in(call.namespace());
        let mut budgets = snapshot
            .range(&prefix, None)
            .filter_map(|entry| Some((entry, decode(entry).ok()?)))
            .filter(|(_, budget)| covers(budget, pod));
        let Some((entry, budget)) = budgets.next() else { return Ok(None) };
        if budgets.next().is_some() {
            let message =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Status { code: 500, ..Status::bad_request(message) });
        }
        if !is_ready(pod) && is_free(&budget) {
            return Ok(Some(meta::name(&budget).to_owned()));
        }
        let taken = take(budget, call.name())?;
        if dry_run || write_budget(call, kind, entry, &taken).await? {
            return Ok(None);
        }
    }
    Err(Status::timeout("couldn't update PodDisruptionBudget due to conflicts"))
}

fn covers(budget: &Value, pod: &Value) -> bool {
    let selector = &budget["spec"]["selector"];
    LabelSelector::from_json(selector).is_ok_and(|selector| !selector.is_everything() && selector.matches(pod))
}

/// Whether a pod that is not ready may go: always, or while enough others are well.
fn is_free(budget: &Value) -> bool {
    let count = |field: &str| budget["status"][field].as_i64().unwrap_or_default();
    budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        || (count("desiredHealthy") > 0 && count("currentHealthy") >= count("desiredHealthy"))
}

/// The budget with one disruption less, or why there is none to take.
fn take(mut budget: Value, pod: &str) -> Result<Value, Status> {
    let name = meta::name(&budget).to_owned();
    let status = &budget["status"];
    let count = |field: &str| status[field].as_i64().unwrap_or_default();
    let forbidden = |why: &str| Err(Status::forbidden(Qualified::new("policy", "poddisruptionbudget"), &name, why));
    if count("observedGeneration") < meta::generation(&budget) {
        return Err(busy(&name));
    }
    let allowed = count("disruptionsAllowed");
    if allowed < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    if status["disruptedPods"].as_object().is_some_and(|pods| pods.len() > MOST_PENDING) {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if allowed == 0 {
        let (wanted, there) = (count("desiredHealthy"), count("currentHealthy"));
        let cause = format!("The disruption budget {name} needs {wanted} healthy pods and has {there} currently");
        return Err(refused(cause, 0));
    }
    budget["status"]["disruptionsAllowed"] = json!(allowed - 1);
    if !budget["status"]["disruptedPods"].is_object() {
        budget["status"]["disruptedPods"] = json!({});
    }
    budget["status"]["disruptedPods"][pod] = json!(time::format(now()));
    if allowed == 1 {
        exhausted(&mut budget);
    }
    Ok(budget)
}

/// The condition that says that nothing more may be disrupted.
fn exhausted(budget: &mut Value) {
    let condition = json!({
        "type": "DisruptionAllowed",
        "status": "False",
        "reason": "InsufficientPods",
        "message": "",
        "observedGeneration": budget["status"]["observedGeneration"],
        "lastTransitionTime": time::format(now()),
    });
    let conditions = &mut budget["status"]["conditions"];
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    if let Some(list) = conditions.as_array_mut() {
        list.retain(|one| one["type"] != "DisruptionAllowed");
        list.push(condition);
    }
}

/// Stores the budget; `false` if somebody else was faster.
async fn write_budget(call: &Call, kind: &Kind, entry: &Entry, budget: &Value) -> Result<bool, Status> {
    let value = kind.encode(budget).map_err(Status::internal)?;
    let put = write::put(kind, entry.key.clone(), value, Expect::Modified(entry.modified));
    match call.state.store.transact(vec![put]).await {
        Ok(_) => Ok(true),
        Err(TransactError::Conflict { .. }) => Ok(false),
        Err(error) => Err(write::refused(&error)),
    }
}

/// The budget's controller has not looked at it yet.
fn busy(budget: &str) -> Status {
    refused(format!("The disruption budget {budget} is still being processed by the server."), 10)
}

fn refused(cause: String, retry: u32) -> Status {
    let mut status = Status::too_many_requests(REFUSED, retry);
    let details = status.details.get_or_insert_with(Box::<Details>::default);
    details.causes.push(Cause { reason: "DisruptionBudget".to_owned(), message: cause, field: String::new() });
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_gives_what_it_has() {
        let budget = json!({"metadata": {"name": "b", "generation": 1}, "status": {"observedGeneration": 1,
            "disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2}});
        let taken = take(budget, "p").unwrap();
        assert_eq!(taken["status"]["disruptionsAllowed"], 0);
        assert!(taken["status"]["disruptedPods"]["p"].is_string());
        assert_eq!(taken["status"]["conditions"][0]["status"], "False");
        let status = take(taken.clone(), "q").unwrap_err();
        assert_eq!((status.code, status.message.as_str()), (429, REFUSED));
        let cause = &status.details.unwrap().causes[0];
        assert_eq!(cause.reason, "DisruptionBudget");
        assert_eq!(cause.message, "The disruption budget b needs 2 healthy pods and has 3 currently");
        let mut unseen = taken;
        unseen["metadata"]["generation"] = json!(2);
        assert!(take(unseen, "q").unwrap_err().details.unwrap().retry_after_seconds == 10);
    }
}
