//! Real containers on this machine. Needs root and busybox-static; says so loudly when it lacks one.
//!
//! The program has three roles: it runs the tests, it is the supervisor of the pods that they make, and it is the server
//! that one of the tests kills.

#![allow(clippy::unwrap_used)]

mod adoption;
mod confinement;
mod files;
mod lifecycle;
mod limits;
mod logs;
mod processes;
mod streams;
mod world;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

type Test = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

macro_rules! tests {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), || Box::pin($module::$name()))),*]
    };
}

const TESTS: &[Test] = tests![
    adoption::a_killed_server_is_no_loss,
    adoption::a_killed_supervisor_takes_its_containers_along,
    adoption::a_lost_sandbox_is_cleaned_up_by_the_next_server,
    adoption::it_works_in_other_namespaces,
    adoption::it_works_with_cgroup_version_2_alone,
    confinement::capabilities_are_those_asked_for,
    confinement::devices_cannot_be_made_usable,
    confinement::no_descriptor_leaks,
    confinement::paths_are_masked_and_protected,
    confinement::privileged_has_everything,
    confinement::the_filter_refuses_administration,
    confinement::the_runtime_can_not_be_overwritten,
    confinement::users_and_groups,
    files::links_in_an_image_stay_inside,
    files::mounts_of_files_and_folders,
    files::the_root_can_be_read_only,
    files::the_usual_places_are_there,
    lifecycle::a_failed_sandbox_says_why_and_leaves_nothing,
    lifecycle::an_exec_has_a_deadline,
    lifecycle::commands_run_inside,
    lifecycle::containers_share_a_sandbox,
    lifecycle::exit_codes_and_signals,
    lifecycle::host_namespaces,
    lifecycle::it_is_quick_and_small,
    lifecycle::programs_that_can_not_be_started,
    lifecycle::stop_is_gentle_first,
    limits::memory_beyond_the_limit_is_oom_killed,
    limits::processes_and_cpu,
    logs::lines_come_in_order_with_their_streams,
    logs::rotation_loses_nothing,
    processes::a_container_looks_at_another,
    processes::a_pod_shares_its_processes,
    processes::the_first_process_of_a_shared_namespace_is_no_way_out,
    streams::a_command_has_a_terminal,
    streams::a_command_has_streams,
    streams::attached_to_a_terminal,
    streams::attached_to_pipes,
    streams::commands_die_with_their_container,
    streams::much_output_is_whole,
    streams::nothing_of_the_host_leaks_into_a_command,
    streams::whoever_looks_on_slowly_misses_nothing,
];

/// No test takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(|first| first.to_str()) {
        Some("supervisor") => skiff_runtime::supervisor::main(args),
        Some("server") => adoption::serve(args),
        filter => run(filter.filter(|filter| !filter.starts_with("--")).unwrap_or("")),
    }
}

fn run(filter: &str) -> ExitCode {
    if let Err(reason) = world::able() {
        println!("SKIPPED: {} container tests did not run: {reason}", TESTS.len());
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<&Test> = TESTS.iter().filter(|(name, _)| name.contains(filter)).collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((name, test)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (begun, done) = (Instant::now(), run_one(*test));
                    println!("test {name} ... {} ({:?})", if done { "ok" } else { "FAILED" }, begun.elapsed());
                    if !done {
                        failed.lock().unwrap().push(*name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!("\ntest result: {} passed, {} failed {failed:?}", chosen.len() - failed.len(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_one(test: fn() -> Pin<Box<dyn Future<Output = ()>>>) -> bool {
    let bounded = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // What ends too late is dropped in the panic, too, and so cleans up.
        let mut test = test();
        runtime.block_on(async { tokio::time::timeout(PATIENCE, &mut test).await.expect("the test takes too long") });
    };
    std::panic::catch_unwind(bounded).is_ok()
}
