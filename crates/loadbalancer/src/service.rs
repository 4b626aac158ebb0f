//! The loop that ties index, plan, listeners and status together.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use k8s_openapi::api::{
    core::v1::{Node, Service},
    discovery::v1::EndpointSlice,
};
use skiff_api::endpoints;
use skiff_client::{Delta, Informer, Informers, Recorder, Subscription, reconcile};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error, LOOPBACK, Listener, Mode, Pending, Report,
    apply::{self, Listeners},
    index::{Index, Place, ServiceKey, Wanted},
    plan::{Plan, Problem, Request, plan},
    relay::Shared,
    status::{self, Writer},
};

const BATCH: usize = 512;
const STATUS_WRITERS: usize = 2;
/// Pauses between tries to get a port that somebody else holds.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);
const ZONE: &str = "topology.kubernetes.io/zone";

struct Feeds {
    services: Subscription<Service>,
    slices: Subscription<EndpointSlice>,
    nodes: Subscription<Node>,
    waiting: usize,
}

/// The component's state.
pub(crate) struct Balancer {
    config: Config,
    feeds: Feeds,
    node: Informer<Node>,
    index: Index,
    wanted: BTreeMap<ServiceKey, Wanted>,
    places: BTreeMap<ServiceKey, Place>,
    told: BTreeMap<ServiceKey, String>,
    /// Services whose wishes or endpoints may have changed.
    dirty: BTreeSet<ServiceKey>,
    node_changed: bool,
    zone: Option<String>,
    loopback: Vec<IpAddr>,
    listeners: Listeners,
    writer: Writer,
    report: watch::Sender<Report>,
    retry: Option<(Instant, Duration)>,
}

impl Balancer {
    pub(crate) fn new(informers: &Informers, config: Config, report: watch::Sender<Report>) -> Result<Self, Error> {
        if let Some(address) = config.addresses.iter().find(|address| address.is_unspecified()) {
            return Err(Error::Unspecified(*address));
        }
        let services = informers.of::<Service>();
        let node = informers.selected::<Node>(&format!("metadata.name={}", config.node));
        let feeds = Feeds {
            services: services.subscribe(),
            slices: informers.of::<EndpointSlice>().subscribe(),
            nodes: node.subscribe(),
            waiting: 3,
        };
        let recorder = Recorder::new(informers.client().clone(), "loadbalancer", &config.node);
        Ok(Self {
            feeds,
            node,
            index: Index::default(),
            wanted: BTreeMap::new(),
            places: BTreeMap::new(),
            told: BTreeMap::new(),
            dirty: BTreeSet::new(),
            node_changed: false,
            zone: None,
            loopback: LOOPBACK.into_iter().filter(|address| apply::exists(*address)).collect(),
            listeners: Listeners::new(Shared::new(config.connections)),
            writer: Writer::new(informers.client().clone(), services, recorder),
            report,
            retry: None,
            config,
        })
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let writer = self.writer.clone();
        let work = move |key| {
            let writer = writer.clone();
            async move { writer.write(key).await }
        };
        let writing = reconcile("loadbalancer", self.writer.queue.clone(), STATUS_WRITERS, stop.clone(), work);
        let following = async { while stop.run_until_cancelled(self.step()).await == Some(true) {} };
        tokio::join!(writing, following);
        self.listeners.close().await;
    }

    /// Waits for a cause and acts on it; `false` when no more can come.
    async fn step(&mut self) -> bool {
        let retry = self.retry.map(|(at, _)| at);
        let retried = tokio::select! {
            more = self.receive() => {
                if !more {
                    return false;
                }
                false
            }
            () = async { sleep_until(retry.unwrap_or_else(Instant::now)).await }, if retry.is_some() => true,
        };
        if self.feeds.waiting == 0 {
            self.act(retried).await;
        }
        true
    }

    async fn receive(&mut self) -> bool {
        let (mut services, mut slices, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
        let some = tokio::select! {
            some = self.feeds.services.recv_many(&mut services, BATCH) => some,
            some = self.feeds.slices.recv_many(&mut slices, BATCH) => some,
            some = self.feeds.nodes.recv_many(&mut nodes, BATCH) => some,
        };
        for delta in services {
            let key = match delta {
                Delta::Applied { object, .. } => self.index.apply_service(object),
                Delta::Deleted(object) => self.index.remove_service(&object),
                Delta::Synced => self.synced(),
            };
            self.dirty.extend(key);
        }
        for delta in slices {
            let key = match delta {
                Delta::Applied { object, previous } => {
                    let before = previous.and_then(|previous| self.index.remove_slice(&previous));
                    self.dirty.extend(before);
                    self.index.apply_slice(object)
                }
                Delta::Deleted(object) => self.index.remove_slice(&object),
                Delta::Synced => self.synced(),
            };
            self.dirty.extend(key);
        }
        for delta in nodes {
            match delta {
                Delta::Synced => drop(self.synced()),
                Delta::Applied { .. } | Delta::Deleted(_) => self.node_changed = true,
            }
        }
        some > 0
    }

    fn synced(&mut self) -> Option<ServiceKey> {
        self.feeds.waiting = self.feeds.waiting.saturating_sub(1);
        None
    }

    async fn act(&mut self, retried: bool) {
        let mut replan = retried;
        if std::mem::take(&mut self.node_changed) {
            replan |= self.config.mode == Mode::Node;
            let zone = self.zone();
            if std::mem::replace(&mut self.zone, zone.clone()) != zone {
                self.dirty.extend(self.wanted.keys().cloned());
            }
        }
        let dirty = std::mem::take(&mut self.dirty);
        for key in &dirty {
            replan |= self.refresh(key);
        }
        if replan {
            self.replan(retried).await;
        }
        for key in &dirty {
            self.settle(key);
        }
    }

    /// Takes in what a service wants now and where its connections go; says whether listeners may change.
    fn refresh(&mut self, key: &ServiceKey) -> bool {
        let wanted = self.index.wanted(key, self.config.mode != Mode::None);
        let same = match (&wanted, self.wanted.get(key)) {
            (Some(new), Some(old)) => new.balanced == old.balanced && new.node_ports == old.node_ports,
            (None, None) => true,
            _ => false,
        };
        let Some(wanted) = wanted else {
            self.wanted.remove(key);
            self.listeners.forget(key);
            return !same;
        };
        self.wanted.insert(key.clone(), wanted);
        let place = endpoints::Place { node: &self.config.node, zone: self.zone.as_deref() };
        for (port, route) in self.index.routes(key, place) {
            self.listeners.route(key, port, route);
        }
        !same
    }

    async fn replan(&mut self, retried: bool) {
        let shared = self.shared();
        let own = self.config.mode == Mode::Localhost;
        let (wanted, places, node) = (&self.wanted, &self.places, &self.loopback);
        let made =
            self.listeners.follow(|taken| plan(Request { wanted, places, shared: &shared, node, own, taken })).await;
        self.retry = (!made.problems.is_empty()).then(|| {
            let pause = match self.retry {
                Some((_, pause)) if retried => (pause * 2).min(LAST_RETRY),
                Some((_, pause)) => pause,
                None => FIRST_RETRY,
            };
            (Instant::now() + pause, pause)
        });
        self.places.clone_from(&made.places);
        self.tell(&made);
        for key in self.wanted.keys() {
            self.want_status(key, &made, &shared);
        }
        let report = self.current_report(&made);
        self.report.send_if_modified(|held| {
            let new = *held != report;
            *held = report;
            new
        });
    }

    /// The addresses that services share.
    fn shared(&self) -> Vec<IpAddr> {
        if !self.config.addresses.is_empty() {
            return self.config.addresses.clone();
        }
        if self.config.mode != Mode::Node {
            return self.loopback.clone();
        }
        let node = self.node.get("", &self.config.node);
        let addresses = node.as_ref().and_then(|node| node.status.as_ref()?.addresses.as_deref()).unwrap_or_default();
        let internal = addresses.iter().filter(|address| address.type_ == "InternalIP");
        internal.filter_map(|address| address.address.parse().ok()).collect()
    }

    fn zone(&self) -> Option<String> {
        self.node.get("", &self.config.node)?.metadata.labels.as_ref()?.get(ZONE).cloned()
    }

    /// Events about problems that are new.
    fn tell(&mut self, made: &Plan) {
        self.told.retain(|key, _| made.problems.contains_key(key));
        for (key, problems) in &made.problems {
            let message = sentence(problems);
            if self.told.get(key) == Some(&message) {
                continue;
            }
            if let Some(service) = self.index.service(key) {
                tracing::warn!(service = %key, "{message}");
                self.writer.warn(service, "PortNotAvailable", message.clone());
            }
            self.told.insert(key.clone(), message);
        }
    }

    fn want_status(&self, key: &ServiceKey, made: &Plan, shared: &[IpAddr]) {
        let Some(wanted) = self.wanted.get(key).filter(|wanted| !wanted.balanced.is_empty()) else { return };
        let ingress = match (made.places.get(key), made.problems.get(key)) {
            (Some(place), _) => status::published(*place, shared, &wanted.balanced),
            (None, problems) => status::pending(&wanted.balanced, problems.map(Vec::as_slice).unwrap_or_default()),
        };
        self.writer.set(key, ingress);
    }

    /// After a Service has changed: its status is written again if somebody else changed it, and cleared
    /// if it is no longer published.
    fn settle(&self, key: &ServiceKey) {
        let Some(service) = self.index.service(key) else { return self.writer.forget(key) };
        if self.wanted.get(key).is_some_and(|wanted| !wanted.balanced.is_empty()) {
            self.writer.queue.add(key.clone());
        } else if status::is_of_our_making(status::current(service)) {
            self.writer.set(key, Vec::new());
        } else {
            self.writer.forget(key);
        }
    }

    fn current_report(&self, made: &Plan) -> Report {
        let listener = |(socket, purpose): (crate::plan::Socket, &crate::plan::Use)| Listener {
            protocol: socket.protocol,
            address: socket.address(),
            service: purpose.service.clone(),
            port: purpose.port.number,
            node_port: purpose.node_port,
        };
        let pending = made.problems.iter().flat_map(|(key, problems)| {
            problems.iter().map(|problem| Pending {
                service: key.clone(),
                protocol: problem.port.protocol,
                port: problem.port.number,
                node_port: problem.node_port,
                refusal: problem.refusal.clone(),
            })
        });
        Report { listeners: self.listeners.open().map(listener).collect(), pending: pending.collect() }
    }
}

fn sentence(problems: &[Problem]) -> String {
    let parts: Vec<String> = problems
        .iter()
        .map(|problem| {
            let kind = if problem.node_port { "node port" } else { "port" };
            let port = problem.port;
            format!("{kind} {}/{} {}", port.number, port.protocol, apply::described(&problem.refusal))
        })
        .collect();
    format!("{}; this is tried again until it is free", parts.join(", "))
}
