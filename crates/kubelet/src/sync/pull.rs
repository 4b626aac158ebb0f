//! Gets a container's image, by its pull policy, and tells about it.

use std::time::Instant;

use k8s_openapi::api::core::v1::{Container, Pod};
use skiff_image::{FindError, Image, Keyring, Reference};
use tokio_util::sync::CancellationToken;

use super::{error::LaunchError, shared::Shared};
use crate::{pod, sources};

/// The image of `container`, fetched if need be. Pulling ends when `cancel` says so.
pub(crate) async fn image(
    shared: &Shared,
    pod: &Pod,
    container: &Container,
    cancel: &CancellationToken,
) -> Result<Image, LaunchError> {
    let name = container.image.as_deref().unwrap_or_default();
    let present = match shared.images.find(name) {
        Ok(present) => present,
        Err(FindError::Name(error)) => {
            let message = format!("Failed to apply default image tag {name:?}: {error}");
            shared.container_warning(pod, &container.name, "InspectFailed", message.clone());
            shared.container_warning(pod, &container.name, "Failed", "Error: InvalidImageName");
            return Err(LaunchError::Image { reason: "InvalidImageName", message });
        }
        Err(error @ FindError::Store(_)) => {
            let message = format!("Failed to inspect image {name:?}: {error}");
            shared.container_warning(pod, &container.name, "InspectFailed", message.clone());
            return Err(LaunchError::Image { reason: "ImageInspectError", message });
        }
    };
    match (container.image_pull_policy.as_deref(), present) {
        // What did not come from a registry was imported: no registry knows better.
        (Some("Always"), Some(image)) if !shared.pulled.holds(&image) => Ok(already(shared, pod, container, image)),
        (Some("Always"), _) | (_, None) if container.image_pull_policy.as_deref() != Some("Never") => {
            pull(shared, pod, container, name, cancel).await
        }
        (_, Some(image)) => Ok(already(shared, pod, container, image)),
        (_, None) => {
            let message = format!("Container image {name:?} is not present with pull policy of Never");
            shared.container_warning(pod, &container.name, "ErrImageNeverPull", message.clone());
            shared.container_warning(pod, &container.name, "Failed", "Error: ErrImageNeverPull");
            Err(LaunchError::Image { reason: "ErrImageNeverPull", message })
        }
    }
}

fn already(shared: &Shared, pod: &Pod, container: &Container, image: Image) -> Image {
    let name = container.image.as_deref().unwrap_or_default();
    let message = format!("Container image {name:?} already present on machine and can be accessed by the pod");
    shared.container_normal(pod, &container.name, "Pulled", message);
    image
}

async fn pull(
    shared: &Shared,
    pod: &Pod,
    container: &Container,
    name: &str,
    cancel: &CancellationToken,
) -> Result<Image, LaunchError> {
    let reference: Reference = name.parse().map_err(|error: skiff_image::InvalidReference| LaunchError::Image {
        reason: "InvalidImageName",
        message: error.to_string(),
    })?;
    let keyring = keyring(shared, pod).await;
    shared.container_normal(pod, &container.name, "Pulling", format!("Pulling image {name:?}"));
    let begun = Instant::now();
    let pulled = cancel.run_until_cancelled(shared.images.pull(&reference, &keyring, None)).await;
    match pulled.ok_or(LaunchError::Cancelled)? {
        Ok(image) => {
            shared.pulled.note(&image);
            let took = format!("{:.3}s", begun.elapsed().as_secs_f64());
            let message = format!(
                "Successfully pulled image {name:?} in {took} ({took} including waiting). Image size: {} bytes.",
                image.size
            );
            shared.container_normal(pod, &container.name, "Pulled", message);
            Ok(image)
        }
        Err(error) => {
            let message = error.to_string();
            let told = format!("Failed to pull image {name:?}: {message}");
            shared.container_warning(pod, &container.name, "Failed", told);
            shared.container_warning(pod, &container.name, "Failed", format!("Error: {}", error.reason()));
            Err(LaunchError::Image { reason: error.reason(), message })
        }
    }
}

/// The credentials of the pod's pull secrets. One that cannot be used is told about and left out.
async fn keyring(shared: &Shared, pod: &Pod) -> Keyring {
    let mut keyring = Keyring::anonymous();
    let mut missing = Vec::new();
    for secret in pod::spec(pod).image_pull_secrets.iter().flatten().map(|secret| &secret.name) {
        let reference = sources::Reference::secret(secret);
        let payload = match shared.sources.get(pod::namespace(pod), &reference).await {
            Ok(Some(payload)) => payload,
            Ok(None) | Err(_) => {
                missing.push(secret.as_str());
                continue;
            }
        };
        let added = match (payload.data.get(".dockerconfigjson"), payload.data.get(".dockercfg")) {
            (Some(json), _) => keyring.add_docker_config(json),
            (None, Some(json)) => keyring.add_docker_cfg(json),
            (None, None) => {
                missing.push(secret.as_str());
                continue;
            }
        };
        if let Err(error) = added {
            shared.warning(pod, "FailedToRetrieveImagePullSecret", format!("Pull secret {secret}: {error}"));
        }
    }
    if !missing.is_empty() {
        let message = format!(
            "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
            missing.join(", ")
        );
        shared.warning(pod, "FailedToRetrieveImagePullSecret", message);
    }
    keyring
}
