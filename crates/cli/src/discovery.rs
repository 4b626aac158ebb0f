//! What the server serves, and what users call it: plurals, singulars, kinds, short names, `type.group`.

use serde_json::Value;

use crate::{
    error::Error,
    session::{JSON, Session},
};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;q=0.9";

/// One resource type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourceType {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) verbs: Vec<String>,
    pub(crate) namespaced: bool,
}

impl ResourceType {
    /// `v1`, `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pods`, `deployments.apps`.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `pod/web`, `deployment.apps/web`.
    pub(crate) fn named(&self, name: &str) -> String {
        let singular = if self.singular.is_empty() { self.kind.to_lowercase() } else { self.singular.clone() };
        if self.group.is_empty() { format!("{singular}/{name}") } else { format!("{singular}.{}/{name}", self.group) }
    }

    /// The path of the collection; `None`: of all namespaces.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/{}/namespaces/{namespace}/{}", self.version, self.plural),
            None => format!("{root}/{}/{}", self.version, self.plural),
        }
    }

    /// The path of one object.
    pub(crate) fn object(&self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(Some(namespace)))
    }

    fn is_called(&self, name: &str) -> bool {
        self.plural == name
            || self.singular == name
            || self.kind.to_lowercase() == name
            || self.short_names.iter().any(|short| short == name)
    }
}

/// All resource types, in the server's order of preference.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    pub(crate) all: Vec<ResourceType>,
}

impl Discovery {
    /// Asks the server.
    pub(crate) async fn fetch(session: &Session) -> Result<Self, Error> {
        let core = session.get("/api", AGGREGATED).await?;
        if core["kind"] != "APIGroupDiscoveryList" {
            return Self::fetch_legacy(session).await;
        }
        let groups = session.get("/apis", AGGREGATED).await?;
        Ok(Self { all: aggregated(&core).chain(aggregated(&groups)).collect() })
    }

    async fn fetch_legacy(session: &Session) -> Result<Self, Error> {
        let mut all = legacy("v1", &session.get("/api/v1", JSON).await?);
        let groups = session.get("/apis", JSON).await?;
        for group in list(&groups["groups"]) {
            for version in list(&group["versions"]).filter_map(|version| version["groupVersion"].as_str()) {
                all.extend(legacy(version, &session.get(&format!("/apis/{version}"), JSON).await?));
            }
        }
        Ok(Self { all })
    }

    /// The type that a user calls `name`: `po`, `deployments.apps`, `deployments.v1.apps`.
    pub(crate) fn find(&self, name: &str) -> Result<&ResourceType, Error> {
        let lower = name.to_lowercase();
        let (plain, suffix) = lower.split_once('.').map_or((lower.as_str(), None), |(plain, rest)| (plain, Some(rest)));
        let fits = |one: &&ResourceType| {
            let place =
                suffix.is_none_or(|suffix| suffix == one.group || suffix == format!("{}.{}", one.version, one.group));
            place && one.is_called(plain)
        };
        self.all.iter().find(fits).ok_or_else(|| Error::NoSuchResource(name.to_owned()))
    }

    /// The type of an object by its `apiVersion` and `kind`.
    pub(crate) fn of(&self, api_version: &str, kind: &str) -> Option<&ResourceType> {
        self.all.iter().find(|one| one.kind == kind && one.api_version() == api_version)
    }

    /// The types of a category, such as `all`.
    pub(crate) fn category(&self, name: &str) -> Vec<&ResourceType> {
        self.all.iter().filter(|one| one.categories.iter().any(|category| category == name)).collect()
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    list(value).map(text).collect()
}

fn aggregated(document: &Value) -> impl Iterator<Item = ResourceType> {
    list(&document["items"]).flat_map(|group| {
        let name = text(&group["metadata"]["name"]);
        list(&group["versions"]).flat_map(move |version| {
            let (group, served) = (name.clone(), text(&version["version"]));
            list(&version["resources"]).map(move |one| ResourceType {
                group: group.clone(),
                version: served.clone(),
                kind: text(&one["responseKind"]["kind"]),
                plural: text(&one["resource"]),
                singular: text(&one["singularResource"]),
                short_names: texts(&one["shortNames"]),
                categories: texts(&one["categories"]),
                verbs: texts(&one["verbs"]),
                namespaced: one["scope"] == "Namespaced",
            })
        })
    })
}

fn legacy(group_version: &str, document: &Value) -> Vec<ResourceType> {
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    let whole = list(&document["resources"]).filter(|one| one["name"].as_str().is_some_and(|name| !name.contains('/')));
    let read = |one: &Value| ResourceType {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: text(&one["kind"]),
        plural: text(&one["name"]),
        singular: text(&one["singularName"]),
        short_names: texts(&one["shortNames"]),
        categories: texts(&one["categories"]),
        verbs: texts(&one["verbs"]),
        namespaced: one["namespaced"] == true,
    };
    whole.map(read).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample() -> Discovery {
        let one = |group: &str, kind: &str, plural: &str, short: &str| ResourceType {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            singular: kind.to_lowercase(),
            short_names: vec![short.to_owned()],
            namespaced: kind != "Namespace",
            ..ResourceType::default()
        };
        let all = vec![
            one("", "Pod", "pods", "po"),
            one("", "Service", "services", "svc"),
            one("", "Namespace", "namespaces", "ns"),
            one("apps", "Deployment", "deployments", "deploy"),
        ];
        Discovery { all }
    }

    #[test]
    fn users_words_find_types() {
        let known = sample();
        for name in ["deployments", "deployment", "Deployment", "deploy", "deployments.apps", "deployment.v1.apps"] {
            assert_eq!(known.find(name).unwrap().kind, "Deployment", "{name}");
        }
        let error = known.find("foo").unwrap_err().to_string();
        assert_eq!(error, "error: the server doesn't have a resource type \"foo\"");
        assert_eq!(known.find("deploy").unwrap().named("web"), "deployment.apps/web");
        assert_eq!(known.find("ns").unwrap().object("x", "red"), "/api/v1/namespaces/red");
        assert_eq!(known.find("po").unwrap().object("x", "p"), "/api/v1/namespaces/x/pods/p");
    }
}
