//! The kinds of `storage.k8s.io`: which sorts of volumes there are, who provides them, and where they
//! are attached.

mod print;
mod validate;

use serde_json::{Value, json};

use crate::resource::{Column, Resource, Rules, Subresource, Unheeded};
use crate::validate::names;
use crate::value::{Read as _, fill, object};

const GROUP: &str = "storage.k8s.io";
const ATTACHMENT: &str = "io.k8s.api.storage.v1.VolumeAttachment";

pub(super) static STORAGE_CLASSES: Resource = Resource {
    group: GROUP,
    kind: "StorageClass",
    plural: "storageclasses",
    singular: "storageclass",
    short_names: &["sc"],
    type_name: "io.k8s.api.storage.v1.StorageClass",
    unheeded: Some(Unheeded::but("nothing acts on it: skiff has no PersistentVolume controller yet")),
    columns: &[
        Column::NAME,
        Column::new("Provisioner", "Who makes its volumes."),
        Column::new("ReclaimPolicy", "What becomes of a volume that is released."),
        Column::new("VolumeBindingMode", "When volumes are made and bound."),
        Column::new("AllowVolumeExpansion", "Whether volumes can grow."),
        Column::AGE,
    ],
    rules: Rules {
        default: |class| {
            fill(class, "reclaimPolicy", "Delete");
            fill(class, "volumeBindingMode", "Immediate");
        },
        validate: validate::class,
        validate_update: validate::class_update,
        cells: print::class,
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

pub(super) static VOLUME_ATTRIBUTES_CLASSES: Resource = Resource {
    group: GROUP,
    kind: "VolumeAttributesClass",
    plural: "volumeattributesclasses",
    singular: "volumeattributesclass",
    short_names: &["vac"],
    type_name: "io.k8s.api.storage.v1.VolumeAttributesClass",
    unheeded: Some(Unheeded::but("nothing acts on it: skiff has no PersistentVolume controller yet")),
    columns: &[Column::NAME, Column::new("DriverName", "Who gives volumes these attributes."), Column::AGE],
    rules: Rules {
        validate: validate::attributes,
        validate_update: validate::attributes_update,
        cells: print::attributes,
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

pub(super) static CSI_DRIVERS: Resource = Resource {
    group: GROUP,
    kind: "CSIDriver",
    plural: "csidrivers",
    singular: "csidriver",
    type_name: "io.k8s.api.storage.v1.CSIDriver",
    unheeded: Some(Unheeded::but("nothing acts on it: skiff's kubelet runs no CSI drivers yet")),
    columns: &[
        Column::NAME,
        Column::new("AttachRequired", "Whether its volumes have to be attached to nodes.").boolean(),
        Column::new("PodInfoOnMount", "Whether it is told about the pod.").boolean(),
        Column::new("StorageCapacity", "Whether it says how much room there is.").boolean(),
        Column::new("TokenRequests", "The audiences of the tokens it is given."),
        Column::new("RequiresRepublish", "Whether volumes are published again and again.").boolean(),
        Column::new("Modes", "How its volumes may be used."),
        Column::AGE,
    ],
    rules: Rules {
        default: default_driver,
        validate: validate::driver,
        validate_update: validate::driver_update,
        cells: print::driver,
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

pub(super) static CSI_NODES: Resource = Resource {
    group: GROUP,
    kind: "CSINode",
    plural: "csinodes",
    singular: "csinode",
    type_name: "io.k8s.api.storage.v1.CSINode",
    unheeded: Some(Unheeded::but("nothing acts on it: skiff's kubelet runs no CSI drivers yet")),
    columns: &[Column::NAME, Column::new("Drivers", "How many drivers there are on the node.").integer(), Column::AGE],
    rules: Rules {
        validate: validate::node,
        validate_update: validate::node_update,
        cells: print::node,
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

pub(super) static CSI_STORAGE_CAPACITIES: Resource = Resource {
    group: GROUP,
    kind: "CSIStorageCapacity",
    plural: "csistoragecapacities",
    singular: "csistoragecapacity",
    type_name: "io.k8s.api.storage.v1.CSIStorageCapacity",
    unheeded: Some(Unheeded::but("nothing acts on it: skiff's scheduler does not look at the capacity of storage yet")),
    columns: &[
        Column::NAME,
        Column::new("StorageClassName", "The class whose volumes could be made."),
        Column::new("Capacity", "How much room there is."),
    ],
    rules: Rules {
        validate: validate::capacity,
        validate_update: validate::capacity_update,
        cells: print::capacity,
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

pub(super) static VOLUME_ATTACHMENTS: Resource = Resource {
    group: GROUP,
    kind: "VolumeAttachment",
    plural: "volumeattachments",
    singular: "volumeattachment",
    subresources: &[Subresource::of_kind("status", GROUP, "VolumeAttachment", ATTACHMENT)],
    type_name: ATTACHMENT,
    unheeded: Some(Unheeded::but("nothing acts on it: skiff has no controller that attaches volumes yet")),
    columns: &[
        Column::NAME,
        Column::new("Attacher", "Who attaches it.").format("name"),
        Column::new("PV", "The volume."),
        Column::new("Node", "The node it belongs on."),
        Column::new("Attached", "Whether it is attached.").boolean(),
        Column::AGE,
    ],
    rules: Rules {
        name: names::subdomain_name,
        validate: validate::attachment,
        validate_update: validate::attachment_update,
        initial_status: Some(|_| json!({"attached": false})),
        cells: print::attachment,
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

fn default_driver(driver: &mut Value) {
    let Some(spec) = object(driver, "spec") else { return };
    fill(spec, "attachRequired", true);
    fill(spec, "podInfoOnMount", false);
    fill(spec, "storageCapacity", false);
    fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    fill(spec, "requiresRepublish", false);
    fill(spec, "seLinuxMount", false);
    if !spec.has("volumeLifecycleModes") {
        spec["volumeLifecycleModes"] = json!(["Persistent"]);
    }
}
