//! Which options of lists and watches go together, in the words of Kubernetes.

use skiff_api::{
    field_error::{FieldError, Path},
    status::{Qualified, Status},
};

use crate::http::query::Query;

const EXACT: &str = "Exact";
const NOT_OLDER: &str = "NotOlderThan";
const WITH_CONTINUE: &str = "resourceVersionMatch is forbidden when continue is provided";

/// Refuses what makes no sense for a list. Returns whether it is to be of exactly the revision asked for.
pub(super) fn check_list(query: &Query) -> Result<bool, Status> {
    let (at, initial) = (Path::new("resourceVersionMatch"), Path::new("sendInitialEvents"));
    let mut errors = Vec::new();
    let wanted = query.get("resourceVersionMatch");
    if let Some(wanted) = wanted {
        if query.get("resourceVersion").is_none() {
            let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            errors.push(FieldError::forbidden(&at, detail));
        }
        if query.get("continue").is_some() {
            errors.push(FieldError::forbidden(&at, WITH_CONTINUE));
        }
        if ![EXACT, NOT_OLDER].contains(&wanted) {
            errors.push(FieldError::not_supported(&at, wanted, &[EXACT, NOT_OLDER, ""]));
        }
        if wanted == EXACT && query.get("resourceVersion") == Some("0") {
            let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            errors.push(FieldError::forbidden(&at, detail));
        }
    }
    if query.optional_flag("sendInitialEvents").is_some() {
        errors.push(FieldError::forbidden(&initial, "sendInitialEvents is forbidden for list"));
    }
    refuse(&errors)?;
    Ok(wanted == Some(EXACT))
}

/// Refuses what makes no sense for a watch.
pub(super) fn check_watch(query: &Query) -> Result<(), Status> {
    let at = Path::new("resourceVersionMatch");
    let mut errors = Vec::new();
    let wanted = query.get("resourceVersionMatch");
    let initial = query.optional_flag("sendInitialEvents").is_some();
    if initial && wanted != Some(NOT_OLDER) {
        let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(FieldError::forbidden(&at, detail));
    }
    if let Some(wanted) = wanted {
        if !initial {
            let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(FieldError::forbidden(&at, detail));
        }
        if wanted != NOT_OLDER {
            errors.push(FieldError::not_supported(&at, wanted, &[NOT_OLDER]));
        }
        if query.get("continue").is_some() {
            errors.push(FieldError::forbidden(&at, WITH_CONTINUE));
        }
    }
    refuse(&errors)
}

fn refuse(errors: &[FieldError]) -> Result<(), Status> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(Qualified::new("meta.k8s.io", "ListOptions"), "", errors))
}
