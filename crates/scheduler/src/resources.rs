//! What pods ask for and what nodes offer, in whole numbers: CPU in thousandths, all else in units.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Pod},
    apimachinery::pkg::api::resource::Quantity,
};

/// Amounts by resource name.
pub(crate) type Amounts = BTreeMap<String, i64>;

/// A quantity as a whole number: thousandths for `cpu`, units rounded up otherwise.
pub(crate) fn amount(name: &str, quantity: &Quantity) -> i64 {
    let Ok(parsed) = quantity.0.parse::<skiff_api::quantity::Quantity>() else { return 0 };
    if name == "cpu" { parsed.millis() } else { parsed.units() }
}

/// A list of quantities as whole numbers.
pub(crate) fn amounts(list: Option<&BTreeMap<String, Quantity>>) -> Amounts {
    list.into_iter().flatten().map(|(name, quantity)| (name.clone(), amount(name, quantity))).collect()
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *total.entry(name.clone()).or_default() += amount;
    }
}

fn raise(total: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let held = total.entry(name.clone()).or_default();
        *held = (*held).max(*amount);
    }
}

fn requests(container: &Container) -> Amounts {
    amounts(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()))
}

/// What a pod asks for: its containers and sidecars together, or its largest init container with the
/// sidecars before it, whichever is more; plus its overhead (KEP-753).
pub(crate) fn of_pod(pod: &Pod) -> Amounts {
    let Some(spec) = &pod.spec else { return Amounts::new() };
    let mut running = Amounts::new();
    spec.containers.iter().for_each(|container| add(&mut running, &requests(container)));
    let (mut sidecars, mut peak) = (Amounts::new(), Amounts::new());
    for container in spec.init_containers.iter().flatten() {
        let mut now = sidecars.clone();
        add(&mut now, &requests(container));
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars = now.clone();
        }
        raise(&mut peak, &now);
    }
    add(&mut running, &sidecars);
    raise(&mut running, &peak);
    add(&mut running, &amounts(spec.overhead.as_ref()));
    running
}
