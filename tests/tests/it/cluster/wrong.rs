//! The wrong ways: each answers as Kubernetes would, and the server lives on.

use super::{apply, field_becomes, lab};

/// What kubectl says to a manifest that must be refused.
fn refused(lab: &skiff_tests::Lab, manifest: &str) -> String {
    let output = lab.run_with("kubectl", &["create", "-f", "-"], manifest);
    assert_eq!(output.code, 1, "{}{}", output.out, output.err);
    output.err
}

fn service(name: &str, ports: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  selector: {{app: a}}\n  ports: [{{{ports}}}]\n{more}"
    )
}

#[test]
fn wrong_objects_are_refused_in_kubernetes_words() {
    let Some(lab) = lab(&[]) else { return };
    let unknown = refused(&lab, &service("a", "port: 80", "  colour: red\n"));
    assert!(unknown.contains("strict decoding error: unknown field \"spec.colour\""), "{unknown}");
    let wrong_type = refused(&lab, &service("a", "port: eighty", ""));
    assert!(
        wrong_type.contains("cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32"),
        "{wrong_type}"
    );
    let name = refused(&lab, &service("A_b", "port: 80", ""));
    assert!(name.contains("a DNS-1035 label must consist of"), "{name}");
    for port in ["0", "70000"] {
        let error = refused(&lab, &service("a", &format!("port: {port}"), ""));
        assert!(error.contains("must be between 1 and 65535, inclusive"), "{error}");
    }
    let range = refused(&lab, &service("a", "port: 80, nodePort: 80", "  type: NodePort\n"));
    assert!(
        range.contains("provided port is not in the valid range. The range of valid ports is 30000-32767"),
        "{range}"
    );
    apply(&lab, &service("taken", "port: 80, nodePort: 31000", "  type: NodePort\n  clusterIP: 10.96.7.7\n"));
    let port = refused(&lab, &service("a", "port: 80, nodePort: 31000", "  type: NodePort\n"));
    assert!(port.contains("provided port is already allocated"), "{port}");
    let address = refused(&lab, &service("a", "port: 80", "  clusterIP: 10.96.7.7\n"));
    assert!(address.contains("provided IP is already allocated"), "{address}");
    lab.kubectl(&["get", "services"]).ok();
}

#[test]
fn a_selector_without_pods_refuses_connections() {
    let Some(lab) = lab(&[]) else { return };
    apply(&lab, &service("lonely", "port: 80", ""));
    let ip = super::field(&lab, &["service", "lonely"], "{.spec.clusterIP}");
    skiff_tests::eventually("connections are refused", std::time::Duration::from_secs(5), || {
        let error = super::get(&lab, &ip).unwrap_err();
        // Curl words it so since 7.x; a time-out would read otherwise.
        if error.contains("refused") || error.contains("Couldn't connect") { Ok(()) } else { Err(error) }
    });
}

#[test]
fn images_and_commands_that_are_not_there() {
    let Some(lab) = lab(&[]) else { return };
    lab.kubectl(&["run", "absent", "--image=127.0.0.1:1/absent:1"]).ok();
    // kubectl itself refuses this one; the server takes it, as Kubernetes's does.
    apply(
        &lab,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: invalid}\nspec:\n  containers: [{name: c, image: UPPER//case}]\n",
    );
    lab.kubectl(&["run", "command", "--image=httpenv", "--command", "--", "/absent"]).ok();
    let reason = "{.status.containerStatuses[0].state.waiting.reason}";
    skiff_tests::eventually("a pull fails", std::time::Duration::from_secs(20), || {
        let reason = super::field(&lab, &["pod", "absent"], reason);
        if ["ErrImagePull", "ImagePullBackOff"].contains(&&*reason) { Ok(()) } else { Err(reason) }
    });
    field_becomes(&lab, &["pod", "invalid"], reason, "InvalidImageName");
    field_becomes(&lab, &["pod", "command"], reason, "CrashLoopBackOff");
    let last = super::field(&lab, &["pod", "command"], "{.status.containerStatuses[0].lastState.terminated.message}");
    assert!(last.contains("/absent") && last.contains("no such file or directory"), "{last}");
    let told = lab.kubectl(&["describe", "pod", "absent"]).ok();
    assert!(told.contains("Failed to pull image"), "{told}");
}

#[test]
fn a_body_of_100_mb_is_refused_early() {
    let Some(lab) = lab(&[]) else { return };
    let socket = lab.folder().join("run/api.sock").display().to_string();
    let script = format!(
        "head -c 100000000 /dev/zero | curl -sS --max-time 20 --unix-socket {socket} -X POST -H 'Content-Type: application/json' \
         --data-binary @- http://localhost/api/v1/namespaces/default/configmaps"
    );
    let output = lab.run("sh", &["-c", &script]);
    assert!(output.out.contains("\"code\":413") || output.err.contains("413"), "{}{}", output.out, output.err);
    lab.kubectl(&["get", "--raw", "/readyz"]).ok();
}

#[test]
fn hostile_archives_are_refused_with_their_reason() {
    let Some(lab) = lab(&[]) else { return };
    let cut = lab.folder().join("cut.tar");
    let whole = std::fs::read(skiff_tests::Binaries::find().ok().unwrap().path("httpenv.tar")).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let output = lab.skiff(&["image", "import", &cut.display().to_string()]);
    assert_ne!(output.code, 0);
    assert!(output.err.contains("cut.tar"), "{}", output.err);
    let output = lab.skiff(&["image", "import", "/absent.tar"]);
    assert!(output.code != 0 && output.err.contains("/absent.tar"), "{}", output.err);
}

#[test]
fn a_second_server_on_one_folder_says_so() {
    let Some(lab) = lab(&[]) else { return };
    let data = lab.folder().join("data").display().to_string();
    let run = lab.folder().join("run2").display().to_string();
    let output = lab.skiff(&["server", "--data-dir", &data, "--run-dir", &run, "--api-port", "7443"]);
    assert_ne!(output.code, 0);
    assert!(output.err.contains(&data), "{}", output.err);
    lab.kubectl(&["get", "nodes"]).ok();
}
