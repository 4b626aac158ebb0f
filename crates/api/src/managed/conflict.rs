//! What an apply is refused for: fields that others own and that it would change.

use super::Element;
use super::element::show;
use super::entries::Manager;
use crate::status::{Cause, Details, Status};

/// One field that somebody else owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub(super) path: Vec<Element>,
    manager: Manager,
}

impl Conflict {
    pub(super) fn new(manager: &Manager, path: &[Element]) -> Self {
        Self { path: path.to_vec(), manager: manager.clone() }
    }

    /// The field, as messages show it.
    #[must_use]
    pub fn field(&self) -> String {
        show(&self.path)
    }

    /// Who owns it, as messages say it.
    fn owner(&self) -> String {
        let Manager { name, applies, api_version, subresource } = &self.manager;
        let mut text = format!("{name:?}");
        if !subresource.is_empty() {
            text.push_str(&format!(" with subresource {subresource:?}"));
        }
        if !applies {
            text.push_str(&format!(" using {api_version}"));
        }
        text
    }
}

/// 409 with every field and its owner.
pub(super) fn status(conflicts: &[Conflict]) -> Status {
    let causes = conflicts.iter().map(|conflict| Cause {
        reason: "FieldManagerConflict".to_owned(),
        message: format!("conflict with {}", conflict.owner()),
        field: conflict.field(),
    });
    Status {
        status: "Failure".to_owned(),
        message: message(conflicts),
        reason: "Conflict".to_owned(),
        details: Some(Box::new(Details { causes: causes.collect(), ..Details::default() })),
        code: 409,
    }
}

pub(super) fn message(conflicts: &[Conflict]) -> String {
    if let [one] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", one.owner(), one.field());
    }
    let mut owners: Vec<String> = conflicts.iter().map(Conflict::owner).collect();
    owners.sort_unstable();
    owners.dedup();
    let mut lines = Vec::new();
    for owner in owners {
        lines.push(format!("conflicts with {owner}:"));
        let own = conflicts.iter().filter(|conflict| conflict.owner() == owner);
        lines.extend(own.map(|conflict| format!("- {}", conflict.field())));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}
