//! Names that are not ours: asked of the upstream servers, through a cache.
//!
//! A question that an upstream sends back to us would go round for ever. So the first forwarded question
//! is accompanied by a probe with a name nobody can know; if it comes back to us, forwarding ends until
//! the configuration changes.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use hickory_proto::{
    op::ResponseCode,
    rr::{Name, Record, RecordType},
};
use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
};
use tokio::sync::Semaphore;

use crate::{Upstreams, answer::Answer};

/// One server's time to answer, and that of all of them together.
const TRY: Duration = Duration::from_secs(2);
const ALL: Duration = Duration::from_secs(5);
/// Questions under way; more are refused at once rather than piled up.
const AT_ONCE: usize = 1000;
/// How old our knowledge of the `resolv.conf` may be.
const FRESH: Duration = Duration::from_secs(5);
/// Upper bounds of what the cache keeps.
const LONGEST: Duration = Duration::from_secs(3600);
const LONGEST_NEGATIVE: Duration = Duration::from_secs(30);

/// The way to other servers.
pub(crate) struct Upstream {
    choice: Upstreams,
    own: Vec<SocketAddr>,
    servers: ArcSwap<Servers>,
    checked: Mutex<Instant>,
    permits: Semaphore,
}

struct Servers {
    resolver: Option<TokioResolver>,
    search: Vec<Name>,
    stamp: Option<(SystemTime, u64)>,
    probe: Name,
    probed: AtomicBool,
    looped: AtomicBool,
}

impl Upstream {
    /// `own` are the addresses that we listen on.
    pub(crate) fn new(choice: Upstreams, own: Vec<SocketAddr>) -> Self {
        let servers = ArcSwap::from_pointee(Servers::load(&choice, &own));
        Self { choice, own, servers, checked: Mutex::new(Instant::now()), permits: Semaphore::new(AT_ONCE) }
    }

    /// The search domains of the host.
    pub(crate) fn search(&self) -> Vec<Name> {
        self.current().search.clone()
    }

    /// Whether the name is our own probe that came back. If so, nothing is forwarded any more.
    pub(crate) fn recognises(&self, lower: &Name) -> bool {
        let servers = self.servers.load();
        if *lower != servers.probe {
            return false;
        }
        if !servers.looped.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "the upstream DNS servers send our questions back to us: other names than the cluster's get \
                 SERVFAIL; name other upstream servers"
            );
        }
        true
    }

    /// Asks for `name`. The code is SERVFAIL where nobody answers.
    pub(crate) async fn ask(&self, name: &Name, kind: RecordType) -> Answer {
        let servers = self.current();
        let looped = servers.looped.load(Ordering::Relaxed);
        let (Some(resolver), false, Ok(_permit)) = (&servers.resolver, looped, self.permits.try_acquire()) else {
            return failed();
        };
        if !servers.probed.swap(true, Ordering::Relaxed) {
            let (resolver, probe) = (resolver.clone(), servers.probe.clone());
            tokio::spawn(async move { resolver.lookup(probe, RecordType::HINFO).await.is_ok() });
        }
        match tokio::time::timeout(ALL, resolver.lookup(name.clone(), kind)).await {
            Ok(Ok(lookup)) => Answer { answers: lookup.answers().to_vec(), ..Answer::default() },
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => {
                let soa = none.soa.map(|soa| Record::clone(&soa.into_record_of_rdata()));
                Answer { code: none.response_code, authorities: soa.into_iter().collect(), ..Answer::default() }
            }
            Ok(Err(error)) => {
                tracing::debug!(%name, %kind, %error, "no upstream DNS server answered");
                failed()
            }
            Err(_) => failed(),
        }
    }

    fn current(&self) -> Arc<Servers> {
        if let Upstreams::File(path) = &self.choice {
            let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
            if checked.elapsed() > FRESH {
                *checked = Instant::now();
                if stamp(path) != self.servers.load().stamp {
                    self.servers.store(Arc::new(Servers::load(&self.choice, &self.own)));
                }
            }
        }
        self.servers.load_full()
    }
}

fn failed() -> Answer {
    Answer { code: ResponseCode::ServFail, ..Answer::default() }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Servers {
    fn load(choice: &Upstreams, own: &[SocketAddr]) -> Self {
        let (servers, search, stamp) = match choice {
            Upstreams::Servers(servers) => (servers.clone(), Vec::new(), None),
            Upstreams::File(path) => from_file(path),
        };
        let (ours, others): (Vec<_>, Vec<_>) = servers.into_iter().partition(|server| own.contains(server));
        for server in ours {
            tracing::warn!(%server, "this upstream DNS server is ourselves and is not asked");
        }
        let resolver = if others.is_empty() { None } else { resolver(&others) };
        let probe = probe();
        Self { resolver, search, stamp, probe, probed: AtomicBool::new(false), looped: AtomicBool::new(false) }
    }
}

type FromFile = (Vec<SocketAddr>, Vec<Name>, Option<(SystemTime, u64)>);

fn from_file(path: &PathBuf) -> FromFile {
    let stamp = stamp(path);
    let read = std::fs::read(path).map_err(|error| error.to_string());
    let parsed =
        read.and_then(|text| hickory_resolver::system_conf::parse_resolv_conf(text).map_err(|error| error.to_string()));
    match parsed {
        Ok((config, _)) => {
            let servers = config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect();
            let absolute = |name: &Name| {
                let mut name = name.to_lowercase();
                name.set_fqdn(true);
                name
            };
            (servers, config.search().iter().filter(|name| !name.is_root()).map(absolute).collect(), stamp)
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), error, "no upstream DNS servers: other names get SERVFAIL");
            (Vec::new(), Vec::new(), stamp)
        }
    }
}

fn resolver(servers: &[SocketAddr]) -> Option<TokioResolver> {
    let servers = servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        NameServerConfig::new(server.ip(), true, connections.into())
    });
    let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
    let mut options = ResolverOpts::default();
    options.ndots = 0;
    options.timeout = TRY;
    options.attempts = 1;
    options.use_hosts_file = ResolveHosts::Never;
    options.positive_max_ttl = Some(LONGEST);
    options.negative_max_ttl = Some(LONGEST_NEGATIVE);
    options.try_tcp_on_error = true;
    options.max_active_requests = AT_ONCE;
    let built = Resolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options).build();
    built.inspect_err(|error| tracing::error!(%error, "cannot ask upstream DNS servers")).ok()
}

/// A name that nobody else knows.
fn probe() -> Name {
    let random = RandomState::new().hash_one(SystemTime::now());
    let mut name = Name::from_labels([format!("{random:016x}").as_bytes(), b"skiff-loop-probe"]).unwrap_or_default();
    name.set_fqdn(true);
    name
}
