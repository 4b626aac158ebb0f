//! The kinds whose objects controllers of every kind care for: the built-in ones, and those that
//! CustomResourceDefinitions make. One watch of the definitions serves all controllers; of each it
//! keeps no more than what the kind is called.

use std::{collections::BTreeMap, sync::Arc};

use futures::StreamExt as _;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    core::{DynamicResourceScope, GroupVersionKind},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;
use skiff_api::resource::{self, Resource};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A kind that is watched without knowing it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) api: ApiResource,
    pub(crate) namespaced: bool,
}

impl Target {
    fn new(group: &str, version: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        let kind = GroupVersionKind::gvk(group, version, kind);
        Self { api: ApiResource::from_gvk_with_plural(&kind, plural), namespaced }
    }

    pub(crate) fn builtin(of: &Resource) -> Self {
        Self::new(of.group, of.version, of.kind, of.plural, of.is_namespaced())
    }

    /// What a definition makes, once it is established.
    fn of_definition(data: &Value) -> Option<Self> {
        let spec = &data["spec"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let conditions = data["status"]["conditions"].as_array()?;
        conditions.iter().find(|one| one["type"] == "Established" && one["status"] == "True")?;
        let served: Vec<&Value> = spec["versions"].as_array()?.iter().filter(|one| one["served"] == true).collect();
        let version = served.iter().find(|one| one["storage"] == true).or(served.first())?;
        let names = &spec["names"];
        let namespaced = spec["scope"] == "Namespaced";
        let (group, version) = (text(&spec["group"])?, text(&version["name"])?);
        Some(Self::new(&group, &version, &text(&names["kind"])?, &text(&names["plural"])?, namespaced))
    }

    /// Whether it is this kind.
    pub(crate) fn is_of(&self, group: &str, plural: &str) -> bool {
        self.api.group == group && self.api.plural == plural
    }

    /// The objects of one namespace, or of all.
    pub(crate) fn objects<K>(&self, client: Client, namespace: &str) -> Api<K>
    where
        K: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        match self.namespaced && !namespace.is_empty() {
            true => Api::namespaced_with(client, namespace, &self.api),
            false => Api::all_with(client, &self.api),
        }
    }
}

/// The built-in kinds that have these verbs and are stored as themselves.
pub(crate) fn builtin(verbs: &'static [&'static str]) -> impl Iterator<Item = Arc<Target>> {
    let has = move |one: &&&'static Resource| verbs.iter().all(|verb| one.verbs.contains(verb)) && !one.is_view();
    resource::all().iter().filter(has).map(|one| Arc::new(Target::builtin(one)))
}

/// The kinds of CustomResourceDefinitions, by the definition's name.
pub(crate) type Customs = BTreeMap<String, Arc<Target>>;

/// The custom kinds as they are; nothing is there before the first list is complete.
#[derive(Clone)]
pub(crate) struct CustomKinds {
    seen: watch::Receiver<Option<Arc<Customs>>>,
}

impl CustomKinds {
    /// Follows the definitions until `stop`.
    pub(crate) fn follow(client: Client, stop: CancellationToken) -> Self {
        let (publish, seen) = watch::channel(None);
        tokio::spawn(stop.run_until_cancelled_owned(follow(client, publish)));
        Self { seen }
    }

    /// The custom kinds of this moment.
    pub(crate) async fn now(&mut self) -> Arc<Customs> {
        match self.seen.wait_for(Option::is_some).await {
            Ok(seen) => seen.clone().unwrap_or_default(),
            Err(_) => Arc::default(),
        }
    }

    /// Waits until they are others; false when there will be no more changes.
    pub(crate) async fn changed(&mut self) -> bool {
        self.seen.changed().await.is_ok()
    }
}

async fn follow(client: Client, publish: watch::Sender<Option<Arc<Customs>>>) {
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let described = ApiResource::from_gvk_with_plural(&kind, "customresourcedefinitions");
    let api: Api<DynamicObject> = Api::all_with(client, &described);
    let mut events = watcher(api, watcher::Config::default().any_semantic()).default_backoff().boxed();
    let (mut known, mut listed) = (Customs::new(), Customs::new());
    let note = |into: &mut Customs, definition: &DynamicObject| {
        let Some(name) = definition.metadata.name.clone() else { return };
        match Target::of_definition(&definition.data) {
            Some(target) if into.get(&name).is_some_and(|held| **held == target) => {}
            Some(target) => drop(into.insert(name, Arc::new(target))),
            None => drop(into.remove(&name)),
        }
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => {
                listed = Customs::new();
                continue;
            }
            Ok(watcher::Event::InitApply(definition)) => {
                note(&mut listed, &definition);
                continue;
            }
            Ok(watcher::Event::InitDone) => known = std::mem::take(&mut listed),
            Ok(watcher::Event::Apply(definition)) => note(&mut known, &definition),
            Ok(watcher::Event::Delete(definition)) => {
                definition.metadata.name.map(|name| known.remove(&name));
            }
            Err(error) => {
                tracing::warn!(%error, "the watch of CustomResourceDefinitions broke and will be made again");
                continue;
            }
        }
        publish.send_if_modified(|seen| {
            let differs = seen.as_deref() != Some(&known);
            if differs {
                *seen = Some(Arc::new(known.clone()));
            }
            differs
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_counts_once_it_is_established() {
        let mut definition = json!({"spec": {"group": "example.com", "scope": "Cluster",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": false, "storage": true}, {"name": "v2", "served": true}]},
            "status": {"conditions": []}});
        assert_eq!(Target::of_definition(&definition), None);
        definition["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
        let expected = Target::new("example.com", "v2", "Widget", "widgets", false);
        assert_eq!(Target::of_definition(&definition), Some(expected));
    }
}
