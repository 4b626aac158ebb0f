//! Service account tokens for projected volumes: asked from the API server, renewed in time.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{Pod, ServiceAccount},
};
use kube::{Api, Client, api::PostParams};

use super::VolumeError;

/// A token and when to ask for the next one.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) renew_at: Timestamp,
}

const AT_MOST: SignedDuration = SignedDuration::from_hours(24);

/// When a token is renewed: after 80 % of its life, and at least once a day.
pub(crate) fn renewal(issued: Timestamp, expires: Timestamp) -> Timestamp {
    let life = expires.duration_since(issued);
    let wait = (life * 4 / 5).min(AT_MOST);
    issued.saturating_add(wait).unwrap_or(expires)
}

/// Asks for a token of the pod's service account that is good only while the pod is there.
pub(crate) async fn request(client: &Client, pod: &Pod, audience: &str, seconds: i64) -> Result<Token, VolumeError> {
    let account = crate::pod::spec(pod).service_account_name.as_deref().unwrap_or("default");
    let bound = BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
    };
    let audiences = (!audience.is_empty()).then(|| vec![audience.to_owned()]);
    let spec = TokenRequestSpec { audiences, bound_object_ref: Some(bound), expiration_seconds: Some(seconds) };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), crate::pod::namespace(pod));
    let issued = Timestamp::now();
    let answer = api.create_token_request(account, &PostParams::default(), &request).await;
    let status = answer.map_err(|error| VolumeError::Token(Box::new(error)))?.status.unwrap_or_default();
    let fallback = issued.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(issued);
    let expires = status.expiration_timestamp.map_or(fallback, |time| time.0);
    Ok(Token { text: status.token.unwrap_or_default(), renew_at: renewal(issued, expires) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_before_they_end() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(renewal(at(0), at(3600)), at(2880));
        assert_eq!(renewal(at(0), at(30 * 86_400)), at(86_400));
    }
}
