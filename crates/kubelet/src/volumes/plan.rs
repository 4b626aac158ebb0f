//! What each volume of a pod is, read from its spec; nothing is made yet.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, DownwardAPIVolumeFile, HostPathVolumeSource, KeyToPath, Pod, SecretVolumeSource, Volume,
    VolumeProjection,
};

use super::VolumeError;
use crate::{pod::resources::amount, sources::Reference};

/// One volume.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) what: What,
}

/// What a volume is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// A folder on disk.
    Disk,
    /// A memory file system of at most so many bytes.
    Memory { limit: Option<u64> },
    /// A path of the host.
    Host(HostPathVolumeSource),
    /// Files that are written from the API's objects.
    Files(Files),
}

/// The files of a configMap, secret, downwardAPI or projected volume.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Files {
    pub(crate) sources: Vec<Content>,
    pub(crate) mode: u32,
    /// Secrets and tokens are kept in memory.
    pub(crate) secret: bool,
}

/// Where files come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Object { reference: Reference, items: Option<Vec<KeyToPath>>, optional: bool },
    Downward(Vec<DownwardAPIVolumeFile>),
    Token { audience: Option<String>, seconds: i64, path: String },
}

const DEFAULT_MODE: i32 = 0o644;
const DEFAULT_TOKEN_SECONDS: i64 = 3600;

/// All volumes of `pod`, or the first that is not supported.
pub(crate) fn volumes(pod: &Pod) -> Result<Vec<Planned>, VolumeError> {
    crate::pod::spec(pod).volumes.iter().flatten().map(volume).collect()
}

fn volume(volume: &Volume) -> Result<Planned, VolumeError> {
    let files = |sources, mode: Option<i32>, secret| {
        let mode = u32::try_from(mode.unwrap_or(DEFAULT_MODE)).unwrap_or(0o644) & 0o777;
        Ok(What::Files(Files { sources, mode, secret }))
    };
    let what = if let Some(dir) = &volume.empty_dir {
        let limit = dir.size_limit.as_ref().and_then(amount).and_then(|limit| u64::try_from(limit.units()).ok());
        match dir.medium.as_deref().unwrap_or_default() {
            "" => Ok(What::Disk),
            "Memory" => Ok(What::Memory { limit: limit.filter(|&bytes| bytes > 0) }),
            other => Err(VolumeError::Unsupported(format!("emptyDir with medium {other:?}"))),
        }
    } else if let Some(path) = &volume.host_path {
        Ok(What::Host(path.clone()))
    } else if let Some(map) = &volume.config_map {
        files(vec![config_map(map)], map.default_mode, false)
    } else if let Some(secret) = &volume.secret {
        files(vec![from_secret(secret)], secret.default_mode, true)
    } else if let Some(downward) = &volume.downward_api {
        let content = Content::Downward(downward.items.clone().unwrap_or_default());
        files(vec![content], downward.default_mode, false)
    } else if let Some(projected) = &volume.projected {
        let sources: Vec<Content> =
            projected.sources.iter().flatten().flat_map(projection).collect::<Result<_, _>>()?;
        let secret = sources.iter().any(Content::is_secret);
        files(sources, projected.default_mode, secret)
    } else {
        Err(VolumeError::Unsupported(kind(volume)))
    };
    Ok(Planned { name: volume.name.clone(), what: what? })
}

fn config_map(map: &ConfigMapVolumeSource) -> Content {
    let optional = map.optional == Some(true);
    Content::Object { reference: Reference::config_map(&map.name), items: map.items.clone(), optional }
}

fn from_secret(secret: &SecretVolumeSource) -> Content {
    let name = secret.secret_name.as_deref().unwrap_or_default();
    let optional = secret.optional == Some(true);
    Content::Object { reference: Reference::secret(name), items: secret.items.clone(), optional }
}

fn projection(source: &VolumeProjection) -> Vec<Result<Content, VolumeError>> {
    let mut contents = Vec::new();
    if let Some(map) = &source.config_map {
        let (reference, optional) = (Reference::config_map(&map.name), map.optional == Some(true));
        contents.push(Ok(Content::Object { reference, items: map.items.clone(), optional }));
    }
    if let Some(secret) = &source.secret {
        let (reference, optional) = (Reference::secret(&secret.name), secret.optional == Some(true));
        contents.push(Ok(Content::Object { reference, items: secret.items.clone(), optional }));
    }
    if let Some(downward) = &source.downward_api {
        contents.push(Ok(Content::Downward(downward.items.clone().unwrap_or_default())));
    }
    if let Some(token) = &source.service_account_token {
        contents.push(Ok(Content::Token {
            audience: token.audience.clone().filter(|audience| !audience.is_empty()),
            seconds: token.expiration_seconds.unwrap_or(DEFAULT_TOKEN_SECONDS),
            path: token.path.clone(),
        }));
    }
    if source.cluster_trust_bundle.is_some() {
        contents.push(Err(VolumeError::Unsupported("projected clusterTrustBundle".to_owned())));
    }
    if source.pod_certificate.is_some() {
        contents.push(Err(VolumeError::Unsupported("projected podCertificate".to_owned())));
    }
    contents
}

impl Content {
    fn is_secret(&self) -> bool {
        match self {
            Self::Object { reference, .. } => reference.kind == crate::sources::Kind::Secret,
            Self::Downward(_) => false,
            Self::Token { .. } => true,
        }
    }
}

/// The name of the member that is set, as it is written in a manifest.
fn kind(volume: &Volume) -> String {
    let value = serde_json::to_value(volume).unwrap_or_default();
    let members = value.as_object().into_iter().flatten().map(|(name, _)| name.clone());
    members.filter(|name| name != "name").collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(volumes: serde_json::Value) -> Result<Vec<Planned>, String> {
        let spec = serde_json::json!({"containers": [], "volumes": volumes});
        let pod = serde_json::from_value(serde_json::json!({"metadata": {}, "spec": spec})).unwrap();
        super::volumes(&pod).map_err(|error| error.to_string())
    }

    #[test]
    fn each_kind_is_recognised() {
        let planned = plan(serde_json::json!([
            {"name": "a", "emptyDir": {}},
            {"name": "b", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "c", "hostPath": {"path": "/tmp"}},
            {"name": "d", "configMap": {"name": "m", "optional": true, "defaultMode": 256}},
            {"name": "e", "secret": {"secretName": "s"}},
            {"name": "f", "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}}]}}
        ]))
        .unwrap();
        assert_eq!(planned[0].what, What::Disk);
        assert_eq!(planned[1].what, What::Memory { limit: Some(1 << 20) });
        assert!(matches!(&planned[2].what, What::Host(path) if path.path == "/tmp"));
        assert!(matches!(&planned[3].what, What::Files(files) if files.mode == 0o400 && !files.secret));
        assert!(matches!(&planned[4].what, What::Files(files) if files.mode == 0o644 && files.secret));
        assert!(matches!(&planned[5].what, What::Files(files) if files.sources.len() == 3 && files.secret));
    }

    #[test]
    fn other_kinds_are_named_in_the_refusal() {
        let error = plan(serde_json::json!([{"name": "a", "nfs": {"server": "x", "path": "/"}}])).unwrap_err();
        assert_eq!(error, "volumes of kind nfs are not supported by skiff");
        let error = plan(serde_json::json!([{"name": "a", "persistentVolumeClaim": {"claimName": "x"}}])).unwrap_err();
        assert_eq!(error, "volumes of kind persistentVolumeClaim are not supported by skiff");
    }
}
