//! The node agent with everything real: API server, runtime, images, network. Needs root and a static
//! busybox; says so loudly when it lacks one.
//!
//! The program has two roles: it runs the tests, in network and mount namespaces of its own, and it is
//! the supervisor of the pods that they make.
#![allow(clippy::unwrap_used)]

mod ephemeral;
mod failures;
mod image;
mod life;
mod restart;
mod speed;
mod volumes;
mod world;

use std::{
    future::Future,
    pin::Pin,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use world::World;

type Test = (&'static str, fn(Arc<World>) -> Pin<Box<dyn Future<Output = ()> + Send>>);

macro_rules! tests {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), |world| Box::pin($module::$name(world)))),*]
    };
}

/// Run side by side on one node.
const TESTS: &[Test] = tests![
    life::a_pod_runs_and_knows_itself,
    life::init_containers_come_first,
    life::a_pod_that_ends_is_over,
    life::deletion_is_gentle,
    life::a_forced_deletion_takes_everything_away,
    life::readiness_and_liveness_are_probed,
    life::a_killed_process_is_started_again,
    life::logs_are_followed_to_the_end,
    ephemeral::a_running_pod_is_looked_into,
    ephemeral::they_end_with_their_pod,
    ephemeral::all_containers_of_a_pod_may_share_processes,
    failures::a_crash_loop_backs_off,
    failures::an_image_that_is_not_there,
    failures::a_program_that_is_not_there,
    failures::what_is_missing_is_waited_for,
    failures::what_is_not_supported_is_named,
    failures::a_deadline_ends_a_pod,
    restart::a_lost_sandbox_is_made_again,
    restart::a_changed_image_restarts_its_container,
    volumes::files_are_shared_and_updated,
    volumes::the_service_account_is_mounted,
    volumes::memory_volumes_and_sub_paths,
];

/// Run one after the other, with nothing beside them.
const ALONE: &[Test] =
    tests![speed::pods_start_quickly, restart::running_pods_are_taken_over, ephemeral::they_are_taken_over];

/// No test takes longer.
const PATIENCE: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(|first| first.to_str()) {
        Some("supervisor") => skiff_runtime::supervisor::main(args),
        filter => run(filter.filter(|filter| !filter.starts_with("--")).unwrap_or("")),
    }
}

fn run(filter: &str) -> ExitCode {
    if let Err(reason) = world::able() {
        println!("SKIPPED: {} tests of the node agent did not run: {reason}", TESTS.len() + ALONE.len());
        return ExitCode::SUCCESS;
    }
    world::isolate();
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let failed = runtime.block_on(async {
        let world = Arc::new(World::new().await);
        let chosen = |list: &'static [Test]| list.iter().filter(|(name, _)| name.contains(filter));
        let together: Vec<_> =
            chosen(TESTS).map(|(name, test)| tokio::spawn(one(name, test(Arc::clone(&world))))).collect();
        let mut failed = 0;
        for test in together {
            failed += usize::from(!test.await.unwrap());
        }
        for (name, test) in chosen(ALONE) {
            failed += usize::from(!one(name, test(Arc::clone(&world))).await);
        }
        world.finish().await;
        failed
    });
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn one(name: &str, test: Pin<Box<dyn Future<Output = ()> + Send>>) -> bool {
    let begun = Instant::now();
    let outcome = tokio::time::timeout(PATIENCE, std::panic::AssertUnwindSafe(test).catch_unwind()).await;
    let verdict = match &outcome {
        Ok(Ok(())) => "ok",
        Ok(Err(_)) => "FAILED",
        Err(_) => "FAILED: out of time",
    };
    println!("test {name} ... {verdict} ({:.2} s)", begun.elapsed().as_secs_f64());
    matches!(outcome, Ok(Ok(())))
}
