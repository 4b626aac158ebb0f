//! PersistentVolume and PersistentVolumeClaim: storage that outlives pods, and the wish for some.

mod validate;

pub(in crate::kinds) use validate::claim as validate_claim;

use serde_json::{Value, json};

use crate::meta;
use crate::print;
use crate::quantity::Quantity;
use crate::resource::{Column, PartRules, Resource, Rules, Subresource, Unheeded};
use crate::value::{Read as _, existing, fill, object, put};

const VOLUME: &str = "io.k8s.api.core.v1.PersistentVolume";
const CLAIM: &str = "io.k8s.api.core.v1.PersistentVolumeClaim";
const CLASS: Column = Column::new("StorageClass", "The class of storage it is of.");
const ATTRIBUTES: Column = Column::new("VolumeAttributesClass", "The class of its changeable attributes.");
const MODE: Column = Column::new("VolumeMode", "Whether it is a file system or a bare device.").wide();
const MODES: Column = Column::new("Access Modes", "How it can be mounted.");
const UNSET: &str = "<unset>";

pub(super) static PERSISTENT_VOLUMES: Resource = Resource {
    kind: "PersistentVolume",
    plural: "persistentvolumes",
    singular: "persistentvolume",
    short_names: &["pv"],
    subresources: &[Subresource::of_kind("status", "", "PersistentVolume", VOLUME)],
    type_name: VOLUME,
    unheeded: Some(Unheeded::but("nothing binds it: skiff has no PersistentVolume controller yet")),
    columns: &[
        Column::NAME,
        Column::new("Capacity", "How much it holds."),
        MODES,
        Column::new("Reclaim Policy", "What becomes of it when its claim is gone."),
        Column::new("Status", "Whether it is free, bound or released."),
        Column::new("Claim", "The claim that it is bound to."),
        CLASS,
        ATTRIBUTES,
        Column::new("Reason", "Why it is in its state."),
        Column::AGE,
        MODE,
    ],
    rules: Rules {
        default: default_volume,
        validate: validate::volume,
        validate_update: validate::volume_update,
        initial_status: Some(|volume| {
            let made = volume["metadata"]["creationTimestamp"].clone();
            json!({"phase": "Pending", "lastPhaseTransitionTime": made})
        }),
        cells: volume_cells,
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

pub(super) static PERSISTENT_VOLUME_CLAIMS: Resource = Resource {
    kind: "PersistentVolumeClaim",
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    short_names: &["pvc"],
    subresources: &[Subresource::of_kind("status", "", "PersistentVolumeClaim", CLAIM)],
    type_name: CLAIM,
    unheeded: Some(Unheeded::but(
        "nothing binds it: skiff has no PersistentVolume controller yet, and its kubelet mounts no claims",
    )),
    columns: &[
        Column::NAME,
        Column::new("Status", "Whether it has a volume."),
        Column::new("Volume", "The volume that it is bound to."),
        Column::new("Capacity", "How much the volume holds."),
        MODES,
        CLASS,
        ATTRIBUTES,
        Column::AGE,
        MODE,
    ],
    rules: Rules {
        default: default_claim,
        validate: |claim, errors| {
            validate::claim(&claim["spec"], &crate::field_error::Path::new("spec"), errors);
        },
        validate_update: validate::claim_update,
        initial_status: Some(|_| json!({"phase": "Pending"})),
        parts: &[("status", PartRules::status(validate::claim_status))],
        prepare_create: |claim| same_sources(claim),
        cells: claim_cells,
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

fn default_volume(volume: &mut Value) {
    let Some(spec) = object(volume, "spec") else { return };
    fill(spec, "persistentVolumeReclaimPolicy", "Retain");
    fill(spec, "volumeMode", "Filesystem");
    default_source(spec);
}

/// What a source in a volume does not say; a pod's volumes have the same.
pub(super) fn default_source(of: &mut Value) {
    const DEFAULTS: &[(&str, &str, &str)] = &[
        ("iscsi", "iscsiInterface", "default"),
        ("rbd", "pool", "rbd"),
        ("rbd", "user", "admin"),
        ("rbd", "keyring", "/etc/ceph/keyring"),
        ("azureDisk", "cachingMode", "ReadWrite"),
        ("azureDisk", "kind", "Shared"),
        ("azureDisk", "fsType", "ext4"),
        ("scaleIO", "storageMode", "ThinProvisioned"),
        ("scaleIO", "fsType", "xfs"),
    ];
    for (name, field, default) in DEFAULTS {
        if let Some(source) = existing(of, name) {
            fill(source, field, *default);
        }
    }
    if let Some(source) = existing(of, "azureDisk") {
        fill(source, "readOnly", false);
    }
    if let Some(path) = existing(of, "hostPath") {
        fill(path, "type", "");
    }
}

/// What a claim does not say, also one in a template.
pub(super) fn default_claim(claim: &mut Value) {
    if let Some(spec) = object(claim, "spec") {
        fill(spec, "volumeMode", "Filesystem");
    }
}

/// The two fields that say where the data come from agree.
fn same_sources(claim: &mut Value) {
    let Some(spec) = object(claim, "spec") else { return };
    match (spec["dataSource"].is_object(), spec["dataSourceRef"].is_object()) {
        (true, false) => put(spec, "dataSourceRef", spec["dataSource"].clone()),
        (false, true) if !spec["dataSourceRef"].has("namespace") => {
            put(spec, "dataSource", spec["dataSourceRef"].clone());
        }
        _ => {}
    }
}

fn amount(value: &Value) -> Value {
    Quantity::from_json(value).unwrap_or(Quantity::ZERO).to_string().into()
}

fn access_modes(of: &Value) -> Value {
    const SHORT: [(&str, &str); 4] =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let modes = of.items("accessModes");
    let list: Vec<&str> = SHORT.iter().filter(|(mode, _)| modes.iter().any(|m| m == mode)).map(|(_, s)| *s).collect();
    list.join(",").into()
}

fn or_unset(text: &str) -> Value {
    if text.is_empty() { UNSET.into() } else { text.into() }
}

fn phase(object: &Value) -> Value {
    if meta::deletion_timestamp(object).is_some() {
        return "Terminating".into();
    }
    object["status"].text("phase").into()
}

/// The class may still be in the annotation where it was at first.
fn class(object: &Value) -> Value {
    let old = meta::annotation(object, "volume.beta.kubernetes.io/storage-class");
    old.unwrap_or(object["spec"].text("storageClassName")).into()
}

fn volume_cells(volume: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let spec = &volume["spec"];
    let claim = &spec["claimRef"];
    let claim =
        if claim.is_object() { format!("{}/{}", claim.text("namespace"), claim.text("name")) } else { String::new() };
    vec![
        meta::name(volume).into(),
        amount(&spec["capacity"]["storage"]),
        access_modes(spec),
        spec.text("persistentVolumeReclaimPolicy").into(),
        phase(volume),
        claim.into(),
        class(volume),
        or_unset(spec.text("volumeAttributesClassName")),
        volume["status"].text("reason").into(),
        print::age(volume, now),
        or_unset(spec.text("volumeMode")),
    ]
}

fn claim_cells(claim: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let (spec, status) = (&claim["spec"], &claim["status"]);
    let bound = spec.has("volumeName");
    vec![
        meta::name(claim).into(),
        phase(claim),
        spec.text("volumeName").into(),
        if bound { amount(&status["capacity"]["storage"]) } else { "".into() },
        if bound { access_modes(status) } else { "".into() },
        class(claim),
        or_unset(spec.text("volumeAttributesClassName")),
        print::age(claim, now),
        or_unset(spec.text("volumeMode")),
    ]
}
