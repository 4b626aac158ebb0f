//! The load: a process of its own, so that the server's own time can be told from its clients'.
//!
//! It connects, says `ready`, waits for a line, does what it was told, and answers with its figures.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::join_all;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use serde::{Deserialize, Serialize};

use crate::{
    PATH, body,
    wire::{Line, Place},
};

/// Set in the load's process: what to do, as JSON.
pub(crate) const TASK: &str = "SKIFF_BENCH_LOAD";

/// How the load reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Way {
    /// HTTP/1.1 over the Unix socket, a connection per client.
    Unix,
    /// HTTP/1.1 over TLS, a connection per client.
    Tls,
    /// HTTP/2 over TLS, a connection per client (up to 32).
    Http2,
    /// HTTP/2 over TLS, all clients on one connection, as client-go does it.
    Shared,
}

/// What the load does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    Create,
    Get,
    Put,
    /// So many watchers; objects are created one after the other, at least so many milliseconds apart.
    Watch {
        pause: u64,
    },
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) place: Place,
    pub(crate) way: Way,
    pub(crate) what: What,
    pub(crate) clients: usize,
    pub(crate) count: usize,
}

/// What came out: how many things were done in how long, and latencies in milliseconds.
#[derive(Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) done: usize,
    pub(crate) seconds: f64,
    pub(crate) median: f64,
    pub(crate) p99: f64,
    /// Processor time that the server took for each, in microseconds.
    #[serde(default)]
    pub(crate) server: f64,
}

impl Outcome {
    pub(crate) fn rate(&self) -> f64 {
        self.done as f64 / self.seconds
    }

    fn of(took: Duration, mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
        Self { done: times.len(), seconds: took.as_secs_f64(), median: at(50), p99: at(99), server: 0.0 }
    }
}

/// Many connections need many descriptors.
pub(crate) fn many_descriptors() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}

/// The processor time of this process so far, in microseconds.
fn own_time() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    [usage.user_time(), usage.system_time()].iter().map(|time| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64).sum()
}

/// In the server's process: has a task done by a process of its own.
pub(crate) fn run(task: &Task) -> Outcome {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(TASK, serde_json::to_string(task).unwrap()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(output.next().unwrap().unwrap(), "ready");
    let before = own_time();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let mut outcome: Outcome = serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
    outcome.server = (own_time() - before) / outcome.done as f64;
    assert!(child.wait().unwrap().success());
    outcome
}

/// In the load's process: does it.
pub(crate) fn main(task: &str) {
    many_descriptors();
    let task: Task = serde_json::from_str(task).unwrap();
    let outcome = match (task.way, task.what) {
        (Way::Unix | Way::Tls, What::Watch { pause }) => watch(&task, pause),
        (Way::Unix | Way::Tls, _) => requests(&task),
        (Way::Http2 | Way::Shared, what) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            match what {
                What::Watch { pause } => runtime.block_on(watch2(&task, pause)),
                _ => runtime.block_on(requests2(&task)),
            }
        }
    };
    println!("{}", serde_json::to_string(&outcome).unwrap());
}

fn go() {
    println!("ready");
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
}

/// The requests of a task, drawn by all of its clients.
struct Requests<'t> {
    task: &'t Task,
    next: AtomicUsize,
}

impl<'t> Requests<'t> {
    fn of(task: &'t Task) -> Self {
        Self { task, next: AtomicUsize::new(0) }
    }

    fn draw(&self) -> Option<(Method, String, String, u16)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.task.count).then(|| request(self.task, index))
    }
}

/// One request: method, path, body and the code to expect.
fn request(task: &Task, index: usize) -> (Method, String, String, u16) {
    let of = |stem: &str, index: usize| format!("{stem}-{:?}-{}-{index}", task.way, task.clients).to_lowercase();
    match task.what {
        What::Create => (Method::POST, PATH.to_owned(), body(&of("c", index)), 201),
        What::Watch { pause } => (Method::POST, PATH.to_owned(), body(&of(&format!("w{pause}"), index)), 201),
        What::Get => (Method::GET, format!("{PATH}/{}", of("c", index % 1000)), String::new(), 200),
        What::Put => {
            let name = of("c", index);
            (Method::PUT, format!("{PATH}/{name}"), body(&name).replace("\"key\"", "\"other\""), 200)
        }
    }
}

fn requests(task: &Task) -> Outcome {
    let lines: Vec<Line> = (0..task.clients).map(|_| task.place.line(task.way == Way::Tls)).collect();
    let all = Requests::of(task);
    go();
    let started = Instant::now();
    let one = |mut line: Line| {
        let mut times = Vec::new();
        while let Some((method, path, body, code)) = all.draw() {
            let begun = Instant::now();
            assert_eq!(line.call(method.as_str(), &path, &body), code, "{method} {path}");
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times
    };
    let times = thread::scope(|scope| {
        let threads: Vec<_> = lines.into_iter().map(|line| scope.spawn(|| one(line))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    Outcome::of(started.elapsed(), times)
}

/// When each object was sent, in microseconds, and what the watchers saw of it.
struct Course {
    started: Instant,
    sent: Vec<AtomicU64>,
}

impl Course {
    fn new(count: usize) -> Self {
        Self { started: Instant::now(), sent: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    fn sends(&self, index: usize) {
        self.sent[index].store(self.now(), Ordering::Relaxed);
    }

    /// The events of these objects came just now.
    fn came(&self, events: std::ops::Range<usize>, times: &mut Vec<f64>) {
        let now = self.now();
        times.extend(events.map(|index| (now - self.sent[index].load(Ordering::Relaxed)) as f64 / 1e3));
    }
}

fn watch(task: &Task, pause: u64) -> Outcome {
    let tls = task.way == Way::Tls;
    let path = format!("{PATH}?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan");
    let watchers: Vec<Line> = (0..task.clients).map(|_| task.place.line(tls).watch(&path)).collect();
    let mut creator = task.place.line(tls);
    go();
    let course = Course::new(task.count);
    let one = |mut watcher: Line| {
        let mut times = Vec::with_capacity(task.count);
        while times.len() < task.count {
            let seen = times.len();
            course.came(seen..seen + watcher.events(), &mut times);
        }
        times
    };
    let times = thread::scope(|scope| {
        let builder = || thread::Builder::new().stack_size(256 << 10);
        let threads: Vec<_> =
            watchers.into_iter().map(|watcher| builder().spawn_scoped(scope, || one(watcher)).unwrap()).collect();
        for index in 0..task.count {
            let (method, path, body, code) = request(task, index);
            course.sends(index);
            assert_eq!(creator.call(method.as_str(), &path, &body), code);
            thread::sleep(Duration::from_millis(pause));
        }
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    Outcome::of(course.started.elapsed(), times)
}

type Sender = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

fn http(method: Method, path: &str, body: String) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(format!("https://127.0.0.1{path}"));
    request.header("content-type", "application/json").body(Full::from(body)).unwrap()
}

async fn call2(sender: &mut Sender, request: Request<Full<Bytes>>) -> u16 {
    let response = sender.send_request(request).await.unwrap();
    let code = response.status().as_u16();
    response.into_body().collect().await.unwrap();
    code
}

async fn senders(task: &Task) -> Vec<Sender> {
    let connections = if task.way == Way::Shared { 1 } else { task.clients.min(32) };
    let open = join_all((0..connections).map(|_| task.place.http2())).await;
    (0..task.clients).map(|client| open[client % connections].clone()).collect()
}

async fn requests2(task: &Task) -> Outcome {
    let senders = senders(task).await;
    let all = Requests::of(task);
    go();
    let started = Instant::now();
    let one = |mut sender: Sender| {
        let all = &all;
        async move {
            let mut times = Vec::new();
            while let Some((method, path, body, code)) = all.draw() {
                let begun = Instant::now();
                assert_eq!(call2(&mut sender, http(method, &path, body)).await, code);
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            times
        }
    };
    let times = join_all(senders.into_iter().map(one)).await.into_iter().flatten().collect();
    Outcome::of(started.elapsed(), times)
}

async fn watch2(task: &Task, pause: u64) -> Outcome {
    let path = format!("{PATH}?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan");
    let mut senders = senders(task).await;
    let mut bodies = Vec::new();
    for sender in &mut senders {
        bodies.push(sender.send_request(http(Method::GET, &path, String::new())).await.unwrap().into_body());
    }
    go();
    let course = std::sync::Arc::new(Course::new(task.count));
    let tasks: Vec<_> = bodies
        .into_iter()
        .map(|mut body| {
            let (course, count) = (std::sync::Arc::clone(&course), task.count);
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(count);
                while times.len() < count {
                    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
                    let (seen, events) = (times.len(), frame.iter().filter(|byte| **byte == b'\n').count());
                    course.came(seen..seen + events, &mut times);
                }
                times
            })
        })
        .collect();
    for index in 0..task.count {
        let (method, path, body, code) = request(task, index);
        course.sends(index);
        assert_eq!(call2(&mut senders[0], http(method, &path, body)).await, code);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    let times = join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect();
    Outcome::of(course.started.elapsed(), times)
}
