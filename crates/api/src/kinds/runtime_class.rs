//! RuntimeClass: what runs a pod's containers.

use serde_json::Value;

use super::common::{IMMUTABLE, NOT_NEGATIVE, problems};
use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::print;
use crate::quantity::Quantity;
use crate::resource::{Column, Resource, Rules, Unheeded};
use crate::validate::{names, objectmeta};
use crate::value::Read as _;

pub(super) static RUNTIME_CLASSES: Resource = Resource {
    group: "node.k8s.io",
    kind: "RuntimeClass",
    plural: "runtimeclasses",
    singular: "runtimeclass",
    type_name: "io.k8s.api.node.v1.RuntimeClass",
    unheeded: Some(Unheeded::but(
        "no pod that names it can run: skiff's kubelet has one runtime, and refuses such pods",
    )),
    columns: &[Column::NAME, Column::new("Handler", "What the node calls it."), Column::AGE],
    rules: Rules {
        validate,
        validate_update: |new, old, errors| {
            if new["handler"] != old["handler"] {
                errors.push(FieldError::invalid(&Path::new("handler"), new["handler"].clone(), IMMUTABLE));
            }
        },
        cells: |class, now| vec![meta::name(class).into(), class.text("handler").into(), print::age(class, now)],
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

fn validate(class: &Value, errors: &mut Vec<FieldError>) {
    let handler = class.text("handler");
    problems(names::dns_label(handler), &Path::new("handler"), handler, errors);
    let overhead = Path::new("overhead");
    let fixed = overhead.child("podFixed");
    for (name, amount) in class["overhead"].entries("podFixed") {
        problems(names::qualified_name(name), &fixed.key(name), name, errors);
        if Quantity::from_json(amount).is_ok_and(Quantity::is_negative) {
            errors.push(FieldError::invalid(&fixed.key(name), amount.clone(), NOT_NEGATIVE));
        }
    }
    let scheduling = Path::new("scheduling");
    objectmeta::labels(&class["scheduling"]["nodeSelector"], &scheduling.child("nodeSelector"), errors);
    let list = scheduling.child("tolerations");
    for (i, toleration) in class["scheduling"].items("tolerations").iter().enumerate() {
        super::pod::validate_toleration(toleration, &list.index(i), errors);
    }
}
