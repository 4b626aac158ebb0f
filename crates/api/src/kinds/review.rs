//! Questions that are answered and never stored: who am I, and may I do this?

use crate::resource::{Durability, Resource, Scope};

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// What all of them have in common.
const REVIEW: Resource = Resource { verbs: &["create"], durability: Durability::Virtual, ..Resource::CLUSTER };

pub(super) static SELF_SUBJECT_REVIEWS: Resource = Resource {
    group: AUTHENTICATION,
    kind: "SelfSubjectReview",
    plural: "selfsubjectreviews",
    singular: "selfsubjectreview",
    type_name: "io.k8s.api.authentication.v1.SelfSubjectReview",
    ..REVIEW
};

pub(super) static TOKEN_REVIEWS: Resource = Resource {
    group: AUTHENTICATION,
    kind: "TokenReview",
    plural: "tokenreviews",
    singular: "tokenreview",
    type_name: "io.k8s.api.authentication.v1.TokenReview",
    ..REVIEW
};

pub(super) static LOCAL_SUBJECT_ACCESS_REVIEWS: Resource = Resource {
    group: AUTHORIZATION,
    scope: Scope::Namespaced,
    kind: "LocalSubjectAccessReview",
    plural: "localsubjectaccessreviews",
    singular: "localsubjectaccessreview",
    type_name: "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    ..REVIEW
};

pub(super) static SELF_SUBJECT_ACCESS_REVIEWS: Resource = Resource {
    group: AUTHORIZATION,
    kind: "SelfSubjectAccessReview",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    type_name: "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    ..REVIEW
};

pub(super) static SELF_SUBJECT_RULES_REVIEWS: Resource = Resource {
    group: AUTHORIZATION,
    kind: "SelfSubjectRulesReview",
    plural: "selfsubjectrulesreviews",
    singular: "selfsubjectrulesreview",
    type_name: "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    ..REVIEW
};

pub(super) static SUBJECT_ACCESS_REVIEWS: Resource = Resource {
    group: AUTHORIZATION,
    kind: "SubjectAccessReview",
    plural: "subjectaccessreviews",
    singular: "subjectaccessreview",
    type_name: "io.k8s.api.authorization.v1.SubjectAccessReview",
    ..REVIEW
};
