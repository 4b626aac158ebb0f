//! The columns of every kind, as kube-apiserver has them: their names, order, types, formats and priorities.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skiff_api::resource::{self, AnyResource, Column, Durability};
use skiff_api::table::{IncludeObject, table};

/// Each kind's columns. A column of the format `name` ends in `!`, one that is only shown widely in `+`; a
/// number in `#`, a truth in `?`, a date in `@`; all others are strings.
const COLUMNS: &[(&str, &str)] = &[
    ("APIService", "Name!, Service, Available, Age"),
    (
        "CSIDriver",
        "Name!, AttachRequired?, PodInfoOnMount?, StorageCapacity?, TokenRequests, RequiresRepublish?, Modes, Age",
    ),
    ("CSINode", "Name!, Drivers#, Age"),
    ("CSIStorageCapacity", "Name!, StorageClassName, Capacity"),
    ("CertificateSigningRequest", "Name!, Age, SignerName, Requestor, RequestedDuration, Condition"),
    ("ClusterRole", "Name!, Created At@"),
    ("ClusterRoleBinding", "Name!, Role, Age, Users+, Groups+, ServiceAccounts+"),
    ("ConfigMap", "Name!, Data, Age"),
    ("ControllerRevision", "Name!, Controller, Revision, Age"),
    ("CronJob", "Name!, Schedule, Timezone, Suspend?, Active#, Last Schedule, Age, Containers+, Images+, Selector+"),
    ("CustomResourceDefinition", "Name!, Created At@"),
    (
        "DaemonSet",
        "Name!, Desired#, Current#, Ready#, Up-to-date#, Available#, Node Selector, Age, Containers+, Images+, Selector+",
    ),
    ("Deployment", "Name!, Ready, Up-to-date, Available, Age, Containers+, Images+, Selector+"),
    ("DeviceClass", "Name!, Age"),
    ("EndpointSlice", "Name!, AddressType, Ports, Endpoints, Age"),
    // The last one is skiff's own: all addresses, however many there are.
    ("Endpoints", "Name!, Endpoints, Age, All Endpoints+"),
    ("Event", "Last Seen, Type, Reason, Object, Subobject+, Source+, Message, First Seen+, Count+, Name!+"),
    ("FlowSchema", "Name!, PriorityLevel, MatchingPrecedence, DistinguisherMethod, Age, MissingPL"),
    ("HorizontalPodAutoscaler", "Name!, Reference, Targets, MinPods, MaxPods, Replicas, Age"),
    ("IPAddress", "Name!, ParentRef, Age"),
    ("Ingress", "Name!, Class, Hosts, Address, Ports, Age"),
    ("IngressClass", "Name!, Controller, Parameters, Age"),
    ("Job", "Name!, Status, Completions, Duration, Age, Containers+, Images+, Selector+"),
    ("Lease", "Name!, Holder, Age"),
    ("LimitRange", "Name!, Created At@"),
    ("MutatingAdmissionPolicy", "Name!, Mutations#, ParamKind, Age"),
    ("MutatingAdmissionPolicyBinding", "Name!, PolicyName, ParamRef, Age"),
    ("MutatingWebhookConfiguration", "Name!, Webhooks#, Age"),
    ("Namespace", "Name!, Status, Age"),
    ("NetworkPolicy", "Name!, Pod-Selector, Age"),
    (
        "Node",
        "Name!, Status, Roles, Age, Version, Internal-IP+, External-IP+, OS-Image+, Kernel-Version+, Container-Runtime+",
    ),
    (
        "PersistentVolume",
        "Name!, Capacity, Access Modes, Reclaim Policy, Status, Claim, StorageClass, VolumeAttributesClass, Reason, Age, VolumeMode+",
    ),
    (
        "PersistentVolumeClaim",
        "Name!, Status, Volume, Capacity, Access Modes, StorageClass, VolumeAttributesClass, Age, VolumeMode+",
    ),
    ("Pod", "Name!, Ready, Status, Restarts, Age, IP+, Node+, Nominated Node+, Readiness Gates+"),
    ("PodDisruptionBudget", "Name!, Min Available, Max Unavailable, Allowed Disruptions#, Age"),
    ("PodTemplate", "Name!, Containers, Images, Pod Labels"),
    ("PriorityClass", "Name!, Value#, Global-Default?, Age, PreemptionPolicy"),
    ("PriorityLevelConfiguration", "Name!, Type, NominalConcurrencyShares, Queues, HandSize, QueueLengthLimit, Age"),
    ("ReplicaSet", "Name!, Desired#, Current#, Ready#, Age, Containers+, Images+, Selector+"),
    ("ReplicationController", "Name!, Desired#, Current#, Ready#, Age, Containers+, Images+, Selector+"),
    ("ResourceClaim", "Name!, State, Age"),
    ("ResourceClaimTemplate", "Name!, Age"),
    ("ResourceQuota", "Name!, Request, Limit, Age"),
    ("ResourceSlice", "Name!, Node, Driver, Pool, Age"),
    ("Role", "Name!, Created At@"),
    ("RoleBinding", "Name!, Role, Age, Users+, Groups+, ServiceAccounts+"),
    ("RuntimeClass", "Name!, Handler, Age"),
    ("Secret", "Name!, Type, Data, Age"),
    ("Service", "Name!, Type, Cluster-IP, External-IP, Port(s), Age, Selector+"),
    ("ServiceAccount", "Name!, Secrets, Age"),
    ("ServiceCIDR", "Name!, CIDRs, Age"),
    ("StatefulSet", "Name!, Ready, Age, Containers+, Images+"),
    ("StorageClass", "Name!, Provisioner, ReclaimPolicy, VolumeBindingMode, AllowVolumeExpansion, Age"),
    ("ValidatingAdmissionPolicy", "Name!, Validations#, ParamKind, Age"),
    ("ValidatingAdmissionPolicyBinding", "Name!, PolicyName, ParamRef, Age"),
    ("ValidatingWebhookConfiguration", "Name!, Webhooks#, Age"),
    ("VolumeAttachment", "Name!, Attacher!, PV, Node, Attached?, Age"),
    ("VolumeAttributesClass", "Name!, DriverName, Age"),
];

fn written(column: &Column) -> String {
    let format = if column.format == "name" { "!" } else { column.format };
    let wide = if column.priority == 1 { "+" } else { "" };
    let type_ = match column.type_ {
        "string" => "",
        "integer" => "#",
        "boolean" => "?",
        "date" => "@",
        other => other,
    };
    format!("{}{type_}{format}{wide}", column.name)
}

#[test]
fn every_kind_has_the_columns_of_kube_apiserver() {
    let mut expected: BTreeMap<&str, &str> = COLUMNS.iter().copied().collect();
    for kind in resource::all().iter().filter(|kind| kind.durability != Durability::Virtual) {
        let columns: Vec<String> = kind.columns.iter().map(written).collect();
        let known = expected.get(kind.kind).unwrap_or_else(|| panic!("no columns are known for {}", kind.kind));
        assert_eq!(columns.join(", "), *known, "{}", kind.kind);
    }
    expected.retain(|known, _| !resource::all().iter().any(|kind| kind.kind == *known));
    assert!(expected.is_empty(), "{expected:?}");
}

#[test]
fn cells_are_those_of_kube_apiserver() {
    const NOW: &str = "2026-01-02T03:23:00Z";
    let table: Vec<(String, Value, Value)> = serde_json::from_str(include_str!("columns/cells.json")).unwrap();
    for (kind, mut object, expected) in table {
        object["metadata"]["name"] = json!("x");
        object["metadata"]["creationTimestamp"] = json!(NOW);
        let cells = crate::kind(&kind).cells(&object, NOW.parse().unwrap());
        assert_eq!(Value::from(cells), expected, "{kind} {object}");
    }
}

#[test]
fn rows_of_pods_that_have_done_their_work_say_so() {
    let pods = AnyResource::Builtin(crate::kind("Pod"));
    let row = |phase: &str| {
        let pod = json!({"metadata": {"name": "x"}, "status": {"phase": phase}});
        let now = "2026-01-02T03:23:00Z".parse().unwrap();
        table(&pods, [&pod], json!({}), IncludeObject::None, true, now)["rows"][0].clone()
    };
    let ended = json!([{"type": "Completed", "status": "True", "reason": "Succeeded",
        "message": "The pod has completed successfully."}]);
    assert_eq!(row("Succeeded")["conditions"], ended);
    assert_eq!(row("Failed")["conditions"][0]["message"], "The pod failed.");
    assert!(row("Running").get("conditions").is_none());
}
