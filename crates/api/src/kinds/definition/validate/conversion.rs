//! What must hold for the webhook that converts between the versions of a kind. The places are those of
//! Kubernetes' internal version of a definition, by which its messages name them.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common::port_number;
use crate::validate::names;
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");
const PLACE: Path<'static> = SPEC.child("conversion");
const CONFIG: Path<'static> = PLACE.child("webhookClientConfig");
const KNOWN: [&str; 2] = ["v1", "v1beta1"];
const FORM: &str = "; desired format: https://host[/path]";

pub(super) fn check(conversion: &Value, errors: &mut Vec<FieldError>) {
    let webhook = &conversion["webhook"];
    match conversion.text("strategy") {
        "Webhook" => {
            client(&webhook["clientConfig"], errors);
            versions(webhook, errors);
        }
        strategy => {
            match strategy {
                "None" => {}
                "" => errors.push(FieldError::required(&PLACE.child("strategy"), "")),
                other => {
                    errors.push(FieldError::not_supported(&PLACE.child("strategy"), other, &["None", "Webhook"]));
                }
            }
            let detail = "should not be set when strategy is not set to Webhook";
            if webhook.has("clientConfig") {
                errors.push(FieldError::forbidden(&CONFIG, detail));
            }
            if !webhook.items("conversionReviewVersions").is_empty() {
                errors.push(FieldError::forbidden(&PLACE.child("conversionReviewVersions"), detail));
            }
        }
    }
}

/// The authorities cannot be read.
pub(super) fn bundle(conversion: &Value, errors: &mut Vec<FieldError>) {
    let bundle = conversion["webhook"]["clientConfig"]["caBundle"].clone();
    let detail = "unable to load root certificates: unable to parse bytes as PEM block";
    errors.push(FieldError::invalid(&CONFIG.child("caBundle"), bundle, detail));
}

fn client(config: &Value, errors: &mut Vec<FieldError>) {
    if !config.is_object() {
        return errors.push(FieldError::required(&CONFIG, "required when strategy is set to Webhook"));
    }
    match (config["url"].as_str(), config["service"].is_object()) {
        (Some(url), false) => address(url, &CONFIG.child("url"), errors),
        (None, true) => service(&config["service"], &CONFIG.child("service"), errors),
        _ => errors.push(FieldError::required(&CONFIG, "exactly one of url or service is required")),
    }
}

fn address(url: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut wrong = |value: &str, detail: &str| errors.push(FieldError::invalid(at, value, detail));
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    if scheme != "https" {
        wrong(scheme, &format!("'https' is the only allowed URL scheme{FORM}"));
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = rest.strip_prefix("//").unwrap_or_default().split('/').next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if host.is_empty() {
        wrong("", &format!("host must be provided{FORM}"));
    }
    if let Some(user) = user {
        wrong(user, "user information is not permitted in the URL");
    }
    if !fragment.is_empty() {
        wrong(fragment, "fragments are not permitted in the URL");
    }
    if !query.is_empty() {
        wrong(query, "query parameters are not permitted in the URL");
    }
}

fn service(service: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["name", "namespace"] {
        if service.text(field).is_empty() {
            errors.push(FieldError::required(&at.child(field), format!("service {field} is required")));
        }
    }
    let mut wrong = Vec::new();
    port_number(service.int("port").unwrap_or(443), &at.child("port"), &mut wrong);
    errors.extend(
        wrong.into_iter().map(|error| FieldError { detail: format!("port is not valid: {}", error.detail), ..error }),
    );
    let (path, at) = (service.text("path"), at.child("path"));
    if matches!(path, "" | "/") {
        return;
    }
    let mut wrong = |detail: String| errors.push(FieldError::invalid(&at, path, detail));
    if path == "//" {
        return wrong("segment[0] may not be empty".to_owned());
    }
    let below = path.strip_prefix('/');
    if below.is_none() {
        wrong("must start with a '/'".to_owned());
    }
    let below = below.unwrap_or(path);
    for (index, step) in below.strip_suffix('/').unwrap_or(below).split('/').enumerate() {
        if step.is_empty() {
            wrong(format!("segment[{index}] may not be empty"));
            continue;
        }
        for problem in names::dns_subdomain(step) {
            wrong(format!("segment[{index}]: {problem}"));
        }
    }
}

fn versions(webhook: &Value, errors: &mut Vec<FieldError>) {
    let place = PLACE.child("conversionReviewVersions");
    let versions = webhook.items("conversionReviewVersions");
    if versions.is_empty() {
        return errors.push(FieldError::required(&place, ""));
    }
    for (index, version) in versions.iter().enumerate() {
        let (at, text) = (place.index(index), version.as_str().unwrap_or_default());
        if versions[..index].contains(version) {
            errors.push(FieldError::invalid(&at, text, "duplicate version"));
            continue;
        }
        errors.extend(names::dns_1035_label(text).into_iter().map(|problem| FieldError::invalid(&at, text, problem)));
    }
    if !versions.iter().any(|version| version.as_str().is_some_and(|version| KNOWN.contains(&version))) {
        let detail = format!("must include at least one of {}", KNOWN.join(", "));
        errors.push(FieldError::invalid(&place, versions.to_vec(), detail));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(webhook: Value) -> Vec<String> {
        let mut errors = Vec::new();
        check(&json!({"strategy": "Webhook", "webhook": webhook}), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn webhooks_are_reached_by_a_url_or_a_service() {
        let with = |config: Value| wrong(json!({"clientConfig": config, "conversionReviewVersions": ["v1"]}));
        assert_eq!(with(json!({"url": "https://a.example.com:8443/convert"})), [] as [&str; 0]);
        assert_eq!(
            with(json!({"service": {"name": "a", "namespace": "b", "port": 443, "path": "/a/b.c/"}})),
            [] as [&str; 0]
        );
        let at = "spec.conversion.webhookClientConfig";
        assert_eq!(with(json!({})), [format!("{at}: Required value: exactly one of url or service is required")]);
        assert_eq!(
            with(json!({"url": "http://u:p@a/?q=1#f"})),
            [
                format!(
                    r#"{at}.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[/path]"#
                ),
                format!(r#"{at}.url: Invalid value: "u:p": user information is not permitted in the URL"#),
                format!(r#"{at}.url: Invalid value: "f": fragments are not permitted in the URL"#),
                format!(r#"{at}.url: Invalid value: "q=1": query parameters are not permitted in the URL"#),
            ]
        );
        assert!(with(json!({"url": "https:///path"}))[0].contains("host must be provided"));
        let service = with(json!({"service": {"namespace": "b", "port": 0, "path": "a//B"}}));
        assert_eq!(service[0], format!("{at}.service.name: Required value: service name is required"));
        assert!(service[1].starts_with(&format!("{at}.service.port: Invalid value: 0: port is not valid: ")));
        assert_eq!(service[2], format!(r#"{at}.service.path: Invalid value: "a//B": must start with a '/'"#));
        assert_eq!(service[3], format!(r#"{at}.service.path: Invalid value: "a//B": segment[1] may not be empty"#));
        assert_eq!(
            wrong(json!({"conversionReviewVersions": ["v1"]}))[0],
            format!("{at}: Required value: required when strategy is set to Webhook")
        );
    }

    #[test]
    fn one_of_the_reviews_versions_is_known() {
        let with = |versions: Value| {
            wrong(json!({"clientConfig": {"url": "https://a"}, "conversionReviewVersions": versions}))
        };
        assert_eq!(with(json!(["v9", "v1beta1"])), [] as [&str; 0]);
        let at = "spec.conversion.conversionReviewVersions";
        assert_eq!(with(json!([])), [format!("{at}: Required value")]);
        assert_eq!(
            with(json!(["v9"])),
            [format!(r#"{at}: Invalid value: ["v9"]: must include at least one of v1, v1beta1"#)]
        );
        assert_eq!(with(json!(["v1", "v1"])), [format!(r#"{at}[1]: Invalid value: "v1": duplicate version"#)]);
        let mut errors = Vec::new();
        check(&json!({"strategy": "None", "webhook": {"clientConfig": {"url": "https://a"}}}), &mut errors);
        assert_eq!(
            errors[0].to_string(),
            "spec.conversion.webhookClientConfig: Forbidden: should not be set when strategy is not set to Webhook"
        );
    }
}
