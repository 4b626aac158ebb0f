//! Jobs and CronJobs: selectors that the server makes, what may change, schedules.

use serde_json::{Value, json};

use crate::{made, problems, updated};

fn pods() -> Value {
    json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}})
}

fn job() -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": pods()}})
}

fn cron_job() -> Value {
    json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "j"},
        "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": pods()}}}})
}

#[test]
fn a_job_gets_a_selector_of_its_own() {
    let new = made("Job", &job());
    let spec = &new["spec"];
    assert_eq!(spec["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u1"}}));
    let labels = json!({
        "batch.kubernetes.io/controller-uid": "u1", "controller-uid": "u1",
        "batch.kubernetes.io/job-name": "j", "job-name": "j",
    });
    assert_eq!((&spec["template"]["metadata"]["labels"], &new["metadata"]["labels"]), (&labels, &labels));
    assert_eq!((&spec["completions"], &spec["parallelism"], &spec["backoffLimit"]), (&json!(1), &json!(1), &json!(6)));
    assert_eq!(
        (&spec["completionMode"], &spec["podReplacementPolicy"]),
        (&json!("NonIndexed"), &json!("TerminatingOrFailed"))
    );
    assert_eq!(problems("Job", &job()), [""; 0]);
}

#[test]
fn bad_jobs_are_refused() {
    let table: [(&str, Value, &str); 6] = [
        (
            "/spec/template/spec/restartPolicy",
            json!("Always"),
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ),
        ("/spec/parallelism", json!(-1), "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
        (
            "/spec/selector",
            json!({"matchLabels": {"a": "b"}}),
            "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"batch.kubernetes.io/controller-uid\":\"u1\"}}: \
             `selector` not auto-generated",
        ),
        ("/spec/backoffLimitPerIndex", json!(1), "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed"),
        (
            "/spec/podFailurePolicy",
            json!({"rules": [{"action": "FailJob"}]}),
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes",
        ),
        ("/spec/template/spec/containers", json!([]), "spec.template.spec.containers: Required value"),
    ];
    for (pointer, value, message) in table {
        let mut bad = job();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[field] = value;
        let found = problems("Job", &bad);
        assert!(found.iter().any(|p| p.starts_with(message)), "{pointer}: {found:#?}");
    }
}

#[test]
fn a_job_that_has_begun_keeps_its_template() {
    let old = made("Job", &job());
    let change = |job: &mut Value| job["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "b"});
    let (_, found) = updated("Job", &old, change);
    assert!(found[0].starts_with("spec.template: Invalid value:") && found[0].ends_with("field is immutable"));
    let mut waiting = old.clone();
    waiting["spec"]["suspend"] = json!(true);
    assert_eq!(updated("Job", &waiting, change).1, [""; 0]);
    assert_eq!(updated("Job", &old, |job| job["spec"]["parallelism"] = json!(5)).1, [""; 0]);
    let (_, found) = updated("Job", &old, |job| job["spec"]["completions"] = json!(5));
    assert_eq!(found, ["spec.completions: Invalid value: 5: field is immutable"]);
}

#[test]
fn a_cron_job_is_completed_and_checked() {
    let new = made("CronJob", &cron_job());
    let spec = &new["spec"];
    assert_eq!((&spec["concurrencyPolicy"], &spec["suspend"]), (&json!("Allow"), &json!(false)));
    assert_eq!((&spec["successfulJobsHistoryLimit"], &spec["failedJobsHistoryLimit"]), (&json!(3), &json!(1)));
    assert_eq!(spec["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"], "ClusterFirst");
    assert!(spec["jobTemplate"]["spec"].get("backoffLimit").is_none());
    assert_eq!(problems("CronJob", &cron_job()), [""; 0]);
    let table: [(&str, Value, &str); 5] = [
        (
            "/spec/schedule",
            json!("error"),
            "spec.schedule: Invalid value: \"error\": expected exactly 5 fields, found 1: [error]",
        ),
        (
            "/spec/schedule",
            json!("TZ=UTC 0 * * * *"),
            "spec.schedule: Invalid value: \"TZ=UTC 0 * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone",
        ),
        ("/spec/timeZone", json!("Local"), "spec.timeZone: Invalid value: \"Local\": timeZone must be an explicit"),
        ("/spec/concurrencyPolicy", json!("x"), "spec.concurrencyPolicy: Unsupported value: \"x\""),
        ("/metadata/name", json!("a".repeat(53)), "metadata.name: Invalid value"),
    ];
    for (pointer, value, message) in table {
        let mut bad = cron_job();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[field] = value;
        let found = problems("CronJob", &bad);
        assert!(found.iter().any(|p| p.starts_with(message)), "{pointer}: {found:#?}");
    }
}
