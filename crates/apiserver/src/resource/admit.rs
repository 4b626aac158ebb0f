//! What a write takes beyond its own key: a Service's addresses, and the index of roles.

use serde_json::{Value, json};
use skiff_api::{
    field_error::{FieldError, Path},
    meta,
    status::Status,
};
use skiff_store::{Committed, Op, TransactError};

use super::Call;
use crate::{
    allocate::{AllocationError, Claims},
    kind::Kind,
    state::{RBAC, State},
};

pub(super) fn is_service(kind: &Kind) -> bool {
    kind.is("", "services")
}

/// Takes what the object needs; `old` is what it replaces.
pub(super) fn claim(
    state: &State,
    kind: &Kind,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<Option<Claims>, Status> {
    if !is_service(kind) {
        return Ok(None);
    }
    let claims = match old {
        Some(old) => state.allocator.update(object, old),
        None => state.allocator.create(object),
    };
    claims.map(Some).map_err(|error| unavailable(kind, object, error))
}

/// Commits, and then keeps what was claimed and tells the authoriser, even if the client is gone.
pub(super) async fn commit(
    call: &Call,
    name: &str,
    operations: Vec<Op>,
    claims: Option<Claims>,
) -> Result<Committed, TransactError> {
    let kind = call.kind.clone();
    if claims.is_none() && kind.resource.group() != RBAC {
        return call.state.store.transact(operations).await;
    }
    let (namespace, name) = (call.namespace().to_owned(), name.to_owned());
    let after = move |state: &State, _: &Committed| {
        if let Some(claims) = claims {
            claims.commit();
        }
        if kind.resource.group() == RBAC {
            state.roles_changed(&kind, &namespace, &name);
        }
    };
    call.state.commit(operations, after).await
}

/// What has to follow the end of an object.
pub(super) fn released(state: &State, kind: &Kind, object: &Value) {
    if is_service(kind) {
        state.allocator.release(object);
    }
    if kind.resource.group() == RBAC {
        state.roles_changed(kind, meta::namespace(object), meta::name(object));
    }
}

/// Whether anything has to follow at all.
pub(super) fn has_aftermath(kind: &Kind) -> bool {
    is_service(kind) || kind.resource.group() == RBAC
}

fn unavailable(kind: &Kind, service: &Value, error: AllocationError) -> Status {
    let spec = Path::new("spec");
    let detail = error.to_string();
    let wrong = |error| Status::invalid(kind.resource.qualified_kind(), meta::name(service), &[error]);
    match error {
        AllocationError::Address { all, .. } => {
            wrong(FieldError::invalid(&spec.child("clusterIPs"), json!(all), detail))
        }
        AllocationError::Port { index, port, .. } => {
            let ports = spec.child("ports");
            let item = ports.index(index);
            wrong(FieldError::invalid(&item.child("nodePort"), port, detail))
        }
        AllocationError::HealthCheckPort { port, .. } => {
            wrong(FieldError::invalid(&spec.child("healthCheckNodePort"), port, detail))
        }
        AllocationError::Family { index, family } => {
            let families = spec.child("ipFamilies");
            wrong(FieldError::invalid(&families.index(index), family, detail))
        }
        AllocationError::DualStack => {
            wrong(FieldError::invalid(&spec.child("ipFamilyPolicy"), "RequireDualStack", detail))
        }
        AllocationError::NoAddress(_) | AllocationError::NoPort(_) => Status::internal(detail),
    }
}
