//! How long pods take. The bounds are wide: they catch polling and waiting, not slow machines.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::api::DeleteParams;

use crate::world::World;

const MANY: usize = 50;

pub(crate) async fn pods_start_quickly(world: Arc<World>) {
    let mut alone = Vec::new();
    for number in 0..5 {
        let name = format!("quick-{number}");
        let begun = Instant::now();
        world.script(&name, "sleep 1000").await;
        world.until_ready(&name).await;
        alone.push(begun.elapsed());
    }
    alone.sort();
    let begun = Instant::now();
    let names: Vec<String> = (0..MANY).map(|number| format!("many-{number}")).collect();
    futures::future::join_all(names.iter().map(|name| world.script(name, "sleep 1000"))).await;
    futures::future::join_all(names.iter().map(|name| world.until_ready(name))).await;
    let many = begun.elapsed();
    let begun = Instant::now();
    let params = DeleteParams::default().grace_period(1);
    let api = world.api();
    futures::future::join_all(names.iter().map(|name| api.delete(name, &params))).await;
    futures::future::join_all(names.iter().map(|name| world.until_gone(name))).await;
    println!(
        "one pod: {:?} (median of {}), {MANY} pods: {many:?}, deleted: {:?}",
        alone[alone.len() / 2],
        alone.len(),
        begun.elapsed()
    );
    for number in 0..5 {
        world.delete(&format!("quick-{number}")).await;
    }
    assert!(alone[alone.len() / 2] < Duration::from_secs(2));
    assert!(many < Duration::from_secs(30));
}
