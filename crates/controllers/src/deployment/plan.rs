//! The arithmetic of a rollout: how far each ReplicaSet goes up or down now. Pure.
//!
//! The rules are those of `apps/v1` Deployment: at most `maxSurge` pods above what is asked, at least
//! `replicas - maxUnavailable` available; old sets give up pods that are not available first.

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::ResourceExt as _;

pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
pub(crate) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(crate) const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
pub(crate) const TEMPLATE_HASH: &str = "pod-template-hash";

/// A set's new size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resize {
    pub(crate) name: String,
    pub(crate) from: i32,
    pub(crate) to: i32,
}

/// The limits of a rolling update, in pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) surge: i32,
    pub(crate) unavailable: i32,
}

/// How many pods a Deployment asks for.
pub(crate) fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// How many pods a set asks for.
pub(crate) fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// How many pods of a set are available.
pub(crate) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or_default()
}

/// Whether old pods must go before new ones come.
pub(crate) fn recreates(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
    strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
}

/// `maxSurge` rounds up, `maxUnavailable` down; where both come to nothing, one pod may be unavailable.
pub(crate) fn limits(deployment: &Deployment) -> Limits {
    let wanted = wanted(deployment);
    if recreates(deployment) {
        return Limits { surge: 0, unavailable: wanted };
    }
    let rolling =
        deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref()?.rolling_update.clone()).unwrap_or_default();
    let surge = pods(rolling.max_surge.as_ref(), wanted, true);
    let unavailable = pods(rolling.max_unavailable.as_ref(), wanted, false).min(wanted);
    match (surge, unavailable) {
        (0, 0) => Limits { surge: 0, unavailable: 1 },
        (surge, unavailable) => Limits { surge, unavailable },
    }
}

fn pods(value: Option<&IntOrString>, wanted: i32, up: bool) -> i32 {
    match value {
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(text)) => percent(text.trim_end_matches('%').parse().unwrap_or(0), wanted, up),
        None => percent(25, wanted, up),
    }
}

fn percent(percent: i64, wanted: i32, up: bool) -> i32 {
    let hundredths = percent * i64::from(wanted);
    let rounded = if up { (hundredths + 99).div_euclid(100) } else { hundredths.div_euclid(100) };
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

/// The next step of a rolling update. `old` are the sets of other templates, oldest first.
pub(crate) fn roll(deployment: &Deployment, new: &ReplicaSet, old: &[ReplicaSet]) -> Vec<Resize> {
    grow(deployment, new, old).map_or_else(|| shrink(deployment, new, old), |resize| vec![resize])
}

fn grow(deployment: &Deployment, new: &ReplicaSet, old: &[ReplicaSet]) -> Option<Resize> {
    let (wanted, has) = (wanted(deployment), size(new));
    if has > wanted {
        return Some(resize(new, wanted));
    }
    let total = has + old.iter().map(size).sum::<i32>();
    let room = (wanted + limits(deployment).surge - total).min(wanted - has);
    (room > 0).then(|| resize(new, has + room))
}

fn shrink(deployment: &Deployment, new: &ReplicaSet, old: &[ReplicaSet]) -> Vec<Resize> {
    let total_old: i32 = old.iter().map(size).sum();
    if total_old == 0 {
        return Vec::new();
    }
    let floor = wanted(deployment) - limits(deployment).unavailable;
    let new_missing = size(new) - available(new);
    let mut may_go = size(new) + total_old - floor - new_missing;
    let mut sizes: Vec<i32> = old.iter().map(size).collect();
    // Pods that serve nobody go first: that frees no availability.
    for (left, set) in sizes.iter_mut().zip(old) {
        let idle = (*left - available(set)).clamp(0, may_go.max(0));
        *left -= idle;
        may_go -= idle;
    }
    let still_available: i32 = old.iter().zip(&sizes).map(|(set, left)| available(set).min(*left)).sum();
    let mut surplus = available(new) + still_available - floor;
    for left in &mut sizes {
        let goes = (*left).min(surplus).max(0);
        *left -= goes;
        surplus -= goes;
    }
    old.iter().zip(sizes).filter(|(set, left)| size(set) != *left).map(|(set, left)| resize(set, left)).collect()
}

fn resize(set: &ReplicaSet, to: i32) -> Resize {
    Resize { name: set.name_any(), from: size(set), to }
}

/// Whether the number of replicas was changed since the sets were last sized.
pub(crate) fn is_scaling(deployment: &Deployment, sets: &[&ReplicaSet]) -> bool {
    sets.iter().any(|set| size(set) > 0 && is_stale(deployment, set))
}

/// Whether a set was sized for another number of replicas.
fn is_stale(deployment: &Deployment, set: &ReplicaSet) -> bool {
    let sized_for: Option<i32> = set.annotations().get(DESIRED).and_then(|text| text.parse().ok());
    sized_for.is_some_and(|desired| desired != wanted(deployment))
}

/// A change of `replicas` in the middle of a rollout (or while paused) is shared out among the sets,
/// in proportion to their size. A set whose share is the size it has is named as well if it was sized
/// for another number: once that is noted on it, the rollout goes on.
pub(crate) fn share(deployment: &Deployment, new: Option<&ReplicaSet>, old: &[ReplicaSet]) -> Vec<Resize> {
    let active: Vec<&ReplicaSet> = new.into_iter().chain(old).filter(|set| size(set) > 0).collect();
    let wanted = wanted(deployment);
    let changes = |set: &ReplicaSet, to: i32| size(set) != to || is_stale(deployment, set);
    match active.as_slice() {
        [] => new.filter(|new| size(new) != wanted).map(|new| resize(new, wanted)).into_iter().collect(),
        [only] => changes(only, wanted).then(|| resize(only, wanted)).into_iter().collect(),
        _ => {
            let shares = proportional(deployment, active);
            shares.into_iter().filter(|(set, to)| changes(set, *to)).map(|(set, to)| resize(set, to)).collect()
        }
    }
}

fn proportional<'a>(deployment: &Deployment, mut active: Vec<&'a ReplicaSet>) -> Vec<(&'a ReplicaSet, i32)> {
    let wanted = wanted(deployment);
    let allowed = if wanted > 0 { wanted + limits(deployment).surge } else { 0 };
    let total: i32 = active.iter().map(|set| size(set)).sum();
    let mut left = allowed - total;
    active.sort_by_key(|set| std::cmp::Reverse(size(set)));
    let mut sizes: Vec<i32> = Vec::with_capacity(active.len());
    for set in &active {
        let was = set.annotations().get(MAXIMUM).and_then(|text| text.parse().ok()).unwrap_or(total).max(1);
        let exact = f64::from(size(set)) * f64::from(allowed) / f64::from(was);
        // Rounded shares are small integers; the cast cannot lose anything that matters.
        #[expect(clippy::cast_possible_truncation, reason = "a share of an i32 fits an i32")]
        let share = exact.round() as i32 - size(set);
        let share = if left >= 0 { share.clamp(0, left) } else { share.clamp(left, 0) };
        left -= share;
        sizes.push(size(set) + share);
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + left).max(0);
    }
    active.into_iter().zip(sizes).collect()
}

/// The name part of a template: stable, short, in the alphabet of names.
pub(crate) fn template_hash(template: &serde_json::Value, collisions: i32) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let text = format!("{template}{collisions}");
    // FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/
    let mut hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut name = String::with_capacity(10);
    for _ in 0..10 {
        let index = usize::try_from(hash % 27).unwrap_or_default();
        name.push(char::from(ALPHABET[index]));
        hash /= 27;
    }
    name
}

#[cfg(test)]
mod tests;
