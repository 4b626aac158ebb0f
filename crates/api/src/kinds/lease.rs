//! Lease: the heartbeat of a node, or a lock. Kept in memory only.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::meta;
use crate::print;
use crate::resource::{Column, Durability, Resource, Rules};
use crate::value::Read as _;

pub(super) static LEASES: Resource = Resource {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    durability: Durability::Memory,
    type_name: "io.k8s.api.coordination.v1.Lease",
    columns: &[Column::NAME, Column::new("Holder", "Who holds it."), Column::AGE],
    rules: Rules {
        validate,
        cells: |lease, now| {
            vec![meta::name(lease).into(), lease["spec"].text("holderIdentity").into(), print::age(lease, now)]
        },
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

fn validate(lease: &Value, errors: &mut Vec<FieldError>) {
    let spec = Path::new("spec");
    if let Some(seconds) = lease["spec"].int("leaseDurationSeconds").filter(|n| *n <= 0) {
        errors.push(FieldError::invalid(&spec.child("leaseDurationSeconds"), seconds, "must be greater than 0"));
    }
    if let Some(times) = lease["spec"].int("leaseTransitions").filter(|n| *n < 0) {
        let detail = common::NOT_NEGATIVE;
        errors.push(FieldError::invalid(&spec.child("leaseTransitions"), times, detail));
    }
}
