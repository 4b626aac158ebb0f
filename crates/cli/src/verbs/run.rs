//! `run`: a pod of one image.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::{
    error::Error,
    output::{How, Output},
    session::Session,
    verbs::interactive::Interactive,
};

/// Flags of `run`.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// The pod's name
    name: String,
    /// The image for the container to run
    #[arg(long)]
    image: String,
    /// Environment variables to set in the container
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// The port that this container exposes
    #[arg(long)]
    port: Option<u16>,
    /// Labels of the pod, instead of run=NAME
    #[arg(long, short, value_delimiter = ',', value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Annotations of the pod
    #[arg(long, value_name = "KEY=VALUE")]
    annotations: Vec<String>,
    /// The restart policy of the pod
    #[arg(long, value_enum, default_value_t = Restart::Always, ignore_case = true)]
    restart: Restart,
    /// When the image is pulled: Always, IfNotPresent or Never
    #[arg(long, value_name = "POLICY")]
    image_pull_policy: Option<String>,
    /// Run the container in privileged mode
    #[arg(long)]
    privileged: bool,
    /// Create a ClusterIP service for the pod; needs --port
    #[arg(long, requires = "port")]
    expose: bool,
    /// The words after `--` are the command and not the arguments
    #[arg(long)]
    command: bool,
    #[command(flatten)]
    interactive: Interactive,
    #[command(flatten)]
    output: Output,
    /// Arguments, or with --command the command
    #[arg(last = true)]
    words: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Restart {
    Always,
    OnFailure,
    Never,
}

impl Run {
    /// Creates the pod.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let how = How { manager: "run", done: "created", namespaced: true };
        let pod = self.pod()?;
        if self.expose {
            self.output.create(session, self.service(&pod), how).await?;
            if self.output.output.as_deref() == Some("yaml") {
                session.say("---")?;
            }
        }
        if self.interactive.is_wanted() && !self.output.is_client() {
            return self.interactive.run(session, &pod, self.restart == Restart::Never).await;
        }
        self.output.create(session, pod, how).await?;
        Ok(ExitCode::SUCCESS)
    }

    fn pod(&self) -> Result<Value, Error> {
        let mut container = json!({ "image": self.image, "name": self.name, "resources": {} });
        if !self.words.is_empty() {
            container[if self.command { "command" } else { "args" }] = json!(self.words);
        }
        if !self.env.is_empty() {
            let variables: Result<Vec<Value>, Error> = self.env.iter().map(|text| variable(text)).collect();
            container["env"] = json!(variables?);
        }
        if let Some(port) = self.port {
            container["ports"] = json!([{ "containerPort": port }]);
        }
        if self.interactive.stdin {
            container["stdin"] = json!(true);
            container["stdinOnce"] = json!(true);
        }
        if self.interactive.tty {
            container["tty"] = json!(true);
        }
        if let Some(policy) = &self.image_pull_policy {
            container["imagePullPolicy"] = json!(policy);
        }
        if self.privileged {
            container["securityContext"] = json!({ "privileged": true });
        }
        let labels = if self.labels.is_empty() { json!({ "run": self.name }) } else { pairs("label", &self.labels)? };
        let mut metadata = json!({ "creationTimestamp": null, "labels": labels, "name": self.name });
        if !self.annotations.is_empty() {
            metadata["annotations"] = pairs("annotation", &self.annotations)?;
        }
        let restart = self.restart.to_possible_value().map(|value| value.get_name().to_owned());
        let spec = json!({ "containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": restart });
        Ok(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {} }))
    }

    fn service(&self, pod: &Value) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "creationTimestamp": null, "name": self.name },
            "spec": {
                "ports": [{ "port": self.port, "protocol": "TCP", "targetPort": self.port }],
                "selector": pod["metadata"]["labels"],
            },
            "status": { "loadBalancer": {} },
        })
    }
}

fn variable(text: &str) -> Result<Value, Error> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(json!({ "name": name, "value": value })),
        _ => Err(Error::usage(format!("invalid env: {text}"))),
    }
}

/// `key=value` texts as a map.
pub(crate) fn pairs(what: &str, texts: &[String]) -> Result<Value, Error> {
    let mut map = Map::new();
    for text in texts {
        let (key, value) =
            text.split_once('=').ok_or_else(|| Error::usage(format!("unexpected {what} spec: {text}")))?;
        map.insert(key.to_owned(), json!(value));
    }
    Ok(Value::Object(map))
}
