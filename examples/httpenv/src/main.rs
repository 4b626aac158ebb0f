//! A small HTTP server that answers every request with its environment as JSON: the sample application of the
//! walkthrough, which shows at a glance which pod answered and what the cluster put into its environment.
//!
//! The image holds nothing but this program, so it also brings the few commands that trying a cluster out from inside
//! a pod needs: an HTTP client that resolves names as `/etc/resolv.conf` says, `sleep`, `exit` and `print`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod client;
mod resolver;
mod server;

use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

const PORT: u16 = 8888;
const USAGE: &str = "\
usage: httpenv [serve [PORT]]   answer every request with the environment as JSON (port 8888)
       httpenv get URL...       print what an HTTP server answers; names are resolved through /etc/resolv.conf
       httpenv resolve NAME...  print the addresses of names
       httpenv sleep SECONDS    wait; SIGTERM ends it at once
       httpenv exit CODE        end with this code
       httpenv print TEXT...    print the words";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        [] | ["serve"] => serve(PORT),
        ["serve", port] => port.parse().map_err(|_| format!("{port:?} is no port")).and_then(serve),
        ["get", ref urls @ ..] if !urls.is_empty() => get(urls),
        ["resolve", ref names @ ..] if !names.is_empty() => resolve(names),
        ["sleep", seconds] => sleep(seconds),
        ["exit", code] => return exit(code),
        ["print", ref text @ ..] => {
            println!("{}", text.join(" "));
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("httpenv: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Signals are taken from a queue: the first process of a container has no default action for them.
fn termination() -> Result<SigSet, String> {
    let set = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    set.thread_block().map_err(|error| format!("cannot block signals: {error}"))?;
    Ok(set)
}

fn serve(port: u16) -> Result<(), String> {
    // Before any thread starts, so that all of them inherit it.
    let signals = termination()?;
    let server = server::Server::start(port)?;
    let signal = signals.wait().map_err(|error| format!("cannot wait for signals: {error}"))?;
    server.finish();
    server::log(&format!("stopped by {signal}"));
    Ok(())
}

fn get(urls: &[&str]) -> Result<(), String> {
    urls.iter().try_for_each(|url| {
        let body = client::get(url).map_err(|error| format!("{url}: {error}"))?;
        print!("{body}{}", if body.ends_with('\n') { "" } else { "\n" });
        Ok(())
    })
}

fn resolve(names: &[&str]) -> Result<(), String> {
    let resolver = resolver::Resolver::from_system();
    names.iter().try_for_each(|name| {
        let addresses = resolver.lookup(name).map_err(|error| error.to_string())?;
        addresses.iter().for_each(|address| println!("{address}"));
        Ok(())
    })
}

fn sleep(seconds: &str) -> Result<(), String> {
    let seconds: f64 = seconds.parse().map_err(|_| format!("{seconds:?} is no number of seconds"))?;
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| format!("cannot sleep for {seconds} seconds"))?;
    let signals = termination()?;
    std::thread::spawn(move || {
        std::thread::sleep(time);
        std::process::exit(0);
    });
    signals.wait().map(drop).map_err(|error| format!("cannot wait for signals: {error}"))
}

fn exit(code: &str) -> ExitCode {
    match code.parse::<u8>() {
        Ok(code) => ExitCode::from(code),
        Err(_) => {
            eprintln!("httpenv: {code:?} is no exit code from 0 to 255");
            ExitCode::from(2)
        }
    }
}
