//! `create deployment`: a Deployment of one or more images.

use std::hash::{BuildHasher as _, Hasher as _};

use clap::Args;
use serde_json::{Value, json};

use crate::{error::Error, output::Output};

/// Flags of `create deployment`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Deployment {
    /// The deployment's name
    name: String,
    /// Image names to run; a deployment can have several images, each in a container of its own
    #[arg(long, required = true, value_delimiter = ',')]
    image: Vec<String>,
    /// Number of replicas to create
    #[arg(long, short, default_value_t = 1, value_name = "COUNT")]
    replicas: u32,
    /// The port that the first container exposes
    #[arg(long)]
    port: Option<u16>,
    #[command(flatten)]
    pub(crate) output: Output,
    /// The command that the container runs instead of its image's
    #[arg(last = true)]
    command: Vec<String>,
}

impl Deployment {
    /// The object.
    pub(crate) fn object(&self) -> Result<Value, Error> {
        if self.image.len() > 1 && !self.command.is_empty() {
            return Err(Error::usage("cannot specify multiple --image options and command"));
        }
        let mut containers: Vec<Value> = self.image.iter().map(|image| self.container(image)).collect();
        if let (Some(port), Some(first)) = (self.port, containers.first_mut()) {
            first["ports"] = json!([{ "containerPort": port }]);
        }
        let labels = json!({ "app": self.name });
        Ok(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "creationTimestamp": null, "labels": labels, "name": self.name },
            "spec": {
                "replicas": self.replicas,
                "selector": { "matchLabels": labels },
                "strategy": {},
                "template": {
                    "metadata": { "creationTimestamp": null, "labels": labels },
                    "spec": { "containers": containers },
                },
            },
            "status": {},
        }))
    }

    fn container(&self, image: &str) -> Value {
        let mut container = json!({ "image": image, "name": container_name(image), "resources": {} });
        if !self.command.is_empty() {
            container["command"] = json!(self.command);
        }
        container
    }
}

/// The last part of an image's name without tag and digest. What no container name may hold becomes
/// `-`, and a random end keeps such names apart.
fn container_name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let plain = last.split([':', '@']).next().unwrap_or(last);
    if !plain.contains(['_', '.']) {
        return plain.to_owned();
    }
    format!("{}-{}", plain.replace(['_', '.'], "-"), random(5))
}

fn random(length: usize) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    // Each RandomState has keys of its own.
    let mut number = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let letter = |_| {
        let at = usize::try_from(number % 27).unwrap_or_default();
        number /= 27;
        char::from(LETTERS.get(at).copied().unwrap_or(b'x'))
    };
    (0..length).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_named_after_images() {
        assert_eq!(container_name("httpenv"), "httpenv");
        assert_eq!(container_name("localhost:5000/a/web:v1"), "web");
        assert_eq!(container_name("web@sha256:00"), "web");
        let odd = container_name("a/b_c.d:1");
        assert!(odd.starts_with("b-c-d-") && odd.len() == 11, "{odd}");
    }

    #[test]
    fn several_images_and_a_command_do_not_go_together() {
        let both = Deployment {
            name: "a".to_owned(),
            image: vec!["x".to_owned(), "y".to_owned()],
            command: vec!["c".to_owned()],
            ..Deployment::default()
        };
        assert!(both.object().is_err());
        let ported = Deployment { image: vec!["x".to_owned()], port: Some(80), ..both };
        let object = ported.object().unwrap();
        let container = &object["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["ports"][0]["containerPort"], 80);
        assert_eq!(container["command"][0], "c");
    }
}
