//! Questions that are answered and never stored: who am I, and may I do this?

use crate::resource::{Durability, Resource, Rules, Scope};

pub(super) static SELF_SUBJECT_REVIEWS: Resource = review(
    "authentication.k8s.io",
    "SelfSubjectReview",
    "selfsubjectreviews",
    "selfsubjectreview",
    "io.k8s.api.authentication.v1.SelfSubjectReview",
);

pub(super) static SELF_SUBJECT_ACCESS_REVIEWS: Resource = review(
    "authorization.k8s.io",
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
    "selfsubjectaccessreview",
    "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
);

const fn review(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    type_name: &'static str,
) -> Resource {
    Resource {
        group,
        version: "v1",
        kind,
        plural,
        singular,
        short_names: &[],
        categories: &[],
        scope: Scope::Cluster,
        verbs: &["create"],
        subresources: &[],
        durability: Durability::Virtual,
        type_name,
        columns: &[crate::resource::Column::NAME, crate::resource::Column::AGE],
        rules: Rules::PLAIN,
    }
}
