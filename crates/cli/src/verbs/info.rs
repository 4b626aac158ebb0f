//! What the server is and serves: `api-resources`, `api-versions`, `version`, `cluster-info`.

use std::{collections::BTreeSet, process::ExitCode};

use clap::Args;
use serde_json::{Value, json};
use skiff_client::Target;

use crate::{
    error::Error,
    print::{Format, Table, print_object},
    session::{JSON, Session},
};

const OWN: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// Flags of `api-resources`.
#[derive(Args, Clone, Debug, Default)]
pub struct ApiResources {
    /// Only of this group
    #[arg(long, value_name = "GROUP")]
    api_group: Option<String>,
    /// Only namespaced ones, or only others
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    namespaced: Option<bool>,
    /// Only those with all these verbs
    #[arg(long, value_delimiter = ',')]
    verbs: Vec<String>,
    /// name or wide
    #[arg(long, short, value_parser = ["name", "wide"])]
    output: Option<String>,
    /// Print no column headers
    #[arg(long)]
    no_headers: bool,
}

impl ApiResources {
    /// Lists them.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let discovery = session.discovery().await?;
        let mut all: Vec<_> = discovery
            .all
            .iter()
            .filter(|one| self.api_group.as_ref().is_none_or(|group| *group == one.group))
            .filter(|one| self.namespaced.is_none_or(|namespaced| namespaced == one.namespaced))
            .filter(|one| self.verbs.iter().all(|verb| one.verbs.contains(verb)))
            .filter(|one| !one.verbs.is_empty())
            .collect();
        all.sort_by(|a, b| (&a.group, &a.plural).cmp(&(&b.group, &b.plural)));
        if self.output.as_deref() == Some("name") {
            session.write(&all.iter().map(|one| one.qualified() + "\n").collect::<String>())?;
            return Ok(ExitCode::SUCCESS);
        }
        let wide = self.output.is_some();
        let mut headers = vec!["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"];
        if wide {
            headers.extend(["VERBS", "CATEGORIES"]);
        }
        let rows = all.iter().map(|one| {
            let short = one.short_names.join(",");
            let mut row =
                vec![one.plural.clone(), short, one.api_version(), one.namespaced.to_string(), one.kind.clone()];
            if wide {
                row.extend([one.verbs.join(","), one.categories.join(",")]);
            }
            row
        });
        session.write(&Table::of(&headers, rows.collect()).render(!self.no_headers))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `api-versions` takes no flags.
#[derive(Args, Clone, Debug, Default)]
pub struct ApiVersions {}

impl ApiVersions {
    /// Lists groups with their versions.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let all: BTreeSet<String> =
            session.discovery().await?.all.iter().map(crate::discovery::ResourceType::api_version).collect();
        session.write(&all.into_iter().map(|one| one + "\n").collect::<String>())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Flags of `version`.
#[derive(Args, Clone, Debug, Default)]
pub struct Version {
    /// Do not ask the server
    #[arg(long)]
    client: bool,
    /// json or yaml
    #[arg(long, short, value_parser = ["json", "yaml"])]
    output: Option<String>,
}

impl Version {
    /// The client's own version, if no more is asked for.
    pub(crate) fn offline(&self) -> Option<Result<String, Error>> {
        let plain = self.client && self.output.is_none();
        plain.then(|| Ok(format!("Client Version: {OWN}\n")))
    }

    /// Prints them.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let mut shown = json!({ "clientVersion": { "gitVersion": OWN } });
        if !self.client {
            shown["serverVersion"] = session.get("/version", JSON).await?;
        }
        if self.output.is_some() {
            print_object(session, &shown, &Format::parse(self.output.as_deref())?)?;
            return Ok(ExitCode::SUCCESS);
        }
        session.say(&format!("Client Version: {OWN}"))?;
        if let Some(version) = shown["serverVersion"]["gitVersion"].as_str() {
            session.say(&format!("Server Version: {version}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// `cluster-info` takes no flags.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterInfo {}

impl ClusterInfo {
    /// Says where the cluster is.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        session.text("/readyz").await?;
        let place = match session.target() {
            Some(Target::Socket(path)) => format!("unix://{}", path.display()),
            Some(Target::Kubeconfig { path, context }) => {
                super::config::read(path)?.server(context.as_deref()).unwrap_or_default()
            }
            Some(Target::Inferred) | None => "https://127.0.0.1:6443".to_owned(),
        };
        session.say(&format!("Kubernetes control plane is running at {place}"))?;
        let dns = session.get("/api/v1/namespaces/kube-system/services/kube-dns", JSON).await.unwrap_or(Value::Null);
        if let Some(address) = dns["spec"]["clusterIP"].as_str() {
            session.say(&format!("kube-dns is running at {address}:53"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
