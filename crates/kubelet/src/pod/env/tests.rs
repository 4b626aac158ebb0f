//! Environments and commands, by table.

use serde_json::json;

use super::*;

fn run(container: serde_json::Value) -> Result<Vec<String>, String> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "ns"}, "spec": {"containers": [container]}}))
    .unwrap();
    let payload = |pairs: &[(&str, &str)]| {
        let data = pairs.iter().map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec())).collect();
        Some(Arc::new(Payload { data, ..Payload::default() }))
    };
    let objects = BTreeMap::from([
        (Reference::config_map("cm"), payload(&[("a", "1"), ("b.c", "2")])),
        (Reference::secret("sec"), payload(&[("pw", "hunter2")])),
        (Reference::config_map("gone"), None),
    ]);
    let around = Surroundings {
        objects: &objects,
        services: vec![("WEB_SERVICE_HOST".to_owned(), "10.96.0.7".to_owned())],
        addresses: &Addresses { pod: vec!["10.1.0.4".to_owned()], host: vec![] },
        allocatable: &BTreeMap::new(),
    };
    let got = environment(&pod, &super::super::spec(&pod).containers[0], &around).map_err(|error| error.to_string())?;
    Ok(got.into_iter().map(|(k, v)| format!("{k}={v}")).collect())
}

#[test]
fn variables_come_in_order_and_see_the_earlier_ones() {
    let got = run(json!({"name": "c",
        "envFrom": [{"configMapRef": {"name": "cm"}, "prefix": "P_"}, {"secretRef": {"name": "sec"}},
                    {"configMapRef": {"name": "gone", "optional": true}}],
        "env": [
            {"name": "X", "value": "$(P_a)-$(Y)-$(WEB_SERVICE_HOST)"},
            {"name": "Y", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "Z", "valueFrom": {"secretKeyRef": {"name": "sec", "key": "pw"}}},
            {"name": "O", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "no", "optional": true}}},
            {"name": "pw", "value": "mine"},
            {"name": "E"}]}))
    .unwrap();
    let wanted = [
        "P_a=1",
        "P_b.c=2",
        "pw=mine",
        "X=1-$(Y)-10.96.0.7",
        "Y=10.1.0.4",
        "Z=hunter2",
        "E=",
        "WEB_SERVICE_HOST=10.96.0.7",
    ];
    assert_eq!(got, wanted);
}

#[test]
fn what_is_missing_is_said_as_kubernetes_says_it() {
    let table = [
        (json!({"name": "c", "envFrom": [{"configMapRef": {"name": "gone"}}]}), "configmap \"gone\" not found"),
        (json!({"name": "c", "envFrom": [{"secretRef": {"name": "nope"}}]}), "secret \"nope\" not found"),
        (
            json!({"name": "c", "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "zz"}}}]}),
            "couldn't find key zz in ConfigMap ns/cm",
        ),
        (
            json!({"name": "c", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "sec", "key": "zz"}}}]}),
            "couldn't find key zz in Secret ns/sec",
        ),
    ];
    for (container, wanted) in table {
        assert_eq!(run(container).unwrap_err(), wanted);
    }
}

#[test]
fn command_replaces_the_entrypoint_and_args_the_arguments() {
    let table = [
        (json!({"name": "c"}), vec!["/e", "x", "y"]),
        (json!({"name": "c", "args": ["$(A)"]}), vec!["/e", "x", "1"]),
        (json!({"name": "c", "command": ["/c"]}), vec!["/c"]),
        (json!({"name": "c", "command": ["/c"], "args": ["$(A)", "$$(A)", "$(B)"]}), vec!["/c", "1", "$(A)", "$(B)"]),
    ];
    for (container, wanted) in table {
        let container: Container = serde_json::from_value(container).unwrap();
        let env = [("A".to_owned(), "1".to_owned())];
        let (entrypoint, cmd) = (["/e".to_owned(), "x".to_owned()], ["y".to_owned()]);
        assert_eq!(argv(&container, &entrypoint, &cmd, &env), wanted);
    }
}

#[test]
fn the_spec_goes_over_the_image() {
    let image = ["PATH=/bin".to_owned(), "A=image".to_owned()];
    let got = over_image(&image, vec![("A".to_owned(), "own".to_owned())]);
    assert_eq!(got, [("PATH".to_owned(), "/bin".to_owned()), ("A".to_owned(), "own".to_owned())]);
}
