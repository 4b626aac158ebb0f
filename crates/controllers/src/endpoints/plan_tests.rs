//! Layout of endpoints by example.

use serde_json::json;

use super::*;

fn service(target: serde_json::Value) -> Service {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "d", "uid": "u"},
        "spec": {"selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": target}]}
    }))
    .unwrap()
}

fn pod(number: usize, ready: bool, port: i32) -> Arc<Pod> {
    let condition = json!({"type": "Ready", "status": if ready { "True" } else { "False" }});
    Arc::new(
        serde_json::from_value(json!({
            "metadata": {"name": format!("p{number}"), "labels": {"app": "a"}},
            "spec": {"nodeName": "n", "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": port}]}]},
            "status": {"phase": "Running", "podIP": format!("10.1.{}.{}", number / 250, number % 250), "conditions": [condition]}
        }))
        .unwrap(),
    )
}

fn stored(mut slice: EndpointSlice, name: &str) -> Arc<EndpointSlice> {
    slice.metadata.name = Some(name.to_owned());
    Arc::new(slice)
}

#[test]
fn a_change_of_one_pod_touches_one_slice() {
    let pods: Vec<_> = (1..=250).map(|number| pod(number, true, 80)).collect();
    let first = slices(&service(json!(80)), &pods, &[]);
    assert_eq!(
        first.create.iter().map(|slice| slice.endpoints.as_ref().unwrap().len()).collect::<Vec<_>>(),
        [100, 100, 50]
    );
    let held: Vec<_> =
        first.create.into_iter().enumerate().map(|(n, slice)| stored(slice, &format!("web-{n}"))).collect();
    assert_eq!(slices(&service(json!(80)), &pods, &held), Changes::default());
    let mut fewer = pods;
    fewer.remove(7);
    let next = slices(&service(json!(80)), &fewer, &held);
    assert_eq!((next.create.len(), next.update.len(), next.delete.len()), (0, 1, 0));
}

#[test]
fn named_ports_that_differ_make_slices_that_differ() {
    let next = slices(&service(json!("http")), &[pod(1, true, 80), pod(2, true, 8080), pod(3, true, 80)], &[]);
    let sizes: Vec<_> = next.create.iter().map(|slice| slice.endpoints.as_ref().unwrap().len()).collect();
    assert_eq!(sizes.len(), 2);
    assert_eq!(sizes.iter().sum::<usize>(), 3);
}

#[test]
fn a_terminating_pod_serves_but_is_not_ready() {
    let mut going = Pod::clone(&pod(1, true, 80));
    going.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    let going = Arc::new(going);
    let next = slices(&service(json!(80)), std::slice::from_ref(&going), &[]);
    let conditions = next.create[0].endpoints.as_ref().unwrap()[0].conditions.clone().unwrap();
    assert_eq!((conditions.ready, conditions.serving, conditions.terminating), (Some(false), Some(true), Some(true)));
    assert_eq!(subsets(&service(json!(80)), &[going]).0, [], "Endpoints know nothing of terminating pods");
}

#[test]
fn a_slice_that_serves_nobody_goes() {
    let web = service(json!(80));
    let made = slices(&web, &[pod(1, true, 80)], &[]).create.remove(0);
    let held = [stored(made, "web-1")];
    let next = slices(&web, &[], &held);
    assert_eq!(next.delete.len(), 1);
}

#[test]
fn endpoints_list_ready_and_unready() {
    let (subsets, over) = subsets(&service(json!(80)), &[pod(2, true, 80), pod(1, true, 80), pod(3, false, 80)]);
    let addresses = |list: &Option<Vec<EndpointAddress>>| -> Vec<String> {
        list.iter().flatten().map(|one| one.ip.clone()).collect()
    };
    assert!(!over);
    assert_eq!(addresses(&subsets[0].addresses), ["10.1.0.1", "10.1.0.2"]);
    assert_eq!(addresses(&subsets[0].not_ready_addresses), ["10.1.0.3"]);
}
