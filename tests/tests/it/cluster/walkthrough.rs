//! The main job: a Deployment behind every type of Service, seen by kubectl, skiff and curl.

use super::{answered_by_all, apply, deploy, field, field_becomes, get, lab};

#[test]
fn services_answer_from_all_pods() {
    let Some(lab) = lab(&[]) else { return };
    deploy(&lab, "httpenv", 5);
    lab.kubectl(&["expose", "deployment/httpenv", "--port", "8888"]).ok();
    lab.kubectl(&["expose", "deployment/httpenv", "--port", "8888", "--name", "httpenv-my-np", "--type", "NodePort"])
        .ok();
    lab.kubectl(&[
        "expose",
        "deployment/httpenv",
        "--port",
        "8888",
        "--name",
        "httpenv-my-lb",
        "--type",
        "LoadBalancer",
    ])
    .ok();
    let ip = field(&lab, &["service", "httpenv"], "{.spec.clusterIP}");
    let port = field(&lab, &["service", "httpenv-my-np"], "{.spec.ports[0].nodePort}");
    answered_by_all(&lab, &format!("{ip}:8888"), 5);
    answered_by_all(&lab, &format!("localhost:{port}"), 5);
    field_becomes(&lab, &["service", "httpenv-my-lb"], "{.status.loadBalancer.ingress[0].hostname}", "localhost");
    answered_by_all(&lab, "localhost:8888", 5);

    let table = lab.kubectl(&["get", "services"]).ok();
    assert!(table.starts_with("NAME            TYPE           CLUSTER-IP"), "{table}");
    assert!(
        table.lines().any(|line| line.starts_with("httpenv-my-lb   LoadBalancer") && line.contains(" localhost ")),
        "{table}"
    );
    assert!(table.lines().any(|line| line.starts_with("kubernetes") && line.contains("10.96.0.1")), "{table}");
    let endpoints = field(&lab, &["endpoints", "httpenv"], "{.subsets[0].addresses[*].ip}");
    assert_eq!(endpoints.split(' ').count(), 5, "{endpoints}");
    assert_eq!(lab.skiff(&["get", "services"]).ok().lines().next(), table.lines().next());

    lab.kubectl(&["delete", "service", "httpenv", "httpenv-my-lb"]).ok();
    assert!(get(&lab, "localhost:8888").is_err(), "the listener is gone at once");
    assert!(get(&lab, &format!("{ip}:8888")).is_err(), "the address is refused at once");
}

#[test]
fn the_same_with_skiff_alone() {
    let Some(lab) = lab(&[]) else { return };
    lab.skiff(&["create", "deployment", "httpenv", "--image=httpenv"]).ok();
    assert_eq!(lab.skiff(&["scale", "deployment/httpenv", "--replicas=5"]).ok(), "deployment.apps/httpenv scaled\n");
    lab.skiff(&["rollout", "status", "deployment/httpenv", "--timeout=20s"]).ok();
    assert_eq!(lab.skiff(&["expose", "deployment/httpenv", "--port", "8888"]).ok(), "service/httpenv exposed\n");
    let ip = lab.skiff(&["get", "service", "httpenv", "-o", "jsonpath={.spec.clusterIP}"]).ok();
    answered_by_all(&lab, &format!("{ip}:8888"), 5);
    let wide = lab.skiff(&["get", "endpoints", "httpenv", "-o", "wide"]).ok();
    assert!(wide.contains(":8888"), "{wide}");
    let logs = lab.skiff(&["logs", "deployment/httpenv"]).ok();
    assert!(logs.contains("8888"), "{logs}");
    assert!(lab.skiff(&["describe", "service", "httpenv"]).ok().contains("Endpoints:"));
    assert_eq!(lab.skiff(&["delete", "deployment", "httpenv"]).ok(), "deployment.apps \"httpenv\" deleted\n");
}

#[test]
fn pods_find_services_by_name() {
    let Some(lab) = lab(&[]) else { return };
    deploy(&lab, "httpenv", 2);
    lab.kubectl(&["expose", "deployment/httpenv", "--port", "8888"]).ok();
    for name in ["httpenv", "httpenv.default", "httpenv.default.svc", "httpenv.default.svc.cluster.local"] {
        let pod = format!("client-{}", name.replace('.', "-"));
        let url = format!("http://{name}:8888/");
        lab.kubectl(&["run", &pod, "--image=httpenv", "--restart=Never", "--", "get", &url]).ok();
        field_becomes(&lab, &["pod", &pod], "{.status.phase}", "Succeeded");
        let logs = lab.kubectl(&["logs", &pod]).ok();
        assert!(logs.contains("HOSTNAME"), "{name}: {logs}");
    }
}

#[test]
fn an_external_name_is_followed_and_can_be_pointed_elsewhere() {
    let Some(lab) = lab(&[]) else { return };
    for name in ["one", "two"] {
        deploy(&lab, name, 1);
        lab.kubectl(&["expose", &format!("deployment/{name}"), "--port", "8888"]).ok();
    }
    let target = |name: &str| format!("{name}.default.svc.cluster.local");
    lab.kubectl(&["create", "service", "externalname", "alias", "--external-name", &target("one")]).ok();
    for name in ["one", "two"] {
        let patch = format!("{{\"spec\":{{\"externalName\":\"{}\"}}}}", target(name));
        lab.kubectl(&["patch", "service", "alias", "-p", &patch]).ok();
        let pod = format!("client-{name}");
        lab.kubectl(&["run", &pod, "--image=httpenv", "--restart=Never", "--", "get", "http://alias:8888/"]).ok();
        field_becomes(&lab, &["pod", &pod], "{.status.phase}", "Succeeded");
        let logs = lab.kubectl(&["logs", &pod]).ok();
        assert!(logs.contains(&format!("{name}-")), "{logs}");
    }
}

#[test]
fn namespaces_keep_equal_names_apart() {
    let Some(lab) = lab(&[]) else { return };
    for namespace in ["red", "blue"] {
        lab.kubectl(&["create", "namespace", namespace]).ok();
        lab.kubectl(&["-n", namespace, "create", "deployment", "web", "--image=httpenv"]).ok();
        lab.kubectl(&["-n", namespace, "set", "env", "deployment/web", &format!("COLOUR={namespace}")]).ok();
        lab.kubectl(&["-n", namespace, "rollout", "status", "deployment/web", "--timeout=20s"]).ok();
        lab.kubectl(&["-n", namespace, "expose", "deployment/web", "--port", "8888"]).ok();
    }
    for namespace in ["red", "blue"] {
        let ip = field(&lab, &["-n", namespace, "service", "web"], "{.spec.clusterIP}");
        let body = skiff_tests::eventually("the service answers", std::time::Duration::from_secs(5), || {
            get(&lab, &format!("{ip}:8888"))
        });
        assert!(body.contains(&format!("\"COLOUR\": \"{namespace}\"")), "{body}");
    }
}

#[test]
fn a_second_load_balancer_on_a_port_gets_its_own_address() {
    let Some(lab) = lab(&[]) else { return };
    deploy(&lab, "web", 1);
    for name in ["first", "second"] {
        lab.kubectl(&["expose", "deployment/web", "--port", "8888", "--name", name, "--type", "LoadBalancer"]).ok();
        let path = "{.status.loadBalancer.ingress[0]}";
        skiff_tests::eventually("an address", std::time::Duration::from_secs(5), || {
            let ingress = field(&lab, &["service", name], path);
            if ingress.is_empty() { Err("pending".to_owned()) } else { Ok(()) }
        });
    }
    let own = field(&lab, &["service", "second"], "{.status.loadBalancer.ingress[0].ip}");
    assert!(own.starts_with("127."), "{own}");
    answered_by_all(&lab, &format!("{own}:8888"), 1);
    answered_by_all(&lab, "127.0.0.1:8888", 1);
}

#[test]
fn every_example_applies() {
    let Some(lab) = lab(&[]) else { return };
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let applied = apply(&lab, &std::fs::read_to_string(&path).unwrap());
            assert!(applied.contains("created") || applied.contains("configured"), "{}: {applied}", path.display());
            count += 1;
        }
    }
    assert!(count >= 3, "{count} examples");
    lab.kubectl(&["wait", "--for=condition=Available", "deployment", "--all", "--all-namespaces", "--timeout=30s"])
        .ok();
}
