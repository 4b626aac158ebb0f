//! The revisions of a deployment: its replica sets.

use serde_json::{Value, json};

use crate::{
    error::Error,
    objects::Picked,
    session::{JSON, Session},
};

const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";

/// One revision.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Revision {
    pub(super) number: i64,
    cause: String,
    /// The pod template without what the controller adds.
    pub(super) template: Value,
}

/// The revisions, oldest first.
pub(super) async fn revisions(session: &Session, deployment: &Value, one: &Picked) -> Result<Vec<Revision>, Error> {
    let list = session.get(&format!("/apis/apps/v1/namespaces/{}/replicasets", one.namespace), JSON).await?;
    Ok(read(&list, deployment["metadata"]["uid"].as_str().unwrap_or_default()))
}

fn read(list: &Value, uid: &str) -> Vec<Revision> {
    let owned = |set: &&Value| {
        let owners = set["metadata"]["ownerReferences"].as_array();
        owners.is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == uid && owner["controller"] == true))
    };
    let revision = |set: &Value| {
        let notes = &set["metadata"]["annotations"];
        let mut template = set["spec"]["template"].clone();
        if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
            labels.remove(HASH);
        }
        let cause = notes["kubernetes.io/change-cause"].as_str().unwrap_or("<none>").to_owned();
        Some(Revision { number: notes[REVISION].as_str()?.parse().ok()?, cause, template })
    };
    let sets = list["items"].as_array().into_iter().flatten().filter(owned);
    let mut found: Vec<Revision> = sets.filter_map(revision).collect();
    found.sort_by_key(|one| one.number);
    found
}

/// The table of revisions.
pub(super) fn table(revisions: &[Revision]) -> String {
    let row = |one: &Revision| format!("{:<10}{}\n", one.number, one.cause);
    format!("{:<10}CHANGE-CAUSE\n", "REVISION") + &revisions.iter().map(row).collect::<String>()
}

/// The patch that brings a template back.
pub(super) fn back(template: &Value) -> Value {
    json!([{ "op": "replace", "path": "/spec/template", "value": template }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(revision: &str, image: &str, uid: &str) -> Value {
        json!({
            "metadata": { "annotations": { REVISION: revision }, "ownerReferences": [{ "uid": uid, "controller": true }] },
            "spec": { "template": { "metadata": { "labels": { "app": "a", HASH: "x" } }, "spec": { "image": image } } },
        })
    }

    #[test]
    fn revisions_are_the_deployments_own_in_order() {
        let list = json!({ "items": [set("10", "c", "u"), set("2", "b", "u"), set("1", "x", "other")] });
        let found = read(&list, "u");
        assert_eq!(table(&found), "REVISION  CHANGE-CAUSE\n2         <none>\n10        <none>\n");
        assert_eq!(found[0].template, json!({ "metadata": { "labels": { "app": "a" } }, "spec": { "image": "b" } }));
    }
}
