//! One node with everything, in namespaces of its own; and proof that nothing is left of it.

use std::{fs, net::IpAddr, path::Path, sync::Arc, time::Duration};

use futures::{AsyncBufReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Event, Pod};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use serde_json::{Value, json};
use skiff_client::{Delta, Informer};
use skiff_image::{Images, ImportOptions};
use skiff_kubelet::{Config, Kubelet};
use skiff_network::Network;
use skiff_runtime::Runtime;
use skiff_testkit::Cluster;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::image;

pub(crate) const NODE: &str = "node-a";
/// The image that pods of these tests run: a shell with `sleep 1000` as its default.
pub(crate) const IMAGE: &str = "box";
/// The longest that one state of a pod is waited for.
const PATIENCE: Duration = Duration::from_secs(40);

/// Whether this machine can run the tests.
pub(crate) fn able() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("they need root".into());
    }
    fs::metadata("/bin/busybox").map(drop).map_err(|error| format!("/bin/busybox: {error}; install busybox-static"))
}

/// Leaves the machine's network and mounts. Must be called while there is only one thread.
pub(crate) fn isolate() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
}

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) pods: Informer<Pod>,
    dir: tempfile::TempDir,
    runtime: Runtime,
    images: Images,
    network: Network,
    kubelet: Mutex<Option<(Kubelet, CancellationToken)>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::start().await.unwrap();
        let config = skiff_image::Config::default();
        let images = Images::open(dir.path().join("images"), config).await.unwrap();
        images.import(image::archive(dir.path(), IMAGE), ImportOptions::default()).await.unwrap();
        let runtime = Runtime::new(skiff_runtime::Config {
            run_dir: dir.path().join("run"),
            cgroup_parent: format!("skiff-kubelet-test-{}", std::process::id()),
            supervisor: vec![std::env::current_exe().unwrap().into(), "supervisor".into()],
        })
        .unwrap();
        let mut settings = skiff_network::Config::new(dir.path().join("run"));
        settings.node_ip = None;
        let network = Network::setup(settings).unwrap();
        let pods = cluster.informers().of::<Pod>();
        let world = Self { cluster, pods, dir, runtime, images, network, kubelet: Mutex::default() };
        world.start().await;
        world
    }

    /// Starts the node agent.
    pub(crate) async fn start(&self) {
        let mut config = Config::new(NODE, IpAddr::from(self.network.node_ip()));
        config.data_dir = self.dir.path().join("data");
        config.run_dir = self.dir.path().join("run");
        let stop = CancellationToken::new();
        let informers = skiff_client::Informers::new(self.cluster.client(), stop.clone());
        let (runtime, images, network) = (self.runtime.clone(), self.images.clone(), self.network.clone());
        let kubelet = Kubelet::start(&informers, config, runtime, images, network, stop.clone()).unwrap();
        kubelet.ready().await;
        self.cluster.nodes().register(NODE, kubelet.router());
        *self.kubelet.lock().await = Some((kubelet, stop));
    }

    /// Stops the node agent; the pods go on.
    pub(crate) async fn stop(&self) {
        if let Some((kubelet, stop)) = self.kubelet.lock().await.take() {
            stop.cancel();
            kubelet.stopped().await;
        }
    }

    pub(crate) fn api(&self) -> Api<Pod> {
        Api::namespaced(self.cluster.client(), "default")
    }

    /// Creates a pod of that spec on the node. `image` is filled in where it is missing.
    pub(crate) async fn create(&self, name: &str, mut spec: Value) -> Pod {
        spec["nodeName"] = json!(NODE);
        if spec.get("automountServiceAccountToken").is_none() {
            spec["automountServiceAccountToken"] = json!(false);
        }
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                let missing = container.get("image").is_none();
                if missing {
                    container["image"] = json!(IMAGE);
                }
            }
        }
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap();
        self.api().create(&PostParams::default(), &pod).await.unwrap()
    }

    /// A pod whose only container, `main`, runs a shell script.
    pub(crate) async fn script(&self, name: &str, script: &str) -> Pod {
        self.create(
            name,
            json!({"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "args": [script]}]}),
        )
        .await
    }

    /// Waits until the pod is as `wanted` says, and returns it.
    pub(crate) async fn until(&self, name: &str, wanted: impl Fn(&Pod) -> bool) -> Arc<Pod> {
        let mut changes = self.pods.subscribe();
        let wait = async {
            while let Some(delta) = changes.recv().await {
                if let Delta::Applied { object, .. } = delta
                    && object.metadata.name.as_deref() == Some(name)
                    && wanted(&object)
                {
                    return object;
                }
            }
            panic!("the watch ended")
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(pod) => pod,
            Err(_) => {
                let pod = self.pods.get("default", name);
                let status = pod.as_ref().map(|pod| serde_json::to_string_pretty(&pod.status).unwrap());
                panic!("{name} is not as it should be: {}\n{:#?}", status.unwrap_or_default(), self.events(name).await)
            }
        }
    }

    pub(crate) async fn until_ready(&self, name: &str) -> Arc<Pod> {
        self.until(name, is_ready).await
    }

    /// Waits until the pod is gone from the API.
    pub(crate) async fn until_gone(&self, name: &str) {
        let mut changes = self.pods.subscribe();
        let wait = async {
            while self.pods.get("default", name).is_some() {
                changes.recv().await.unwrap();
            }
        };
        assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{name} is still there");
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.api().delete(name, &DeleteParams::default()).await.unwrap();
        self.until_gone(name).await;
    }

    /// The pod's events, as `reason: message`.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let api: Api<Event> = Api::namespaced(self.cluster.client(), "default");
        let list = api.list(&ListParams::default().fields(&format!("involvedObject.name={name}"))).await.unwrap();
        let text =
            |event: Event| format!("{}: {}", event.reason.unwrap_or_default(), event.message.unwrap_or_default());
        list.items.into_iter().map(text).collect()
    }

    /// Waits for an event that begins like this. Events are written in the background.
    pub(crate) async fn until_event(&self, name: &str, start: &str) {
        let events = self.cluster.informers().of::<Event>();
        let mut changes = events.subscribe();
        let wait = async {
            while let Some(delta) = changes.recv().await {
                if let Delta::Applied { object, .. } = delta
                    && object.involved_object.name.as_deref() == Some(name)
                {
                    let (reason, message) = (object.reason.as_deref(), object.message.as_deref());
                    let text = format!("{}: {}", reason.unwrap_or_default(), message.unwrap_or_default());
                    if text.starts_with(start) {
                        return;
                    }
                }
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("no event {start:?}: {:#?}", self.events(name).await);
        }
    }

    /// What the container printed, through the API server.
    pub(crate) async fn logs(&self, name: &str) -> String {
        self.api().logs(name, &kube::api::LogParams::default()).await.unwrap()
    }

    /// What the container printed once `wanted` is in it.
    pub(crate) async fn until_log(&self, name: &str, wanted: &str) -> String {
        let params = kube::api::LogParams { follow: true, ..kube::api::LogParams::default() };
        let mut lines = self.api().log_stream(name, &params).await.unwrap().lines();
        let mut log = String::new();
        let read = async {
            while !log.contains(wanted) {
                log.push_str(&lines.next().await.unwrap().unwrap());
                log.push('\n');
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, read).await.is_ok();
        assert!(in_time, "{name} does not say {wanted:?}: {log}");
        log
    }

    /// Removes all pods and the node, and proves that nothing is left.
    pub(crate) async fn finish(&self) {
        for pod in self.pods.list() {
            let name = pod.metadata.name.clone().unwrap();
            // A test that failed may have left it in any state.
            let _ = self.api().delete(&name, &DeleteParams::default().grace_period(0)).await;
        }
        for pod in self.pods.list() {
            self.until_gone(pod.metadata.name.as_deref().unwrap()).await;
        }
        // The node agent takes away what the deleted pods left; a second start takes away the rest.
        self.stop().await;
        self.start().await;
        self.stop().await;
        let entries = |path: &Path| fs::read_dir(path).map(|dir| dir.flatten().map(|e| e.path()).collect::<Vec<_>>());
        for folder in ["data/pods", "run/pods", "run/volumes"] {
            assert_eq!(entries(&self.dir.path().join(folder)).unwrap_or_default(), Vec::<std::path::PathBuf>::new());
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.dir.path().to_str().unwrap()), "{mounts}");
        let links = fs::read_to_string("/proc/net/dev").unwrap();
        assert_eq!(links.lines().filter(|line| line.trim_start().starts_with("skiff")).count(), 1, "{links}");
        self.runtime.release().unwrap();
    }
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

pub(crate) fn container(pod: &Pod, at: usize) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.get(at)
}

pub(crate) fn state(pod: &Pod) -> Option<&ContainerState> {
    container(pod, 0)?.state.as_ref()
}

pub(crate) fn waiting(pod: &Pod) -> Option<(&str, &str)> {
    let waiting = state(pod)?.waiting.as_ref()?;
    Some((waiting.reason.as_deref()?, waiting.message.as_deref().unwrap_or_default()))
}

pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}
