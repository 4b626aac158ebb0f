//! `exec` and `attach`: a client's streams and a container's, joined.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use skiff_runtime::{ExecSpec, Held, Pipe, Sandbox, StartError, Streams};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::peer::{PIECE, Peer, Sink, Verdict};

/// Runs a command for a client.
pub(super) async fn exec(sandbox: Sandbox, container: String, argv: Vec<String>, wanted: Streams, mut peer: Peer) {
    let verdict = match run(&sandbox, &container, argv, wanted, &mut peer).await {
        Ok(0) => Verdict::Success,
        Ok(code) => Verdict::Exit(code),
        Err(StartError::Fault(fault)) => Verdict::Failed(format!(
            "error executing command in container: failed to exec in container: unable to start container process: {fault}"
        )),
        Err(error) => Verdict::Failed(format!("error executing command in container: {error}")),
    };
    peer.finish(&verdict).await;
}

async fn run(
    sandbox: &Sandbox,
    container: &str,
    argv: Vec<String>,
    wanted: Streams,
    peer: &mut Peer,
) -> Result<i32, StartError> {
    let mut running = sandbox.exec_stream(container, ExecSpec::new(argv), wanted).await?;
    let held = std::mem::take(&mut running.streams);
    // What is printed after the command itself has ended is not waited for.
    let over = CancellationToken::new();
    let input = Input::new(&held, peer);
    let mut copies = copy_out(held, peer, &over);
    let input = tokio::spawn(input.run());
    let ended = tokio::select! {
        ended = running.end() => Some(ended),
        () = peer.gone.cancelled() => None,
    };
    over.cancel();
    input.abort();
    // A copy that panicked has said so.
    while copies.join_next().await.is_some() {}
    match ended {
        Some(ended) => Ok(ended?.exit_code),
        // Nobody is there to hear it. The command goes on, without its streams.
        None => Ok(0),
    }
}

/// Joins a client to a container that runs.
pub(super) async fn attach(sandbox: Sandbox, container: String, wanted: Streams, once: bool, mut peer: Peer) {
    let verdict = match join(&sandbox, &container, wanted, once, &mut peer).await {
        Ok(()) => Verdict::Success,
        Err(error) => Verdict::Failed(format!("error attaching to container: {error}")),
    };
    peer.finish(&verdict).await;
}

async fn join(
    sandbox: &Sandbox,
    container: &str,
    wanted: Streams,
    once: bool,
    peer: &mut Peer,
) -> Result<(), StartError> {
    let held = sandbox.attach(container, wanted).await?;
    let (has_input, tty) = (held.stdin.is_some(), held.terminal.is_some());
    let over = CancellationToken::new();
    let input = Input::new(&held, peer);
    let mut copies = copy_out(held, peer, &over);
    let mut input = tokio::spawn(input.run());
    let outputs = async { while copies.join_next().await.is_some() {} };
    tokio::pin!(outputs);
    let mut done = false;
    tokio::select! {
        () = &mut outputs => done = true,
        () = peer.gone.cancelled() => {}
        _ = &mut input, if has_input => {
            if once && !tty {
                sandbox.close_stdin(container).await?;
                tokio::select! { () = &mut outputs => done = true, () = peer.gone.cancelled() => {} }
            }
        }
    }
    if once && !tty && has_input {
        // Whoever attached was the only one to write to it.
        let _ = sandbox.close_stdin(container).await;
    }
    input.abort();
    over.cancel();
    if !done {
        outputs.await;
    }
    Ok(())
}

/// From the client to the container.
struct Input {
    stdin: Option<(mpsc::Receiver<Bytes>, Arc<Pipe>)>,
    resize: Option<(mpsc::Receiver<Bytes>, Arc<Pipe>)>,
}

impl Input {
    fn new(held: &Held, peer: &mut Peer) -> Self {
        Self { stdin: peer.stdin.take().zip(held.stdin.clone()), resize: peer.resize.take().zip(held.terminal.clone()) }
    }

    /// Until both have ended.
    async fn run(self) {
        let stdin = async {
            let Some((mut from, to)) = self.stdin else { return };
            while let Some(bytes) = from.recv().await {
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        let resize = async {
            let Some((mut from, to)) = self.resize else { return };
            while let Some(bytes) = from.recv().await {
                if let Some((columns, rows)) = size(&bytes) {
                    // A terminal that has gone has no size.
                    let _ = to.resize(columns, rows);
                }
            }
        };
        tokio::join!(stdin, resize);
    }
}

/// The last size in a piece of a stream of JSON objects.
fn size(bytes: &[u8]) -> Option<(u16, u16)> {
    let sizes = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let last = sizes.map_while(Result::ok).last()?;
    let number = |name: &str| last.get(name).and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok());
    // Some clients do not know their own size at first.
    Some((number("Width")?, number("Height")?)).filter(|(columns, rows)| *columns > 0 && *rows > 0)
}

fn copy_out(held: Held, peer: &Peer, over: &CancellationToken) -> JoinSet<()> {
    let mut copies = JoinSet::new();
    for (pipe, sink) in [(held.stdout, &peer.stdout), (held.stderr, &peer.stderr)] {
        if let (Some(pipe), Some(sink)) = (pipe, sink.clone()) {
            copies.spawn(copy(pipe, sink, over.clone()));
        }
    }
    copies
}

/// Until the end of the stream; once it is over, what is there already is the last.
async fn copy(pipe: Arc<Pipe>, sink: Sink, over: CancellationToken) {
    let mut buffer = vec![0; PIECE];
    loop {
        let read = tokio::select! {
            biased;
            read = pipe.read(&mut buffer) => read.ok(),
            () = over.cancelled() => pipe.read_now(&mut buffer).ok().flatten(),
        };
        match read {
            Some(read) if read > 0 => {
                if sink.send(Bytes::copy_from_slice(&buffer[..read])).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_size_counts() {
        assert_eq!(size(br#"{"Width":80,"Height":24}"#), Some((80, 24)));
        assert_eq!(size(b"{\"Width\":80,\"Height\":24}\n{\"Width\":100,\"Height\":30}\n"), Some((100, 30)));
        for bad in
            ["", "{", r#"{"Width":-1,"Height":2}"#, r#"{"Width":70000,"Height":2}"#, r#"{"Width":0,"Height":2}"#, "7"]
        {
            assert_eq!(size(bad.as_bytes()), None, "{bad}");
        }
    }
}
