//! `skiff server`: the whole cluster in one process.
//!
//! # Flow
//! Claim the folders and open the store; set up the node's network at the same time; make the
//! certificates; serve the API; start every component over the in-process client; say that it is ready
//! when the node is. On a signal everything ends in the reverse order; pods go on.

mod banner;
mod components;
mod folders;
mod local;

use std::{
    ffi::OsString,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use skiff_apiserver::{ApiServer, ComponentRegistry, Config as ApiConfig, Dns, NodeRegistry, PortRange, User, pki};
use skiff_client::Informers;
use skiff_network::Network;
use skiff_store::Store;
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{SignalKind, signal},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing_subscriber::EnvFilter;

use crate::args::{LogFormat, Places, ServerArgs};
use banner::Banner;

/// How long after the node is ready the start counts as over.
const SETTLED: Duration = Duration::from_secs(1);

/// What the parts of the server share.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) args: Arc<ServerArgs>,
    pub(crate) node_name: String,
    pub(crate) network: Network,
    pub(crate) informers: Informers,
    pub(crate) nodes: NodeRegistry,
    pub(crate) components: ComponentRegistry,
    pub(crate) store: Store,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// How pods are run, for the server and for `uninstall`.
pub(crate) fn runtime_config(places: &Places, cgroup_parent: &str) -> skiff_runtime::Config {
    skiff_runtime::Config {
        run_dir: places.run_dir.clone(),
        cgroup_parent: cgroup_parent.to_owned(),
        supervisor: vec![OsString::from("/proc/self/exe"), OsString::from("supervisor")],
    }
}

/// Runs the server until a signal ends it.
pub(crate) fn main(args: ServerArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    anyhow::ensure!(
        nix::unistd::geteuid().is_root(),
        "skiff server needs root: it makes namespaces, mounts and nf_tables rules (try: sudo skiff server)"
    );
    log_to_stderr(&args)?;
    crate::use_ring();
    skiff_linux::memory::return_what_is_freed();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("skiff").build()?;
    let done = runtime.block_on(serve(args, started));
    runtime.shutdown_timeout(Duration::from_secs(2));
    done
}

fn log_to_stderr(args: &ServerArgs) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&args.log).with_context(|| format!("--log: {:?} is no filter", args.log))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Json => log.json().init(),
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
    }
    Ok(())
}

async fn serve(args: ServerArgs, started: Instant) -> anyhow::Result<()> {
    let banner = Banner::new(&args, started);
    let stop = stop_on_signals()?;
    let _pid = folders::claim(&args)?;
    banner.step("opening the store and setting up the network");
    let (store, network) = open(&args).await?;
    let server = api(&args, &store, &network).await?;
    let tasks = TaskTracker::new();
    listen(&args, &server, &network, &tasks, &stop).await?;
    banner.api(&args);
    let client = skiff_client::in_process(server.service_as(User::master("system:skiff")), "default");
    let cluster = Cluster {
        node_name: node_name(&args)?,
        informers: Informers::new(client, stop.clone()),
        nodes: server.nodes().clone(),
        components: server.components().clone(),
        args: Arc::new(args),
        network,
        store: store.clone(),
        tasks,
        stop: stop.clone(),
    };
    let kubelet = stop.run_until_cancelled(components::start(&cluster, &banner)).await.transpose()?;
    forget_the_start(&cluster);
    stop.cancelled().await;
    banner.stopping();
    if let Some(kubelet) = kubelet {
        kubelet.stopped().await;
    }
    cluster.tasks.close();
    if tokio::time::timeout(Duration::from_secs(10), cluster.tasks.wait()).await.is_err() {
        tracing::warn!("some parts did not end in time");
    }
    store.close().await.context("close the store")?;
    Ok(())
}

/// What only the start needed does not count as this process's memory for good.
fn forget_the_start(cluster: &Cluster) {
    let stop = cluster.stop.clone();
    cluster.tasks.spawn(async move {
        if stop.run_until_cancelled(tokio::time::sleep(SETTLED)).await.is_some()
            && let Err(error) = skiff_linux::memory::forget_code()
        {
            tracing::debug!(%error, "the code that is not needed any more stays in memory");
        }
    });
}

fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        cancel.cancel();
    });
    Ok(stop)
}

/// The store and the network know nothing of each other: both at once.
async fn open(args: &ServerArgs) -> anyhow::Result<(Store, Network)> {
    let folder = args.places.data_dir.join("store");
    let store = tokio::task::spawn_blocking(move || Store::open(folder, skiff_store::Options::default()));
    let config = skiff_network::Config {
        pod_cidr: args.pod_cidr(),
        cluster_cidr: args.cluster_cidr,
        service_cidr: args.service_cidr,
        node_ip: args.node_ip,
        dns_address: args.dns_ip,
        ..skiff_network::Config::new(&args.places.run_dir)
    };
    let network = tokio::task::spawn_blocking(move || Network::setup(config));
    let store = store.await?.context("open the store")?;
    let network = network.await?.context("set up the network")?;
    if let Some(recovery) = store.recovery() {
        tracing::error!(
            damage = %recovery.damage, restored = recovery.restored, acknowledged = ?recovery.acknowledged,
            aside = %recovery.aside.display(),
            "the store was damaged: a backup was restored, what was written after it is lost, the damaged one is kept aside"
        );
    }
    Ok((store, network))
}

async fn api(args: &ServerArgs, store: &Store, network: &Network) -> anyhow::Result<ApiServer> {
    let folder = args.places.data_dir.join("pki");
    let addresses = [network.node_ip().into(), args.service_ip(1).into()];
    let mut names = pki::ServingNames::of_cluster(&args.cluster_domain, addresses);
    for name in &args.tls_san {
        match name.parse() {
            Ok(address) => names.addresses.insert(address),
            Err(_) => names.names.insert(name.clone()),
        };
    }
    let now = k8s_now();
    let pki = tokio::task::spawn_blocking(move || pki::Pki::open(&folder, &names, now))
        .await?
        .context("open the certificates")?;
    let url = format!("https://127.0.0.1:{}", args.api_port);
    pki.write_admin_kubeconfig(&args.kubeconfig(), &url).context("write the admin kubeconfig")?;
    let config = ApiConfig {
        service_cidr: args.service_cidr,
        node_ports: PortRange { first: args.node_ports.0, last: args.node_ports.1 },
        cluster_domain: args.cluster_domain.clone(),
        port: args.api_port,
        dns: Some(Dns { service_ip: args.service_ip(10).into(), endpoint: Some(args.link_ip().into()) }),
        ..ApiConfig::new(Arc::new(pki), network.node_ip().into())
    };
    ApiServer::new(store.clone(), config).await.context("start the API server")
}

fn k8s_now() -> skiff_client::k8s_openapi::jiff::Timestamp {
    skiff_client::k8s_openapi::jiff::Timestamp::now()
}

/// 127.0.0.1, the node's address, and the socket.
async fn listen(
    args: &ServerArgs,
    server: &ApiServer,
    network: &Network,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let local = SocketAddr::from(([127, 0, 0, 1], args.api_port));
    let node = SocketAddr::from((network.node_ip(), args.api_port));
    for address in std::collections::BTreeSet::from([local, node]) {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| {
            format!(
                "the API cannot listen on {address}; end what listens there, or choose another port with --api-port"
            )
        })?;
        let (server, stop) = (server.clone(), stop.clone());
        tasks.spawn(async move {
            if let Err(error) = server.serve_tls(listener, stop).await {
                tracing::error!(%address, %error, "the API is no longer served here");
            }
        });
    }
    let socket = folders::socket(&args.places.api_socket())?;
    let (server, stop) = (server.clone(), stop.clone());
    tasks.spawn(async move { server.serve_unix(socket, stop).await });
    Ok(())
}

fn node_name(args: &ServerArgs) -> anyhow::Result<String> {
    if let Some(name) = &args.node_name {
        return Ok(name.clone());
    }
    let name = nix::unistd::gethostname().context("read the host's name")?.to_string_lossy().to_lowercase();
    anyhow::ensure!(!name.is_empty(), "this host has no name; give the node one with --node-name");
    Ok(name)
}

/// A listener on a socket file that only root may use.
fn unix_listener(path: &std::path::Path) -> anyhow::Result<UnixListener> {
    UnixListener::bind(path).with_context(|| format!("listen on {}", path.display()))
}
