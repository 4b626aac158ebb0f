//! Makes a pod's sandbox with its network, and takes everything away again.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use skiff_runtime::{Sandbox, SandboxSpec};

use super::{error::SetupError, files, launch::limits, shared::Shared};
use crate::{
    pod::{self, resources},
    volumes::{VolumeError, place},
};

/// A sandbox, and the addresses its pod has.
pub(crate) type Ready = (Sandbox, Vec<String>);

/// Makes the sandbox and connects it.
pub(crate) async fn sandbox(shared: Arc<Shared>, pod: Arc<Pod>) -> Result<Ready, SetupError> {
    // The semaphore is never closed.
    let _permit = shared.starts.acquire().await.ok();
    let uid = pod::uid(&pod);
    let host_network = pod::host_network(&pod);
    let spec = SandboxSpec {
        uid: uid.to_owned(),
        namespace: pod::namespace(&pod).to_owned(),
        name: pod::name(&pod).to_owned(),
        hostname: if host_network { String::new() } else { files::hostname(&shared.config, &pod) },
        dir: shared.config.pod_dir(uid),
        host_network,
        host_pid: pod::spec(&pod).host_pid == Some(true),
        share_processes: pod::spec(&pod).share_process_namespace == Some(true),
        host_ipc: pod::spec(&pod).host_ipc == Some(true),
        sysctls: sysctls(&pod),
        limits: limits(&resources::of_pod(&pod)),
        ..SandboxSpec::default()
    };
    std::fs::create_dir_all(&spec.dir).map_err(crate::volumes::at("make folder", &spec.dir))?;
    let sandbox = shared.runtime.create(spec).await?;
    match connect(&shared, &pod, &sandbox).await {
        Ok(addresses) => Ok((sandbox, addresses)),
        Err(error) => {
            // The first error is the one that tells.
            let _ = sandbox.remove().await;
            Err(error)
        }
    }
}

fn sysctls(pod: &Pod) -> std::collections::BTreeMap<String, String> {
    let context = pod::spec(pod).security_context.as_ref();
    let list = context.and_then(|context| context.sysctls.as_ref());
    list.into_iter().flatten().map(|sysctl| (sysctl.name.clone(), sysctl.value.clone())).collect()
}

/// Connects a sandbox, or one that is connected already; writes the files that show the address.
pub(crate) async fn connect(
    shared: &Arc<Shared>,
    pod: &Arc<Pod>,
    sandbox: &Sandbox,
) -> Result<Vec<String>, SetupError> {
    let (network, config, pod) = (shared.network.clone(), Arc::clone(&shared.config), Arc::clone(pod));
    let (uid, netns) = (sandbox.uid().to_owned(), sandbox.netns());
    let work = move || {
        let addresses = if pod::host_network(&pod) {
            vec![config.node_ip.to_string()]
        } else {
            vec![network.attach(&uid, &netns)?.ip.to_string()]
        };
        files::write(&config, &pod, &addresses)?;
        Ok(addresses)
    };
    tokio::task::spawn_blocking(work).await?
}

/// Takes the sandbox and its network away. What is not there is no error.
pub(crate) async fn dismantle(shared: Arc<Shared>, uid: String, sandbox: Option<Sandbox>) -> Result<(), SetupError> {
    if let Some(sandbox) = sandbox {
        sandbox.remove().await?;
    }
    let network = shared.network.clone();
    tokio::task::spawn_blocking(move || network.detach(&uid)).await??;
    Ok(())
}

/// Removes a pod's volumes, files and logs.
pub(crate) async fn erase(shared: Arc<Shared>, uid: String) -> Result<(), SetupError> {
    let config = Arc::clone(&shared.config);
    let erased: Result<(), VolumeError> = tokio::task::spawn_blocking(move || place::remove(&config, &uid)).await?;
    Ok(erased?)
}
