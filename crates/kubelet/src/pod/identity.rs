//! Who a container runs as: the security context over the image's user. Names are looked up by the
//! runtime, in the container's own files.

use k8s_openapi::api::core::v1::{Container, Pod};
use thiserror::Error;

/// Whom to run as: `user[:group]` as an image writes it, an overriding group, further groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) gid: Option<u32>,
    pub(crate) groups: Vec<u32>,
}

/// Why a container may not run as what its image says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum IdentityError {
    /// runAsNonRoot with an explicit user 0.
    #[error("container's runAsUser breaks non-root policy (pod: {pod:?}, container: {container})")]
    RunAsUserIsRoot {
        /// The pod, as messages write it.
        pod: String,
        /// The container.
        container: String,
    },
    /// runAsNonRoot with an image whose user is root.
    #[error("container has runAsNonRoot and image will run as root (pod: {pod:?}, container: {container})")]
    ImageIsRoot {
        /// The pod, as messages write it.
        pod: String,
        /// The container.
        container: String,
    },
    /// runAsNonRoot with an image whose user is a name.
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (pod: {pod:?}, container: {container})"
    )]
    ImageUserIsAName {
        /// The image's user.
        user: String,
        /// The pod, as messages write it.
        pod: String,
        /// The container.
        container: String,
    },
    /// A number outside what the kernel has.
    #[error("the user or group id {0} is out of range")]
    Range(i64),
}

fn id(number: i64) -> Result<u32, IdentityError> {
    u32::try_from(number).map_err(|_| IdentityError::Range(number))
}

/// Who `container` runs as. `image_user` is the image's `User`.
pub(crate) fn identity(pod: &Pod, container: &Container, image_user: &str) -> Result<Identity, IdentityError> {
    let of_pod = super::spec(pod).security_context.as_ref();
    let own = container.security_context.as_ref();
    let run_as_user = own.and_then(|own| own.run_as_user).or(of_pod.and_then(|pod| pod.run_as_user));
    let run_as_group = own.and_then(|own| own.run_as_group).or(of_pod.and_then(|pod| pod.run_as_group));
    check_non_root(pod, container, run_as_user, image_user)?;
    let user = match run_as_user {
        Some(uid) => id(uid)?.to_string(),
        None => image_user.to_owned(),
    };
    let more = of_pod.into_iter().flat_map(|pod| pod.supplemental_groups.iter().flatten().chain(&pod.fs_group));
    let groups = more.map(|number| id(*number)).collect::<Result<_, _>>()?;
    Ok(Identity { user, gid: run_as_group.map(id).transpose()?, groups })
}

fn check_non_root(
    pod: &Pod,
    container: &Container,
    run_as_user: Option<i64>,
    image_user: &str,
) -> Result<(), IdentityError> {
    let of_pod = super::spec(pod).security_context.as_ref().and_then(|context| context.run_as_non_root);
    let own = container.security_context.as_ref().and_then(|context| context.run_as_non_root);
    if own.or(of_pod) != Some(true) {
        return Ok(());
    }
    let (pod, container) = (super::full_name(pod), container.name.clone());
    let user = image_user.split(':').next().unwrap_or_default();
    match (run_as_user, user.parse::<u32>()) {
        (Some(0), _) => Err(IdentityError::RunAsUserIsRoot { pod, container }),
        (Some(_), _) => Ok(()),
        (None, Ok(0)) => Err(IdentityError::ImageIsRoot { pod, container }),
        (None, Ok(_)) => Ok(()),
        (None, Err(_)) if user.is_empty() => Err(IdentityError::ImageIsRoot { pod, container }),
        (None, Err(_)) => Err(IdentityError::ImageUserIsAName { user: user.to_owned(), pod, container }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pod: serde_json::Value, own: serde_json::Value, image: &str) -> Result<Identity, IdentityError> {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"securityContext": pod, "containers": [{"name": "c", "securityContext": own}]}}))
        .unwrap();
        identity(&pod, &super::super::spec(&pod).containers[0], image)
    }

    #[test]
    fn the_security_context_goes_over_the_image() {
        let none = || serde_json::json!({});
        let table = [
            (none(), none(), "", ("", None, vec![])),
            (none(), none(), "web:log", ("web:log", None, vec![])),
            (serde_json::json!({"runAsUser": 1000}), none(), "", ("1000", None, vec![])),
            (serde_json::json!({"runAsUser": 5}), serde_json::json!({"runAsUser": 6}), "web:log", ("6", None, vec![])),
            (serde_json::json!({"runAsGroup": 9}), none(), "web", ("web", Some(9), vec![])),
            (
                serde_json::json!({"supplementalGroups": [30, 20], "fsGroup": 40}),
                none(),
                "",
                ("", None, vec![30, 20, 40]),
            ),
        ];
        for (pod, own, image, (user, gid, groups)) in table {
            let got = run(pod.clone(), own.clone(), image).unwrap();
            assert_eq!((got.user.as_str(), got.gid, got.groups), (user, gid, groups), "{pod} {own} {image}");
        }
        let error = run(serde_json::json!({"runAsUser": -1}), none(), "").unwrap_err();
        assert_eq!(error, IdentityError::Range(-1));
    }

    #[test]
    fn what_must_not_be_root_is_not() {
        let non_root = || serde_json::json!({"runAsNonRoot": true});
        let none = || serde_json::json!({});
        let message = |result: Result<Identity, IdentityError>| result.unwrap_err().to_string();
        assert_eq!(
            message(run(non_root(), none(), "")),
            "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: c)"
        );
        assert_eq!(
            message(run(non_root(), none(), "web")),
            "container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root (pod: \"p_n(u)\", container: c)"
        );
        assert_eq!(
            message(run(non_root(), serde_json::json!({"runAsUser": 0}), "")),
            "container's runAsUser breaks non-root policy (pod: \"p_n(u)\", container: c)"
        );
        assert!(run(non_root(), none(), "1000").is_ok());
        assert!(run(non_root(), serde_json::json!({"runAsNonRoot": false}), "").is_ok());
    }
}
