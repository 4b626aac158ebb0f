//! Commands and containers whose streams the server holds.

use std::time::Duration;

use skiff_runtime::{ExecSpec, Pipe, Running, Sandbox, Streams};

use crate::world::World;

const PIPES: Streams = Streams { stdin: true, stdout: true, stderr: true, tty: false };
const TERMINAL: Streams = Streams { stdin: true, stdout: true, stderr: false, tty: true };

async fn start(sandbox: &Sandbox, script: &str, streams: Streams) -> Running {
    sandbox.exec_stream("main", ExecSpec::new(["sh", "-c", script]), streams).await.unwrap()
}

async fn read_all(pipe: &Pipe) -> String {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match pipe.read(&mut buffer).await.unwrap() {
            0 => return String::from_utf8(all).unwrap(),
            read => all.extend_from_slice(&buffer[..read]),
        }
    }
}

async fn read_until(pipe: &Pipe, wanted: &str) -> String {
    let (mut all, mut buffer) = (String::new(), vec![0; 4096]);
    while !all.contains(wanted) {
        let read = pipe.read(&mut buffer).await.unwrap();
        assert!(read > 0, "{all:?} ends without {wanted:?}");
        all.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    all
}

pub(crate) async fn a_command_has_streams() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    sandbox.start(world.script("main", "sleep 1000")).await.unwrap();
    let mut running = start(&sandbox, "cat; echo problem >&2; exit 7", PIPES).await;
    let stdin = running.streams.stdin.take().unwrap();
    stdin.write_all(b"in and out").await.unwrap();
    drop(stdin);
    assert_eq!(read_all(running.streams.stdout.as_ref().unwrap()).await, "in and out");
    assert_eq!(read_all(running.streams.stderr.as_ref().unwrap()).await, "problem\n");
    assert_eq!(running.end().await.unwrap().exit_code, 7);
    let mut missing = sandbox.exec_stream("main", ExecSpec::new(["nope"]), PIPES).await.unwrap();
    let why = missing.end().await.unwrap_err().to_string();
    assert_eq!(why, "exec: \"nope\": executable file not found in $PATH");
    let mut nobody = sandbox.exec_stream("other", ExecSpec::new(["true"]), PIPES).await.unwrap();
    assert!(nobody.end().await.is_err());
    world.finish(&[sandbox]).await;
}

pub(crate) async fn much_output_is_whole() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    sandbox.start(world.script("main", "sleep 1000")).await.unwrap();
    let mut running = start(&sandbox, "seq 1 200000", PIPES).await;
    let text = read_all(running.streams.stdout.as_ref().unwrap()).await;
    assert!(text.lines().map(|line| line.parse::<u32>().unwrap()).eq(1..=200_000));
    assert_eq!(running.end().await.unwrap().exit_code, 0);
    let mut running = start(&sandbox, "wc -c", PIPES).await;
    let stdin = running.streams.stdin.take().unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..16 {
        stdin.write_all(&piece).await.unwrap();
    }
    drop(stdin);
    assert_eq!(read_all(running.streams.stdout.as_ref().unwrap()).await.trim(), (16 << 20).to_string());
    world.finish(&[sandbox]).await;
}

pub(crate) async fn a_command_has_a_terminal() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    sandbox.start(world.script("main", "sleep 1000")).await.unwrap();
    let script = "test -t 0 && test -t 1 && echo $TERM; read line; echo got $line; stat -c %n /dev/pts/0 $(readlink /proc/self/fd/0); exec sh";
    let mut running = start(&sandbox, script, TERMINAL).await;
    let (stdin, stdout) = (running.streams.stdin.take().unwrap(), running.streams.stdout.clone().unwrap());
    let terminal = running.streams.terminal.take().unwrap();
    terminal.resize(100, 30).unwrap();
    read_until(&stdout, "xterm").await;
    stdin.write_all(b"hello\n").await.unwrap();
    let text = read_until(&stdout, "/dev/pts/0\r\n/dev/pts/0\r\n").await;
    assert!(text.contains("got hello\r\n"), "{text}");
    // Ctrl-C reaches what runs in the foreground, so the terminal is the session's own.
    // It prints once it is in the foreground; to the line editor of the shell, Ctrl-C would be a character.
    stdin.write_all(b"sh -c 'echo run$((1+1)); exec sleep 1000'\n").await.unwrap();
    read_until(&stdout, "run2").await;
    stdin.write_all(b"\x03").await.unwrap();
    read_until(&stdout, "^C").await;
    stdin.write_all(b"exit 5\n").await.unwrap();
    assert_eq!(running.end().await.unwrap().exit_code, 5);
    world.finish(&[sandbox]).await;
}

pub(crate) async fn commands_die_with_their_container() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    sandbox.start(world.script("main", "sleep 1000")).await.unwrap();
    let mut running = start(&sandbox, "echo up; sleep 1000", PIPES).await;
    read_until(running.streams.stdout.as_ref().unwrap(), "up").await;
    sandbox.stop("main", 9, Duration::ZERO).await.unwrap();
    assert_eq!(running.end().await.unwrap().exit_code, 137);
    world.finish(&[sandbox]).await;
}

pub(crate) async fn nothing_of_the_host_leaks_into_a_command() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    sandbox.start(world.script("main", "sleep 1000")).await.unwrap();
    for streams in [PIPES, TERMINAL] {
        let script = "ls /proc/self/fd; readlink /proc/self/cwd; echo end";
        let running = start(&sandbox, script, streams).await;
        let text = read_until(running.streams.stdout.as_ref().unwrap(), "end").await;
        // The last descriptor is the folder that is being listed.
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3", "/", "end"], "{text}");
    }
    world.finish(&[sandbox]).await;
}

pub(crate) async fn attached_to_pipes() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    let mut spec = world.script("main", "while read line; do echo got $line; echo err >&2; done; echo over");
    spec.stdin = true;
    sandbox.start(spec).await.unwrap();
    let mut held = sandbox.attach("main", PIPES).await.unwrap();
    let other = sandbox.attach("main", Streams { stdin: false, ..PIPES }).await.unwrap();
    assert!(other.stdin.is_none() && held.terminal.is_none());
    let stdin = held.stdin.take().unwrap();
    stdin.write_all(b"one\n").await.unwrap();
    read_until(held.stdout.as_ref().unwrap(), "got one").await;
    read_until(held.stderr.as_ref().unwrap(), "err").await;
    read_until(other.stdout.as_ref().unwrap(), "got one").await;
    drop((stdin, other));
    sandbox.close_stdin("main").await.unwrap();
    assert_eq!(read_all(held.stdout.as_ref().unwrap()).await, "over\n");
    assert_eq!(sandbox.wait("main").await.unwrap().exit().unwrap().code, 0);
    assert_eq!(world.output("main").lines().filter(|line| *line == "over").count(), 1, "the log has it too");
    assert!(sandbox.attach("main", PIPES).await.is_err());
    world.finish(&[sandbox]).await;
}

pub(crate) async fn attached_to_a_terminal() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    let mut spec = world.script("main", "test -t 0 && read line && echo got $line && exit 3");
    (spec.stdin, spec.tty) = (true, true);
    sandbox.start(spec).await.unwrap();
    let held = sandbox.attach("main", PIPES).await.unwrap();
    held.terminal.as_ref().unwrap().resize(90, 20).unwrap();
    held.stdin.as_ref().unwrap().write_all(b"hello\n").await.unwrap();
    let text = read_all(held.stdout.as_ref().unwrap()).await;
    assert_eq!(text, "hello\r\ngot hello\r\n");
    assert_eq!(sandbox.wait("main").await.unwrap().exit().unwrap().code, 3);
    assert_eq!(world.output("main"), "hello\ngot hello\n", "the log's lines, each without its end");
    world.finish(&[sandbox]).await;
}

pub(crate) async fn whoever_looks_on_slowly_misses_nothing() {
    let world = World::new();
    let sandbox = world.sandbox().await;
    let mut spec = world.script("main", "read go; seq 1 100000");
    spec.stdin = true;
    sandbox.start(spec).await.unwrap();
    let gone = sandbox.attach("main", PIPES).await.unwrap();
    let held = sandbox.attach("main", PIPES).await.unwrap();
    held.stdin.as_ref().unwrap().write_all(b"go\n").await.unwrap();
    // One that reads nothing and leaves holds nobody up for ever.
    drop(gone);
    let text = read_all(held.stdout.as_ref().unwrap()).await;
    assert!(text.lines().map(|line| line.parse::<u32>().unwrap()).eq(1..=100_000));
    assert_eq!(world.output("main").lines().count(), 100_000);
    world.finish(&[sandbox]).await;
}
