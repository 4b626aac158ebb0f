//! The downward API: a pod's fields and a container's resources as text.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{ObjectFieldSelector, Pod, ResourceFieldSelector},
    apimachinery::pkg::api::resource::Quantity,
};
use thiserror::Error;

use super::resources::{Amount, amount};

/// Why a reference to the pod's own fields has no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum FieldError {
    /// The path is none that a container can see.
    #[error("unsupported fieldPath: {0}")]
    Path(String),
    /// A container name in a resource reference that the pod does not have.
    #[error("container {0} not found")]
    Container(String),
    /// A resource that cannot be exposed.
    #[error("unsupported container resource : {0}")]
    Resource(String),
    /// A quantity that does not parse.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$': {0}")]
    Quantity(String),
}

/// The addresses a pod's fields show.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) pod: Vec<String>,
    pub(crate) host: Vec<String>,
}

/// The value of `metadata.…`, `spec.…` or `status.…` as an environment variable or file.
pub(crate) fn field(pod: &Pod, selector: &ObjectFieldSelector, addresses: &Addresses) -> Result<String, FieldError> {
    let path = selector.field_path.as_str();
    if let Some((map, key)) = subscript(path) {
        let values = match map {
            "metadata.labels" => pod.metadata.labels.as_ref(),
            "metadata.annotations" => pod.metadata.annotations.as_ref(),
            _ => return Err(FieldError::Path(path.to_owned())),
        };
        return Ok(values.and_then(|values| values.get(key)).cloned().unwrap_or_default());
    }
    let spec = super::spec(pod);
    Ok(match path {
        "metadata.name" => super::name(pod).to_owned(),
        "metadata.namespace" => super::namespace(pod).to_owned(),
        "metadata.uid" => super::uid(pod).to_owned(),
        "metadata.labels" => lines(pod.metadata.labels.as_ref()),
        "metadata.annotations" => lines(pod.metadata.annotations.as_ref()),
        "spec.nodeName" => spec.node_name.clone().unwrap_or_default(),
        "spec.serviceAccountName" => spec.service_account_name.clone().unwrap_or_default(),
        "status.hostIP" => addresses.host.first().cloned().unwrap_or_default(),
        "status.hostIPs" => addresses.host.join(","),
        "status.podIP" => addresses.pod.first().cloned().unwrap_or_default(),
        "status.podIPs" => addresses.pod.join(","),
        _ => return Err(FieldError::Path(path.to_owned())),
    })
}

fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

/// A map as the downward API writes it into a file: `key="escaped value"`, a line each.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<String> = map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}

/// The value of a `resourceFieldRef`, rounded up to its divisor. A limit that is not set is
/// what the node can allocate.
pub(crate) fn resource(
    pod: &Pod,
    container: &str,
    selector: &ResourceFieldSelector,
    allocatable: &BTreeMap<String, Quantity>,
) -> Result<String, FieldError> {
    let name = selector.container_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(container);
    let container = super::container(pod, name).ok_or_else(|| FieldError::Container(name.to_owned()))?;
    let (list, resource) =
        selector.resource.split_once('.').ok_or_else(|| FieldError::Resource(selector.resource.clone()))?;
    let resources = container.resources.as_ref();
    let limit = resources.and_then(|resources| resources.limits.as_ref()?.get(resource));
    let request = resources.and_then(|resources| resources.requests.as_ref()?.get(resource));
    let quantity = match list {
        "limits" => limit.or_else(|| allocatable.get(resource)),
        "requests" => request.or(limit),
        _ => return Err(FieldError::Resource(selector.resource.clone())),
    };
    if !matches!(resource, "cpu" | "memory" | "ephemeral-storage") && !resource.starts_with("hugepages-") {
        return Err(FieldError::Resource(selector.resource.clone()));
    }
    let parse = |quantity: &Quantity| amount(quantity).ok_or_else(|| FieldError::Quantity(quantity.0.clone()));
    let value = quantity.map_or(Ok(Amount::ZERO), parse)?;
    let divisor = selector.divisor.as_ref().map_or(Ok(Amount::ZERO), parse)?;
    let divisor = if divisor == Amount::ZERO { Amount::ONE } else { divisor };
    Ok(value.divided_up(divisor).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "web", "x/y": "a\"b"}},
            "spec": {"nodeName": "node", "serviceAccountName": "sa", "containers": [{"name": "c", "resources": {
                "limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}}}]}
        }))
        .unwrap()
    }

    #[test]
    fn fields_read_as_text() {
        let addresses = Addresses { pod: vec!["10.1.0.5".to_owned()], host: vec!["192.0.2.1".to_owned()] };
        let table = [
            ("metadata.name", "p"),
            ("metadata.namespace", "n"),
            ("metadata.uid", "u"),
            ("metadata.labels['app']", "web"),
            ("metadata.labels['nope']", ""),
            ("metadata.labels", "app=\"web\"\nx/y=\"a\\\"b\""),
            ("metadata.annotations", ""),
            ("spec.nodeName", "node"),
            ("spec.serviceAccountName", "sa"),
            ("status.podIP", "10.1.0.5"),
            ("status.podIPs", "10.1.0.5"),
            ("status.hostIP", "192.0.2.1"),
        ];
        for (path, wanted) in table {
            let selector = ObjectFieldSelector { field_path: path.to_owned(), api_version: None };
            assert_eq!(field(&pod(), &selector, &addresses).as_deref(), Ok(wanted), "{path}");
        }
        let selector = ObjectFieldSelector { field_path: "spec.priority".to_owned(), api_version: None };
        assert_eq!(field(&pod(), &selector, &addresses), Err(FieldError::Path("spec.priority".to_owned())));
    }

    #[test]
    fn resources_are_rounded_up_to_the_divisor() {
        let allocatable = BTreeMap::from([("memory".to_owned(), Quantity("1Gi".to_owned()))]);
        let table = [
            ("limits.cpu", "", "2"),
            ("limits.cpu", "1m", "1500"),
            ("requests.cpu", "1", "1"),
            ("limits.memory", "1Mi", "64"),
            ("requests.memory", "1Ki", "65536"),
            ("requests.ephemeral-storage", "", "0"),
        ];
        for (name, divisor, wanted) in table {
            let selector = ResourceFieldSelector {
                resource: name.to_owned(),
                container_name: None,
                divisor: (!divisor.is_empty()).then(|| Quantity(divisor.to_owned())),
            };
            assert_eq!(resource(&pod(), "c", &selector, &allocatable).as_deref(), Ok(wanted), "{name} / {divisor}");
        }
    }
}
