//! Requests and limits as the kernel's numbers, and the quality of service they imply.

use k8s_openapi::{
    api::core::v1::{Container, Pod},
    apimachinery::pkg::api::resource::Quantity,
};

/// A quantity in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount(i64);

impl Amount {
    pub(crate) const ZERO: Self = Self(0);
    pub(crate) const ONE: Self = Self(1000);

    /// The quantity in thousandths, rounded up.
    pub(crate) fn milli(self) -> i64 {
        self.0
    }

    /// The quantity in whole units, rounded up.
    pub(crate) fn units(self) -> i64 {
        self.divided_up(Self::ONE)
    }

    /// How many `divisor`s cover it.
    pub(crate) fn divided_up(self, divisor: Self) -> i64 {
        let divisor = divisor.0.max(1);
        self.0.div_euclid(divisor) + i64::from(self.0.rem_euclid(divisor) != 0)
    }
}

/// What `quantity` says; `None` if it does not parse.
pub(crate) fn amount(quantity: &Quantity) -> Option<Amount> {
    let parsed: skiff_api::quantity::Quantity = quantity.0.parse().ok()?;
    Some(Amount(parsed.millis()))
}

fn limit(container: &Container, resource: &str) -> Option<Amount> {
    amount(container.resources.as_ref()?.limits.as_ref()?.get(resource)?)
}

fn request(container: &Container, resource: &str) -> Option<Amount> {
    let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    requests.and_then(|requests| requests.get(resource)).and_then(amount).or_else(|| limit(container, resource))
}

/// What the kernel enforces for a container or a whole pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// cgroup v1 `cpu.shares`; v2's weight is derived from it.
    pub(crate) cpu_shares: u64,
    /// Microseconds of CPU in each period of 100 ms.
    pub(crate) cpu_quota: Option<u64>,
    /// Bytes of memory.
    pub(crate) memory: Option<u64>,
}

const PERIOD: i64 = 100_000;
const LEAST_QUOTA: i64 = 1_000;
const LEAST_SHARES: i64 = 2;
const MOST_SHARES: i64 = 262_144;

fn shares(milli: i64) -> u64 {
    u64::try_from((milli.saturating_mul(1024) / 1000).clamp(LEAST_SHARES, MOST_SHARES)).unwrap_or_default()
}

fn quota(milli: i64) -> Option<u64> {
    (milli > 0).then(|| u64::try_from((milli.saturating_mul(PERIOD) / 1000).max(LEAST_QUOTA)).unwrap_or(u64::MAX))
}

/// The numbers of one container.
pub(crate) fn of_container(container: &Container) -> Numbers {
    Numbers {
        cpu_shares: shares(request(container, "cpu").map_or(0, Amount::milli)),
        cpu_quota: limit(container, "cpu").and_then(|limit| quota(limit.milli())),
        memory: limit(container, "memory").and_then(|limit| u64::try_from(limit.units()).ok()).filter(|&b| b > 0),
    }
}

/// The numbers of the whole pod: limits bind it only if every container has them.
pub(crate) fn of_pod(pod: &Pod) -> Numbers {
    let total = |pick: &dyn Fn(&Container) -> Option<Amount>| -> Option<i64> {
        let sum = super::spec(pod)
            .containers
            .iter()
            .map(|c| pick(c).map(|a| a.0))
            .try_fold(0_i64, |sum, next| Some(sum.saturating_add(next?)))?;
        let most = super::init_containers(pod).iter().map(|c| pick(c).map(|a| a.0)).collect::<Option<Vec<_>>>()?;
        Some(most.into_iter().fold(sum, i64::max))
    };
    let request = |container: &Container| Some(request(container, "cpu").unwrap_or(Amount::ZERO));
    Numbers {
        cpu_shares: shares(total(&request).unwrap_or(0)),
        cpu_quota: total(&|container| limit(container, "cpu")).and_then(quota),
        memory: total(&|container| limit(container, "memory"))
            .and_then(|milli| u64::try_from(milli / 1000).ok())
            .filter(|&bytes| bytes > 0),
    }
}

/// The quality of service class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl Qos {
    pub(crate) fn of(pod: &Pod) -> Self {
        let containers = || super::spec(pod).containers.iter().chain(super::init_containers(pod));
        let set = |container: &Container, resource| {
            let positive = |amount: Option<Amount>| amount.filter(|amount| *amount > Amount::ZERO);
            (positive(request(container, resource)), positive(limit(container, resource)))
        };
        let each = || containers().flat_map(|container| ["cpu", "memory"].map(|resource| set(container, resource)));
        if each().all(|(request, limit)| request.is_none() && limit.is_none()) {
            Self::BestEffort
        } else if each().all(|(request, limit)| limit.is_some() && request == limit) {
            Self::Guaranteed
        } else {
            Self::Burstable
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }

    /// Whom the kernel kills first when the machine has no memory left.
    pub(crate) fn oom_score_adj(self, container: &Container, machine_memory: u64) -> i32 {
        match self {
            Self::Guaranteed => -997,
            Self::BestEffort => 1000,
            Self::Burstable => {
                let request = request(container, "memory").map_or(0, Amount::units);
                let share = 1000 * i128::from(request) / i128::from(machine_memory.max(1));
                i32::try_from((1000 - share).clamp(3, 999)).unwrap_or(999)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(containers: serde_json::Value) -> Pod {
        serde_json::from_value(serde_json::json!({"metadata": {}, "spec": {"containers": containers}})).unwrap()
    }

    #[test]
    fn classes_and_numbers_follow_requests_and_limits() {
        let both = serde_json::json!({"cpu": "500m", "memory": "128Mi"});
        let table = [
            (serde_json::json!({}), Qos::BestEffort, 2, None, None, 1000),
            (serde_json::json!({"limits": both}), Qos::Guaranteed, 512, Some(50_000), Some(134_217_728), -997),
            (serde_json::json!({"requests": both}), Qos::Burstable, 512, None, None, 875),
            (serde_json::json!({"limits": {"memory": "64Mi"}}), Qos::Burstable, 2, None, Some(67_108_864), 938),
            (serde_json::json!({"limits": {"cpu": "5m"}}), Qos::Burstable, 5, Some(1_000), None, 999),
        ];
        for (resources, qos, shares, quota, memory, score) in table {
            let pod = pod(serde_json::json!([{"name": "c", "resources": resources}]));
            let container = &super::super::spec(&pod).containers[0];
            assert_eq!(Qos::of(&pod), qos, "{resources}");
            let wanted = Numbers { cpu_shares: shares, cpu_quota: quota, memory };
            assert_eq!(of_container(container), wanted, "{resources}");
            assert_eq!(of_pod(&pod), wanted, "{resources}");
            assert_eq!(qos.oom_score_adj(container, 1 << 30), score, "{resources}");
        }
    }

    #[test]
    fn one_container_without_a_limit_frees_the_pod() {
        let pod = pod(serde_json::json!([
            {"name": "a", "resources": {"limits": {"memory": "64Mi"}}}, {"name": "b"}]));
        assert_eq!(of_pod(&pod).memory, None);
        assert_eq!(Qos::of(&pod), Qos::Burstable);
    }
}
