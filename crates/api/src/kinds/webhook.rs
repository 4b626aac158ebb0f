//! Webhook configurations: whom to ask before objects are written.

mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Unheeded};
use crate::value::{Read as _, existing, fill, items_mut};

pub(super) const GROUP: &str = "admissionregistration.k8s.io";
pub(super) const CATEGORIES: &[&str] = &["api-extensions"];
const WEBHOOKS: Unheeded =
    Unheeded::but("nothing calls its webhooks: skiff has no admission webhooks yet").given("/webhooks", "");
const COLUMNS: &[Column] = &[Column::NAME, Column::new("Webhooks", "How many are asked.").integer(), Column::AGE];

pub(super) static VALIDATING: Resource = Resource {
    group: GROUP,
    kind: "ValidatingWebhookConfiguration",
    plural: "validatingwebhookconfigurations",
    singular: "validatingwebhookconfiguration",
    categories: CATEGORIES,
    type_name: "io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
    unheeded: Some(WEBHOOKS),
    columns: COLUMNS,
    rules: Rules {
        default: |configuration| items_mut(configuration, "webhooks").for_each(default_webhook),
        validate: |configuration, errors| validate::configuration(configuration, false, errors),
        ..RULES
    },
    ..Resource::CLUSTER
};

pub(super) static MUTATING: Resource = Resource {
    group: GROUP,
    kind: "MutatingWebhookConfiguration",
    plural: "mutatingwebhookconfigurations",
    singular: "mutatingwebhookconfiguration",
    categories: CATEGORIES,
    type_name: "io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration",
    unheeded: Some(WEBHOOKS),
    columns: COLUMNS,
    rules: Rules {
        default: |configuration| {
            for webhook in items_mut(configuration, "webhooks") {
                default_webhook(webhook);
                fill(webhook, "reinvocationPolicy", "Never");
            }
        },
        validate: |configuration, errors| validate::configuration(configuration, true, errors),
        ..RULES
    },
    ..Resource::CLUSTER
};

const RULES: Rules = Rules {
    generation: Some(|new, old| new["webhooks"] != old["webhooks"]),
    cells: |configuration: &Value, now: Timestamp| {
        let count = configuration.items("webhooks").len();
        vec![meta::name(configuration).into(), count.into(), print::age(configuration, now)]
    },
    ..Rules::PLAIN
};

fn default_webhook(webhook: &mut Value) {
    fill(webhook, "failurePolicy", "Fail");
    fill(webhook, "matchPolicy", "Equivalent");
    fill(webhook, "namespaceSelector", json!({}));
    fill(webhook, "objectSelector", json!({}));
    fill(webhook, "timeoutSeconds", 10);
    items_mut(webhook, "rules").for_each(|rule| fill(rule, "scope", "*"));
    if let Some(service) = existing(webhook, "clientConfig").and_then(|client| existing(client, "service")) {
        fill(service, "port", 443);
    }
}

pub(super) use validate::{conditions, rule};
