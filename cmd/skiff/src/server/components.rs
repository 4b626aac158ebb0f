//! Starts every component over the in-process client, side by side, and waits until the node is ready.

use std::{future::Future, net::SocketAddr, time::Duration};

use anyhow::Context as _;
use skiff_image::Images;
use skiff_kubelet::Kubelet;
use skiff_loadbalancer::{Mode, Report};
use skiff_proxy::Programmed;
use skiff_runtime::Runtime;
use tokio::sync::watch;

use super::{Cluster, banner::Banner, folders, local, runtime_config};
use crate::args::Publish;

/// A node that is silent for so long counts as unreachable (kube-controller-manager's default).
const NODE_GRACE: Duration = Duration::from_secs(40);

/// Starts all; returns when the node is ready. The node works as long as what is returned is kept.
pub(crate) async fn start(cluster: &Cluster, banner: &Banner) -> anyhow::Result<Kubelet> {
    let (published, report) = watch::channel(Report::default());
    controllers(cluster)?;
    let mut programmed = data_plane(cluster, published)?;
    let images = open_images(cluster).await?;
    let kubelet = kubelet(cluster, images.clone())?;
    serve_local(cluster, images, report)?;
    kubelet.ready().await;
    // Ready means that services answer too: the first transaction is in the kernel.
    let _ = programmed.wait_for(|programmed| programmed.transactions > 0).await;
    banner.ready(&cluster.args, &cluster.node_name, cluster.network.node_ip());
    Ok(kubelet)
}

/// Runs a component until the server stops; one that ends with an error is told loudly.
fn run<E: std::fmt::Display + Send>(
    cluster: &Cluster,
    name: &'static str,
    work: impl Future<Output = Result<(), E>> + Send + 'static,
) {
    cluster.tasks.spawn(async move {
        if let Err(error) = work.await {
            tracing::error!(component = name, %error, "it ended and does not come back; restart the server");
        }
    });
}

fn controllers(cluster: &Cluster) -> anyhow::Result<()> {
    let certificate = cluster.args.places.data_dir.join("pki/ca.crt");
    let health = skiff_controllers::Health::default();
    let config = skiff_controllers::Config {
        ca_certificate: std::fs::read_to_string(&certificate)
            .with_context(|| format!("read {}", certificate.display()))?,
        node_grace: NODE_GRACE,
        health: health.clone(),
    };
    let (informers, stop) = (cluster.informers.named("kube-controller-manager"), cluster.stop.clone());
    let runs = cluster.tasks.spawn(async move { skiff_controllers::run(&informers, config, stop).await });
    let works = move || health.is_well() && !runs.is_finished();
    told(cluster, "controller-manager", works, "a controller has failed");
    let (informers, stop) = (cluster.informers.named("kube-scheduler"), cluster.stop.clone());
    let runs = cluster.tasks.spawn(async move { skiff_scheduler::run(&informers, stop).await });
    told(cluster, "scheduler", move || !runs.is_finished(), "it has ended");
    Ok(())
}

/// ComponentStatuses tell whether a component works.
fn told(cluster: &Cluster, name: &str, works: impl Fn() -> bool + Send + Sync + 'static, problem: &'static str) {
    cluster.components.register(name, move || if works() { Ok(()) } else { Err(problem.to_owned()) });
}

fn data_plane(cluster: &Cluster, published: watch::Sender<Report>) -> anyhow::Result<watch::Receiver<Programmed>> {
    let args = &cluster.args;
    let proxy = skiff_proxy::Config {
        table: args.nft_table.clone(),
        settings: skiff_proxy::Settings {
            node: cluster.node_name.clone(),
            zone: None,
            node_ip: Some(cluster.network.node_ip()),
            cluster_cidr: args.cluster_cidr,
            service_cidr: args.service_cidr,
            dns_address: Some(args.dns_ip),
        },
    };
    let proxy = skiff_proxy::start(&cluster.informers, proxy, cluster.stop.clone()).context("program the services")?;
    let programmed = proxy.programmed();
    run(cluster, "proxy", async move { proxy.finished().await });

    names(cluster);
    publish(cluster, published);
    Ok(programmed)
}

fn names(cluster: &Cluster) {
    let args = &cluster.args;
    let upstreams = match args.dns_upstream.as_slice() {
        [] => skiff_dns::Config::default().upstreams,
        servers => skiff_dns::Upstreams::Servers(servers.iter().map(|ip| SocketAddr::new(*ip, 53)).collect()),
    };
    let dns = skiff_dns::Config {
        // The first is for pods; the other is the kube-dns Service's endpoint, which must be tracked.
        listen: vec![SocketAddr::from((args.dns_ip, 53)), SocketAddr::from((args.link_ip(), 53))],
        domain: args.cluster_domain.clone(),
        upstreams,
        cluster_cidr: vec![args.cluster_cidr.into()],
        service_cidr: vec![args.service_cidr.into()],
        ..skiff_dns::Config::default()
    };
    let (informers, stop) = (cluster.informers.clone(), cluster.stop.clone());
    run(cluster, "dns", async move { skiff_dns::run(&informers, dns, stop).await });
}

fn publish(cluster: &Cluster, published: watch::Sender<Report>) {
    let mode = match cluster.args.load_balancer {
        Publish::Localhost => Mode::Localhost,
        Publish::Node => Mode::Node,
        Publish::None => Mode::None,
    };
    let balancer = skiff_loadbalancer::Config { mode, ..skiff_loadbalancer::Config::new(&cluster.node_name) };
    let (informers, stop) = (cluster.informers.clone(), cluster.stop.clone());
    run(cluster, "loadbalancer", async move { skiff_loadbalancer::run(&informers, balancer, published, stop).await });
}

async fn open_images(cluster: &Cluster) -> anyhow::Result<Images> {
    let folder = cluster.args.places.images();
    let config =
        skiff_image::Config { plain_http: cluster.args.insecure_registry.clone(), ..skiff_image::Config::default() };
    Images::open(&folder, config).await.with_context(|| format!("open the images in {}", folder.display()))
}

fn kubelet(cluster: &Cluster, images: Images) -> anyhow::Result<Kubelet> {
    let args = &cluster.args;
    let config = skiff_kubelet::Config {
        node_name: cluster.node_name.clone(),
        node_ip: cluster.network.node_ip().into(),
        pod_cidr: args.pod_cidr().to_string(),
        cluster_dns: vec![args.dns_ip.into()],
        cluster_domain: args.cluster_domain.clone(),
        data_dir: args.places.data_dir.clone(),
        run_dir: args.places.run_dir.clone(),
        cgroup_parent: args.cgroup_parent.clone(),
        max_pods: args.max_pods,
        resolv_conf: "/etc/resolv.conf".into(),
        parallel_starts: 8,
        kubelet_version: skiff_apiserver::VERSION.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let runtime =
        Runtime::new(runtime_config(&args.places, &args.cgroup_parent)).context("prepare the container runtime")?;
    let (network, stop) = (cluster.network.clone(), cluster.stop.clone());
    let kubelet = Kubelet::start(&cluster.informers.named("kubelet"), config, runtime, images, network, stop)
        .context("start the kubelet")?;
    cluster.nodes.register(cluster.node_name.clone(), kubelet.router());
    Ok(kubelet)
}

fn serve_local(cluster: &Cluster, images: Images, published: watch::Receiver<Report>) -> anyhow::Result<()> {
    let listener = folders::socket(&cluster.args.places.node_socket())?;
    let local = local::Local { pods: cluster.informers.of(), cluster: cluster.clone(), images, published };
    let stop = cluster.stop.clone();
    run(cluster, "node socket", async move {
        axum::serve(listener, local::router(local)).with_graceful_shutdown(stop.cancelled_owned()).await
    });
    Ok(())
}
