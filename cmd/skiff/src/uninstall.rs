//! `skiff uninstall`: removes everything of ours from this machine, and proves it by comparing what is
//! here with what was here before skiff first ran.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    args::Places,
    host::{self, Scope, Snapshot},
    status,
};

/// Flags of `skiff uninstall`.
#[derive(clap::Args)]
pub(crate) struct UninstallArgs {
    #[command(flatten)]
    places: Places,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    /// Name of the nf_tables table
    #[arg(long, default_value = "skiff", value_name = "NAME")]
    nft_table: String,

    /// Name of the cgroup that holds all pods
    #[arg(long, default_value = "skiff", value_name = "NAME")]
    cgroup_parent: String,
}

/// How long the server may take to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// Removes, compares, reports.
pub(crate) async fn main(args: &UninstallArgs) -> anyhow::Result<ExitCode> {
    let places = &args.places;
    if !args.yes && !confirmed(places)? {
        println!("nothing was done");
        return Ok(ExitCode::FAILURE);
    }
    let scope = Scope {
        cgroup_parent: &args.cgroup_parent,
        nft_table: &args.nft_table,
        folders: vec![places.data_dir.clone(), places.run_dir.clone()],
    };
    let before = baseline(places);
    stop_server(places)?;
    remove_pods(args).await?;
    skiff_network::teardown(&skiff_network::Config::new(&places.run_dir)).context("remove the network")?;
    skiff_proxy::remove(&args.nft_table).context("remove the nf_tables table")?;
    for folder in &scope.folders {
        remove_folder(folder)?;
    }
    let left = Snapshot::take(&scope).beyond(&before);
    if left.is_empty() {
        println!(
            "removed; nothing is left: links, nf_tables, mounts, cgroups, namespaces, processes and files are as before"
        );
        return Ok(ExitCode::SUCCESS);
    }
    println!("removed, but this was not here before skiff first ran:");
    left.iter().for_each(|one| println!("  {one}"));
    Ok(ExitCode::FAILURE)
}

fn confirmed(places: &Places) -> anyhow::Result<bool> {
    print!("This ends all pods and deletes {} with all data. Go on? [y/N] ", places.data_dir.display());
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// What was here before; without a record nothing of ours was.
fn baseline(places: &Places) -> Snapshot {
    let text = fs::read_to_string(places.baseline()).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_else(|_| {
        let mut now = Snapshot::take(&Scope { cgroup_parent: "", nft_table: "", folders: Vec::new() });
        now.links.retain(|link| !link.starts_with("skiff"));
        Snapshot { links: now.links, ..Snapshot::default() }
    })
}

fn stop_server(places: &Places) -> anyhow::Result<()> {
    let Some(pid) = status::server_pid(places) else { return Ok(()) };
    println!("stopping the server, process {pid}");
    kill(Pid::from_raw(pid), Signal::SIGTERM).with_context(|| format!("stop process {pid}"))?;
    let deadline = Instant::now() + PATIENCE;
    while status::server_pid(places).is_some() {
        anyhow::ensure!(Instant::now() < deadline, "process {pid} does not end; end it and try again");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

async fn remove_pods(args: &UninstallArgs) -> anyhow::Result<()> {
    let runtime = skiff_runtime::Runtime::new(crate::server::runtime_config(&args.places, &args.cgroup_parent))?;
    let adopted = runtime.adopt().await.context("find the pods that run")?;
    for sandbox in adopted.sandboxes {
        println!("ending pod {}", sandbox.uid());
        sandbox.remove().await.context("end a pod")?;
    }
    runtime.release().context("remove the cgroups")?;
    Ok(())
}

/// Removes a folder with all in it, after what is mounted there.
fn remove_folder(folder: &Path) -> anyhow::Result<()> {
    for point in host::mounts(std::slice::from_ref(&folder.to_path_buf())).iter().rev() {
        skiff_linux::mount::detach_if_mounted(Path::new(point)).with_context(|| format!("unmount {point}"))?;
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
