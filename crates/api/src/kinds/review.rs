//! Questions that are answered and never stored: who am I, and may I do this?

use crate::resource::{Durability, Resource, Rules, Scope};

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

pub(super) static SELF_SUBJECT_REVIEWS: Resource = review(
    AUTHENTICATION,
    ["SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview"],
    "io.k8s.api.authentication.v1.SelfSubjectReview",
);

pub(super) static TOKEN_REVIEWS: Resource =
    review(AUTHENTICATION, ["TokenReview", "tokenreviews", "tokenreview"], "io.k8s.api.authentication.v1.TokenReview");

pub(super) static LOCAL_SUBJECT_ACCESS_REVIEWS: Resource = Resource {
    scope: Scope::Namespaced,
    ..review(
        AUTHORIZATION,
        ["LocalSubjectAccessReview", "localsubjectaccessreviews", "localsubjectaccessreview"],
        "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    )
};

pub(super) static SELF_SUBJECT_ACCESS_REVIEWS: Resource = review(
    AUTHORIZATION,
    ["SelfSubjectAccessReview", "selfsubjectaccessreviews", "selfsubjectaccessreview"],
    "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
);

pub(super) static SELF_SUBJECT_RULES_REVIEWS: Resource = review(
    AUTHORIZATION,
    ["SelfSubjectRulesReview", "selfsubjectrulesreviews", "selfsubjectrulesreview"],
    "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
);

pub(super) static SUBJECT_ACCESS_REVIEWS: Resource = review(
    AUTHORIZATION,
    ["SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview"],
    "io.k8s.api.authorization.v1.SubjectAccessReview",
);

const fn review(group: &'static str, [kind, plural, singular]: [&'static str; 3], type_name: &'static str) -> Resource {
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
