//! What is not wrong with a pod and yet not what its author can have meant, or has a successor: told
//! in Warning headers, in the words of kube-apiserver.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::field_error::Path;
use crate::quantity::Quantity;
use crate::value::Read as _;

/// Labels of nodes that have other names today.
const LABELS: &[(&str, &str)] = &[
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    ("failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"),
    ("beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    ("scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
];

/// Annotations that nobody reads any more. One that ends with `/` is followed by a container's name.
const ANNOTATIONS: &[(&str, &str, &str)] = &[
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("seccomp.security.alpha.kubernetes.io/pod", "seccompProfile", SECCOMP),
    ("container.seccomp.security.alpha.kubernetes.io/", "seccompProfile", SECCOMP),
    ("container.apparmor.security.beta.kubernetes.io/", "appArmorProfile", APPARMOR),
];
const SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
const APPARMOR: &str = "deprecated since v1.30; use the \"appArmorProfile\" field instead";

/// Kinds of volumes that are on their way out, or gone.
const VOLUMES: &[(&str, &str)] = &[
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "deprecated in v1.11"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";

/// Collects what is to be told.
struct Warnings(Vec<String>);

impl Warnings {
    fn tell(&mut self, at: &Path<'_>, what: &str) {
        self.0.push(format!("{at}: {what}"));
    }
}

/// What is to be told about a pod.
pub(super) fn pod(object: &Value) -> Vec<String> {
    let mut all = Warnings(Vec::new());
    annotations(object, &Path::new("metadata"), &mut all);
    spec(&object["spec"], &Path::new("spec"), &mut all);
    all.0
}

/// The same about the template in the `spec` of what makes pods.
pub(in crate::kinds) fn template(object: &Value) -> Vec<String> {
    let root = Path::new("spec");
    template_at(&object["spec"]["template"], &root.child("template"))
}

/// The same about a template at that path.
pub(in crate::kinds) fn template_at(template: &Value, at: &Path<'_>) -> Vec<String> {
    let mut all = Warnings(Vec::new());
    annotations(template, &at.child("metadata"), &mut all);
    spec(&template["spec"], &at.child("spec"), &mut all);
    all.0
}

fn annotations(pod: &Value, metadata: &Path<'_>, all: &mut Warnings) {
    let at = metadata.child("annotations");
    let context = &pod["spec"]["securityContext"];
    for (key, _) in pod["metadata"].entries("annotations") {
        for (known, successor, what) in ANNOTATIONS {
            let container = known.ends_with('/').then(|| key.strip_prefix(known)).flatten();
            let has = |context: &Value| !successor.is_empty() && context.has(successor);
            let replaced = match container {
                Some(name) => {
                    containers(&pod["spec"]).any(|(_, _, one)| one.text("name") == name && has(&one["securityContext"]))
                }
                None => false,
            };
            if (key == *known || container.is_some()) && !replaced && !has(context) {
                all.tell(&at.key(key), what);
            }
        }
    }
}

/// The containers of a spec with the list each stands in and its place there.
fn containers(spec: &Value) -> impl Iterator<Item = (&'static str, usize, &Value)> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(move |list| spec.items(list).iter().enumerate().map(move |(index, one)| (list, index, one)))
}

fn label(key: &str) -> Option<&'static str> {
    LABELS.iter().find(|(known, _)| *known == key).map(|(_, what)| *what)
}

fn spec(spec: &Value, at: &Path<'_>, all: &mut Warnings) {
    for (key, _) in spec.entries("nodeSelector") {
        if let Some(what) = label(key) {
            all.tell(&at.child("nodeSelector").key(key), what);
        }
    }
    affinity(&spec["affinity"], &at.child("affinity"), all);
    for (index, one) in spec.items("topologySpreadConstraints").iter().enumerate() {
        let constraints = at.child("topologySpreadConstraints");
        let at = constraints.index(index);
        if let Some(what) = label(one.text("topologyKey")) {
            all.tell(&at.child("topologyKey"), &format!("{} is {what}", one.text("topologyKey")));
        }
        if one["labelSelector"].is_null() {
            all.tell(&at.child("labelSelector"), NO_SELECTOR);
        }
    }
    for (index, volume) in spec.items("volumes").iter().enumerate() {
        for (kind, what) in VOLUMES.iter().filter(|(kind, _)| !volume[*kind].is_null()) {
            all.tell(&at.child("volumes").index(index).child(kind), what);
        }
    }
    repeated(spec, at, "hostAliases", "ip", all);
    repeated(spec, at, "imagePullSecrets", "name", all);
    fractions(&spec["overhead"], &at.child("overhead"), all);
    for (list, index, container) in containers(spec) {
        let list = at.child(list);
        self::container(container, &list.index(index), all);
    }
    ports(spec, at, all);
    if spec.int("terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        let what = "must be >= 0; negative values are invalid and will be treated as 1";
        all.tell(&at.child("terminationGracePeriodSeconds"), what);
    }
}

fn repeated(spec: &Value, at: &Path<'_>, list: &str, key: &str, all: &mut Warnings) {
    let mut seen = BTreeSet::new();
    for (index, one) in spec.items(list).iter().enumerate() {
        let value = one.text(key);
        let list = at.child(list);
        let item = list.index(index);
        if !seen.insert(value) {
            all.tell(&item.child(key), &format!("duplicate {key} {value:?}"));
        }
        if key == "name" && value.is_empty() {
            all.tell(&item.child(key), "invalid empty name \"\"");
        }
    }
}

fn affinity(affinity: &Value, at: &Path<'_>, all: &mut Warnings) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let node = at.child("nodeAffinity");
    let required = node.child(REQUIRED);
    let terms = required.child("nodeSelectorTerms");
    for (index, term) in affinity["nodeAffinity"][REQUIRED].items("nodeSelectorTerms").iter().enumerate() {
        expressions(term, &terms.index(index), all);
    }
    for (index, term) in affinity["nodeAffinity"].items(PREFERRED).iter().enumerate() {
        let preferred = node.child(PREFERRED);
        expressions(&term["preference"], &preferred.index(index).child("preference"), all);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let pod = at.child(kind);
        for (index, term) in affinity[kind].items(REQUIRED).iter().enumerate() {
            if term["labelSelector"].is_null() {
                all.tell(&pod.child(REQUIRED).index(index).child("labelSelector"), NO_SELECTOR);
            }
        }
        for (index, term) in affinity[kind].items(PREFERRED).iter().enumerate() {
            if term["podAffinityTerm"]["labelSelector"].is_null() {
                let preferred = pod.child(PREFERRED);
                let item = preferred.index(index);
                all.tell(&item.child("podAffinityTerm").child("labelSelector"), NO_SELECTOR);
            }
        }
    }
}

fn expressions(term: &Value, at: &Path<'_>, all: &mut Warnings) {
    for (index, one) in term.items("matchExpressions").iter().enumerate() {
        if let Some(what) = label(one.text("key")) {
            let list = at.child("matchExpressions");
            all.tell(&list.index(index).child("key"), &format!("{} is {what}", one.text("key")));
        }
    }
}

fn container(container: &Value, at: &Path<'_>, all: &mut Warnings) {
    for kind in ["limits", "requests"] {
        fractions(&container["resources"][kind], &at.child("resources").child(kind), all);
    }
    let mut seen = BTreeSet::new();
    for (index, one) in container.items("env").iter().enumerate() {
        let (name, value) = (one.text("name"), one.text("value"));
        let own = format!("$({name})");
        let builds_on_it = one["valueFrom"].is_null() && value != own && value.contains(&own);
        if !seen.insert(name) && !builds_on_it {
            let what = format!("hides previous definition of {name:?}, which may be dropped when using apply");
            all.tell(&at.child("env").index(index), &what);
        }
    }
}

/// Bytes come in whole numbers.
fn fractions(amounts: &Value, at: &Path<'_>, all: &mut Warnings) {
    for name in ["memory", "ephemeral-storage"] {
        let value = &amounts[name];
        if Quantity::from_json(value).is_ok_and(|amount| !amount.is_whole()) {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            all.tell(&at.key(name), &format!("fractional byte value {shown:?} is invalid, must be an integer"));
        }
    }
}

/// Ports that are named twice, by one container or by several.
fn ports(spec: &Value, at: &Path<'_>, all: &mut Warnings) {
    let mut seen: Vec<(&Value, String)> = Vec::new();
    for (list, index, container) in containers(spec) {
        for (number, port) in container.items("ports").iter().enumerate() {
            let list = at.child(list);
            let item = list.index(index);
            let ports = item.child("ports");
            let here = ports.index(number);
            for (other, there) in seen.iter().filter(|(other, _)| same_port(port, other)) {
                if let Some(how) = clash(port, other) {
                    all.tell(&here, &format!("{how} port definition with {there}"));
                }
            }
            seen.push((port, here.to_string()));
        }
    }
}

fn same_port(one: &Value, other: &Value) -> bool {
    let protocol =
        |port: &Value| if port.has("protocol") { port.text("protocol").to_owned() } else { "TCP".to_owned() };
    one.int("containerPort") == other.int("containerPort") && protocol(one) == protocol(other)
}

fn clash(one: &Value, other: &Value) -> Option<&'static str> {
    let host = |port: &Value| port.int("hostPort").unwrap_or_default();
    let (ip, other_ip) = (one.text("hostIP"), other.text("hostIP"));
    match (host(one), host(other)) {
        (a, b) if a == b && ip == other_ip => Some("duplicate"),
        (0, _) | (_, 0) => Some("overlapping"),
        (a, b) if a == b && ip.is_empty() != other_ip.is_empty() => Some("dangerously ambiguous"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_told_names_the_field() {
        let told = pod(&json!({
            "metadata": {"annotations": {"seccomp.security.alpha.kubernetes.io/pod": "x",
                "container.apparmor.security.beta.kubernetes.io/c": "y"}},
            "spec": {
                "nodeSelector": {"beta.kubernetes.io/os": "linux"},
                "imagePullSecrets": [{"name": "a"}, {"name": "a"}],
                "volumes": [{"name": "v", "gitRepo": {}}],
                "containers": [{"name": "c",
                    "securityContext": {"appArmorProfile": {"type": "Unconfined"}},
                    "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}, {"name": "A", "value": "3"}],
                    "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "hostPort": 8}],
                    "resources": {"requests": {"memory": "1500m"}}}],
            },
        }));
        assert_eq!(
            told,
            [
                "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the \"seccompProfile\" field instead",
                "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
                "spec.volumes[0].gitRepo: deprecated in v1.11",
                "spec.imagePullSecrets[1].name: duplicate name \"a\"",
                "spec.containers[0].resources.requests[memory]: fractional byte value \"1500m\" is invalid, must be an integer",
                "spec.containers[0].env[2]: hides previous definition of \"A\", which may be dropped when using apply",
                "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
                "spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[0]",
                "spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[1]",
            ]
        );
    }

    #[test]
    fn an_ordinary_template_is_silent() {
        let spec = json!({"containers": [{"name": "c", "env": [{"name": "A"}, {"name": "B"}], "ports": [{"containerPort": 1}]}]});
        assert!(template(&json!({"spec": {"template": {"metadata": {}, "spec": spec}}})).is_empty());
        let told =
            template(&json!({"spec": {"template": {"spec": {"topologySpreadConstraints": [{"topologyKey": "x"}]}}}}));
        assert_eq!(
            told,
            [
                "spec.template.spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod"
            ]
        );
    }
}
