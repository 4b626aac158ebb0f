//! `create configmap` and `create secret`: data from literals, files and folders.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::{error::Error, output::Output};

/// Where the data comes from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Sources {
    /// A key and its value
    #[arg(long, value_name = "KEY=VALUE")]
    from_literal: Vec<String>,
    /// A file, or all files of a folder; the key is the file's name unless given
    #[arg(long, value_name = "[KEY=]FILE")]
    from_file: Vec<String>,
    /// A file of lines KEY=VALUE
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from_literal", "from_file"])]
    from_env_file: Vec<String>,
}

type Data = Vec<(String, Vec<u8>)>;

impl Sources {
    fn read(&self) -> Result<Data, Error> {
        let mut data = Data::new();
        for text in &self.from_file {
            from_file(text, &mut data)?;
        }
        for text in &self.from_literal {
            let (key, value) = text
                .split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| Error::usage(format!("invalid literal source {text}, expected key=value")))?;
            add(&mut data, key, value.trim_matches(['\'', '"']).as_bytes().to_vec())?;
        }
        for path in &self.from_env_file {
            for line in String::from_utf8_lossy(&bytes(path)?).lines().map(str::trim_start) {
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let (key, value) = line.split_once('=').map_or_else(
                    || (line, std::env::var(line).unwrap_or_default()),
                    |(key, value)| (key, value.to_owned()),
                );
                add(&mut data, key, value.into_bytes())?;
            }
        }
        Ok(data)
    }
}

fn bytes(path: &str) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn add(data: &mut Data, key: &str, value: Vec<u8>) -> Result<(), Error> {
    if data.iter().any(|(held, _)| held == key) {
        return Err(Error::usage(format!("cannot add key {key}, another key by that name already exists in Data")));
    }
    data.push((key.to_owned(), value));
    Ok(())
}

fn from_file(text: &str, data: &mut Data) -> Result<(), Error> {
    if let Some((key, path)) = text.split_once('=') {
        return add(data, key, bytes(path)?);
    }
    let path = Path::new(text);
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !path.is_dir() {
        return add(data, &name(path), bytes(text)?);
    }
    let entries = fs::read_dir(path).map_err(|source| Error::File { path: text.to_owned(), source })?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files.iter().try_for_each(|file| add(data, &name(file), bytes(&file.display().to_string())?))
}

/// Flags of `create configmap`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConfigMap {
    /// The configmap's name
    name: String,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    pub(crate) output: Output,
}

impl ConfigMap {
    /// The object. What is no text is kept as bytes.
    pub(crate) fn object(&self) -> Result<Value, Error> {
        let mut object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "creationTimestamp": null, "name": self.name },
        });
        for (key, value) in self.sources.read()? {
            match String::from_utf8(value) {
                Ok(text) => object["data"][key] = json!(text),
                Err(error) => object["binaryData"][key] = json!(STANDARD.encode(error.as_bytes())),
            }
        }
        Ok(object)
    }
}

/// Subcommands of `create secret`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Secret {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Clone, Debug, Subcommand)]
enum Kind {
    /// Create a secret from a local file, directory, or literal value
    Generic(Generic),
    /// Create a TLS secret
    Tls(Tls),
    /// Create a secret for use with a Docker registry
    DockerRegistry(Registry),
}

#[derive(Args, Clone, Debug)]
struct Generic {
    /// The secret's name
    name: String,
    #[command(flatten)]
    sources: Sources,
    /// The type of secret
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Args, Clone, Debug)]
struct Tls {
    /// The secret's name
    name: String,
    /// A PEM file with the certificate
    #[arg(long, value_name = "FILE")]
    cert: String,
    /// A PEM file with its key
    #[arg(long, value_name = "FILE")]
    key: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Args, Clone, Debug)]
struct Registry {
    /// The secret's name
    name: String,
    /// The registry
    #[arg(long, default_value = "https://index.docker.io/v1/", value_name = "SERVER")]
    docker_server: String,
    /// The user
    #[arg(long, value_name = "NAME")]
    docker_username: String,
    /// The password
    #[arg(long, value_name = "PASSWORD")]
    docker_password: String,
    /// The user's mail address
    #[arg(long, value_name = "ADDRESS")]
    docker_email: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl Secret {
    /// How it is printed.
    pub(crate) fn output(&self) -> &Output {
        match &self.kind {
            Kind::Generic(one) => &one.output,
            Kind::Tls(one) => &one.output,
            Kind::DockerRegistry(one) => &one.output,
        }
    }

    /// The object.
    pub(crate) fn object(&self) -> Result<Value, Error> {
        match &self.kind {
            Kind::Generic(one) => Ok(secret(&one.name, one.kind.as_deref(), one.sources.read()?)),
            Kind::Tls(one) => {
                let data = vec![("tls.crt".to_owned(), bytes(&one.cert)?), ("tls.key".to_owned(), bytes(&one.key)?)];
                Ok(secret(&one.name, Some("kubernetes.io/tls"), data))
            }
            Kind::DockerRegistry(one) => {
                let data = vec![(".dockerconfigjson".to_owned(), one.config()?)];
                Ok(secret(&one.name, Some("kubernetes.io/dockerconfigjson"), data))
            }
        }
    }
}

/// How a registry is signed in to; the fields in the order that Docker writes.
#[derive(serde::Serialize)]
struct Entry<'a> {
    username: &'a str,
    password: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    auth: String,
}

impl Registry {
    fn config(&self) -> Result<Vec<u8>, Error> {
        let auth = STANDARD.encode(format!("{}:{}", self.docker_username, self.docker_password));
        let (username, password) = (self.docker_username.as_str(), self.docker_password.as_str());
        let entry = Entry { username, password, email: self.docker_email.as_deref(), auth };
        let servers = std::collections::BTreeMap::from([(self.docker_server.as_str(), entry)]);
        serde_json::to_vec(&std::collections::BTreeMap::from([("auths", servers)]))
            .map_err(|error| Error::Failed(error.to_string()))
    }
}

fn secret(name: &str, kind: Option<&str>, data: Data) -> Value {
    let metadata = json!({ "creationTimestamp": null, "name": name });
    let mut object = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata });
    let data: Map<String, Value> = data.into_iter().map(|(key, value)| (key, json!(STANDARD.encode(value)))).collect();
    if !data.is_empty() {
        object["data"] = Value::Object(data);
    }
    if let Some(kind) = kind {
        object["type"] = json!(kind);
    }
    object
}
