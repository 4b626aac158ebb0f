//! exec, attach, cp, port-forward and proxy with stock kubectl, over WebSockets and over SPDY.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Stdio},
    thread,
    time::Duration,
};

use skiff_tests::{Lab, Output, eventually};

use super::{apply, field_becomes, lab, shell};

/// What makes kubectl speak the newer and the older protocol.
const PROTOCOLS: [[&str; 2]; 2] = [
    ["KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true", "KUBECTL_PORT_FORWARD_WEBSOCKETS=true"],
    ["KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"],
];

fn shell_lab() -> Option<Lab> {
    let lab = lab(&[])?;
    shell::import(&lab).then_some(lab)
}

/// A pod `name` of the shell image with further fields of its container.
fn pod(lab: &Lab, name: &str, script: &str, more: &str) {
    apply(
        lab,
        &format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"name\": {name:?}, \"labels\": {{\"app\": {name:?}}}}}, \
             \"spec\": {{\"terminationGracePeriodSeconds\": 0, \"restartPolicy\": \"Never\", \"containers\": [{{\"name\": \"main\", \
             \"image\": \"shell\", \"imagePullPolicy\": \"Never\", \"command\": [\"sh\", \"-c\", {script:?}]{more}}}]}}}}"
        ),
    );
    field_becomes(lab, &["pod", name], "{.status.phase}", "Running");
}

fn kubectl(lab: &Lab, protocol: [&str; 2], args: &[&str], input: &str) -> Output {
    let mut all = protocol.to_vec();
    all.push("kubectl");
    all.extend(args);
    lab.run_with("env", &all, input)
}

#[test]
fn commands_are_executed() {
    let Some(lab) = shell_lab() else { return };
    pod(&lab, "box", "sleep 100000", "");
    for protocol in PROTOCOLS {
        let exec = |args: &[&str], input: &str| {
            let mut all = vec!["exec"];
            all.extend(args);
            kubectl(&lab, protocol, &all, input)
        };
        assert_eq!(exec(&["box", "--", "echo", "a b"], "").ok(), "a b\n");
        let failed = exec(&["box", "--", "sh", "-c", "echo out; echo err >&2; exit 42"], "");
        assert_eq!((failed.code, failed.out.as_str()), (42, "out\n"));
        assert!(failed.err.contains("err\n") && failed.err.contains("exit code 42"), "{}", failed.err);
        assert_eq!(exec(&["-i", "box", "--", "cat"], "through\n").ok(), "through\n");
        let large = "0123456789abcde\n".repeat(1 << 16);
        assert_eq!(exec(&["-i", "box", "--", "wc", "-c"], &large).ok().trim(), large.len().to_string());
        let long = exec(&["box", "--", "seq", "1", "100000"], "").ok();
        assert!(long.lines().map(|line| line.parse::<u32>().unwrap()).eq(1..=100_000));
        let missing = exec(&["box", "--", "nope"], "");
        assert!(missing.code != 0 && missing.err.contains("executable file not found in $PATH"), "{}", missing.err);
        let nobody = exec(&["box", "-c", "nobody", "--", "true"], "");
        assert!(nobody.err.contains("container nobody is not valid for pod box"), "{}", nobody.err);
        // What stays in the background does not keep the client.
        assert_eq!(exec(&["box", "--", "sh", "-c", "sleep 1000 & echo gone"], "").ok(), "gone\n");
        let words = protocol.join(" ");
        let terminal = format!("{words} kubectl exec -it box -- sh -c 'test -t 0 && tty && echo terminal'");
        let seen = lab.run("script", &["-qec", &terminal, "/dev/null"]).ok();
        assert!(seen.contains("/dev/pts/0") && seen.contains("terminal"), "{seen}");
    }
}

#[test]
fn files_are_copied() {
    let Some(lab) = shell_lab() else { return };
    pod(&lab, "box", "sleep 100000", "");
    let (here, back) = (lab.folder().join("here"), lab.folder().join("back"));
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(&here, &bytes).unwrap();
    for protocol in PROTOCOLS {
        kubectl(&lab, protocol, &["cp", here.to_str().unwrap(), "box:/tmp/there"], "").ok();
        kubectl(&lab, protocol, &["cp", "box:/tmp/there", back.to_str().unwrap()], "").ok();
        assert!(std::fs::read(&back).unwrap() == bytes, "what comes back is what was sent");
        std::fs::remove_file(&back).unwrap();
    }
}

#[test]
fn clients_attach() {
    let Some(lab) = shell_lab() else { return };
    for (at, protocol) in PROTOCOLS.into_iter().enumerate() {
        let name = format!("once-{at}");
        pod(
            &lab,
            &name,
            "while read line; do echo got $line; done; echo over",
            ", \"stdin\": true, \"stdinOnce\": true",
        );
        let seen = kubectl(&lab, protocol, &["attach", "-i", &name], "one\ntwo\n").ok();
        assert!(seen.ends_with("got one\ngot two\nover\n"), "{seen}");
        field_becomes(&lab, &["pod", &name], "{.status.phase}", "Succeeded");
        assert_eq!(lab.kubectl(&["logs", &name]).ok(), "got one\ngot two\nover\n");
        let run = format!("run-{at}");
        let args =
            ["run", &run, "-i", "--rm", "--restart=Never", "--image=shell", "--image-pull-policy=Never", "--", "sh"];
        let ended = kubectl(&lab, protocol, &args, "sleep 1; echo from inside; exit 3\n");
        assert_eq!(ended.code, 3, "{} {}", ended.out, ended.err);
        assert!(ended.out.contains("from inside"), "{}", ended.out);
        let words = protocol.join(" ");
        let terminal = format!(
            "{words} kubectl run tty-{at} -it --rm --restart=Never --image=shell --image-pull-policy=Never -- \
             sh -c 'sleep 1; test -t 0 && tty && echo terminal'"
        );
        let seen = lab.run("script", &["-qec", &terminal, "/dev/null"]);
        assert!(seen.out.contains("terminal"), "{} {}", seen.out, seen.err);
    }
}

/// kubectl, and its output, without a reader of which it would end.
struct Forward {
    child: Child,
    _output: BufReader<ChildStdout>,
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// kubectl with a port of its choice forwarded.
fn forward(lab: &Lab, protocol: [&str; 2], target: &str) -> (Forward, String) {
    let mut command = lab.inside("env");
    command.args(protocol).args(["kubectl", "port-forward", target, ":8080"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let address =
        line.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).unwrap_or_else(|| panic!("{line:?}"));
    (Forward { child, _output: output }, address.to_owned())
}

#[test]
fn ports_are_forwarded() {
    let Some(lab) = shell_lab() else { return };
    pod(&lab, "web", "dd if=/dev/zero of=/www/large bs=1M count=24; exec httpd -f -p 127.0.0.1:8080 -h /www", "");
    eventually("the file is there", Duration::from_secs(20), || {
        let seen = lab.kubectl(&["exec", "web", "--", "wget", "-qO-", "http://127.0.0.1:8080/index.html"]);
        if seen.out == "hello\n" { Ok(()) } else { Err(seen.err) }
    });
    for protocol in PROTOCOLS {
        let (_forward, address) = forward(&lab, protocol, "pod/web");
        let curl = |path: &str| lab.run("curl", &["-sS", "--max-time", "25", &format!("{address}/{path}")]);
        thread::scope(|scope| {
            let large = scope.spawn(|| curl("large").ok());
            let many: Vec<_> = (0..20).map(|_| scope.spawn(|| curl("index.html").ok())).collect();
            assert!(many.into_iter().all(|one| one.join().unwrap() == "hello\n"));
            assert_eq!(large.join().unwrap().len(), 24 << 20);
        });
        assert_eq!(curl("index.html").ok(), "hello\n", "it goes on");
    }
}

#[test]
fn requests_are_passed_on() {
    let Some(lab) = shell_lab() else { return };
    pod(&lab, "web", "exec httpd -f -p 8080 -h /www", ", \"ports\": [{\"containerPort\": 8080}]");
    lab.kubectl(&["expose", "pod", "web", "--port=80", "--target-port=8080"]).ok();
    let raw = |path: &str| lab.kubectl(&["get", "--raw", path]);
    let paths = ["pods/web/proxy/index.html", "pods/web:8080/proxy/index.html", "services/web:80/proxy/index.html"];
    for path in paths {
        let path = format!("/api/v1/namespaces/default/{path}");
        eventually(&path, Duration::from_secs(10), || {
            let seen = raw(&path);
            if seen.out == "hello\n" { Ok(()) } else { Err(seen.err) }
        });
    }
    assert_eq!(raw("/api/v1/nodes/lab/proxy/healthz").ok(), "ok");
    let lost = raw("/api/v1/namespaces/default/services/web:81/proxy/");
    assert!(lost.err.contains("no service port 81 found for service \"web\""), "{}", lost.err);
    assert!(raw("/api/v1/namespaces/default/pods/web/proxy/none").code != 0);
}

#[test]
fn reading_is_not_enough() {
    let Some(lab) = shell_lab() else { return };
    pod(&lab, "box", "sleep 100000", "");
    lab.kubectl(&["create", "role", "look", "--verb=get", "--resource=pods,pods/exec"]).ok();
    lab.kubectl(&["create", "rolebinding", "look", "--role=look", "--user=jane"]).ok();
    for protocol in PROTOCOLS {
        let refused = kubectl(&lab, protocol, &["--as=jane", "exec", "box", "--", "true"], "");
        assert!(refused.err.contains("cannot create resource \"pods/exec\""), "{}", refused.err);
    }
    lab.kubectl(&["create", "role", "do", "--verb=create", "--resource=pods/exec"]).ok();
    lab.kubectl(&["create", "rolebinding", "do", "--role=do", "--user=jane"]).ok();
    for protocol in PROTOCOLS {
        kubectl(&lab, protocol, &["--as=jane", "exec", "box", "--", "true"], "").ok();
    }
}
