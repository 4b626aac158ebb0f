//! A container's environment, from its spec, what the spec refers to, and the services around it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{
    api::core::v1::{Container, EnvVar, EnvVarSource, Pod},
    apimachinery::pkg::api::resource::Quantity,
};
use thiserror::Error;

use super::{
    expand::expand,
    fields::{self, Addresses, FieldError},
};
use crate::sources::{Kind, Payload, Reference};

/// Why a container cannot be configured. The texts are those Kubernetes shows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum EnvError {
    /// A ConfigMap or Secret is not there.
    #[error("{kind} {name:?} not found")]
    Missing {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// It is there, but lacks the key.
    #[error("couldn't find key {key} in {} {namespace}/{name}", kind.title())]
    Key {
        /// Its kind.
        kind: Kind,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The key that is asked for.
        key: String,
    },
    /// The value is no text.
    #[error("the key {key} of {kind} {name:?} is not valid UTF-8")]
    Text {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// The key that is asked for.
        key: String,
    },
    /// A reference to the pod's own fields.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// Everything outside the pod that an environment may depend on.
pub(crate) struct Surroundings<'s> {
    pub(crate) objects: &'s BTreeMap<Reference, Option<Arc<Payload>>>,
    pub(crate) services: Vec<(String, String)>,
    pub(crate) addresses: &'s Addresses,
    pub(crate) allocatable: &'s BTreeMap<String, Quantity>,
}

/// The ConfigMaps and Secrets that `container`'s environment refers to.
pub(crate) fn references(container: &Container) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    for source in container.env_from.iter().flatten() {
        found.extend(source.config_map_ref.iter().map(|map| Reference::config_map(&map.name)));
        found.extend(source.secret_ref.iter().map(|secret| Reference::secret(&secret.name)));
    }
    for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        found.extend(source.config_map_key_ref.iter().map(|key| Reference::config_map(&key.name)));
        found.extend(source.secret_key_ref.iter().map(|key| Reference::secret(&key.name)));
    }
    found
}

/// The variables, in the order they were defined; a later definition replaces an earlier one.
pub(crate) fn environment(
    pod: &Pod,
    container: &Container,
    around: &Surroundings<'_>,
) -> Result<Vec<(String, String)>, EnvError> {
    let mut variables = Variables::default();
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let reference = match (&source.config_map_ref, &source.secret_ref) {
            (Some(map), _) => (Reference::config_map(&map.name), map.optional),
            (None, Some(secret)) => (Reference::secret(&secret.name), secret.optional),
            (None, None) => continue,
        };
        let (reference, optional) = reference;
        let Some(payload) = object(around, &reference, optional == Some(true))? else { continue };
        for (key, value) in &payload.data {
            if let Ok(value) = std::str::from_utf8(value)
                && !key.contains('=')
            {
                variables.set(format!("{prefix}{key}"), value.to_owned());
            }
        }
    }
    let services: BTreeMap<&str, &str> =
        around.services.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for variable in container.env.iter().flatten() {
        let value = value(pod, container, variable, around, |name| {
            variables.get(name).or_else(|| services.get(name).copied())
        })?;
        if let Some(value) = value {
            variables.set(variable.name.clone(), value);
        }
    }
    for (name, value) in &around.services {
        if variables.get(name).is_none() {
            variables.set(name.clone(), value.clone());
        }
    }
    Ok(variables.list)
}

/// Variables in order of definition, found by name.
#[derive(Default)]
struct Variables {
    list: Vec<(String, String)>,
    at: BTreeMap<String, usize>,
}

impl Variables {
    fn get(&self, name: &str) -> Option<&str> {
        self.at.get(name).map(|&at| self.list[at].1.as_str())
    }

    fn set(&mut self, name: String, value: String) {
        match self.at.get(&name) {
            Some(&at) => self.list[at].1 = value,
            None => {
                self.at.insert(name.clone(), self.list.len());
                self.list.push((name, value));
            }
        }
    }
}

fn value<'v>(
    pod: &Pod,
    container: &Container,
    variable: &EnvVar,
    around: &Surroundings<'_>,
    lookup: impl Fn(&str) -> Option<&'v str>,
) -> Result<Option<String>, EnvError> {
    match &variable.value_from {
        Some(source) => referred(pod, container, source, around),
        None => Ok(Some(expand(variable.value.as_deref().unwrap_or_default(), lookup))),
    }
}

fn referred(
    pod: &Pod,
    container: &Container,
    source: &EnvVarSource,
    around: &Surroundings<'_>,
) -> Result<Option<String>, EnvError> {
    if let Some(selector) = &source.field_ref {
        return Ok(Some(fields::field(pod, selector, around.addresses)?));
    }
    if let Some(selector) = &source.resource_field_ref {
        return Ok(Some(fields::resource(pod, &container.name, selector, around.allocatable)?));
    }
    let (reference, key, optional) = match (&source.config_map_key_ref, &source.secret_key_ref) {
        (Some(map), _) => (Reference::config_map(&map.name), &map.key, map.optional),
        (None, Some(secret)) => (Reference::secret(&secret.name), &secret.key, secret.optional),
        (None, None) => return Ok(Some(String::new())),
    };
    let optional = optional == Some(true);
    let Some(payload) = object(around, &reference, optional)? else { return Ok(None) };
    let (kind, name) = (reference.kind, reference.name);
    match payload.data.get(key) {
        Some(value) => match String::from_utf8(value.clone()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(EnvError::Text { kind, name, key: key.clone() }),
        },
        None if optional => Ok(None),
        None => Err(EnvError::Key { kind, namespace: super::namespace(pod).to_owned(), name, key: key.clone() }),
    }
}

fn object<'s>(
    around: &'s Surroundings<'_>,
    reference: &Reference,
    optional: bool,
) -> Result<Option<&'s Arc<Payload>>, EnvError> {
    match around.objects.get(reference) {
        Some(Some(payload)) => Ok(Some(payload)),
        _ if optional => Ok(None),
        _ => Err(EnvError::Missing { kind: reference.kind, name: reference.name.clone() }),
    }
}

/// The image's variables with the container's own over them.
pub(crate) fn over_image(image: &[String], own: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut variables = Variables::default();
    for entry in image {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        variables.set(name.to_owned(), value.to_owned());
    }
    for (name, value) in own {
        variables.set(name, value);
    }
    variables.list
}

/// What runs, from `command` and `args` over the image's entrypoint and arguments.
pub(crate) fn argv(
    container: &Container,
    entrypoint: &[String],
    cmd: &[String],
    env: &[(String, String)],
) -> Vec<String> {
    let own = |list: &Option<Vec<String>>| list.as_deref().unwrap_or_default().to_vec();
    let (command, args) = (own(&container.command), own(&container.args));
    let find = |name: &str| env.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    let expanded = |list: Vec<String>| list.iter().map(|text| expand(text, find)).collect::<Vec<_>>();
    match (command.is_empty(), args.is_empty()) {
        (true, true) => [entrypoint, cmd].concat(),
        (true, false) => [entrypoint.to_vec(), expanded(args)].concat(),
        (false, _) => [expanded(command), expanded(args)].concat(),
    }
}

#[cfg(test)]
mod tests;
