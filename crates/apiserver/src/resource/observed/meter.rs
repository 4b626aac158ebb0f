//! How much is used per second: two looks at a kubelet's counters, some time apart.
//!
//! Nothing is looked at unless somebody asks. The last looks are kept for a while, so that those who ask again and again
//! wait for nothing; who asks for the first time waits for a second one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde::Deserialize;

use crate::nodes::NodeRegistry;

/// Looks that are closer to each other say nothing.
const LEAST: Duration = Duration::from_millis(500);
/// What was seen longer ago is of no interest.
const MOST: Duration = Duration::from_secs(60);
/// A look is kept when the last one that is kept is so old.
const APART: Duration = Duration::from_secs(10);
/// How long whoever asks first waits for the second look.
const PAUSE: Duration = Duration::from_secs(1);
const KEPT: usize = 2;
/// A kubelet that does not answer must not hold up the others.
const PATIENCE: Duration = Duration::from_secs(10);

/// One counter of CPU time, and how much memory was in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Since when CPU time is counted.
    started: Timestamp,
    cpu: u64,
    memory: u64,
}

/// What one look at a node saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Round {
    at: Timestamp,
    node: Sample,
    /// By the pod's uid and the container's name.
    containers: HashMap<(String, String), Sample>,
}

/// How much is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Billionths of a CPU.
    pub(super) cpu: u64,
    /// Bytes.
    pub(super) memory: u64,
    /// The time that this is of.
    pub(super) window: Duration,
}

/// Two looks at a node.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    before: Arc<Round>,
    now: Arc<Round>,
}

impl Measured {
    /// When the second look was.
    pub(super) fn at(&self) -> Timestamp {
        self.now.at
    }

    pub(super) fn node(&self) -> Option<Rate> {
        rate(Some((self.before.at, self.before.node)), self.now.at, self.now.node)
    }

    pub(super) fn container(&self, uid: &str, name: &str) -> Option<Rate> {
        let key = (uid.to_owned(), name.to_owned());
        let now = *self.now.containers.get(&key)?;
        let before = self.before.containers.get(&key).map(|sample| (self.before.at, *sample));
        rate(before, self.now.at, now)
    }
}

/// From the look before to this one; of what was not there yet, from its start.
fn rate(before: Option<(Timestamp, Sample)>, at: Timestamp, now: Sample) -> Option<Rate> {
    let same = before.filter(|(_, sample)| sample.started == now.started && sample.cpu <= now.cpu);
    let (since, used) = same.map_or((now.started, now.cpu), |(since, sample)| (since, now.cpu - sample.cpu));
    let window = between(since, at);
    let cpu = u128::from(used) * 1_000_000_000 / window.as_nanos().max(1);
    (!window.is_zero()).then(|| Rate { cpu: u64::try_from(cpu).unwrap_or(u64::MAX), memory: now.memory, window })
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

/// The looks that are kept, by node.
#[derive(Default)]
pub(crate) struct Meter {
    nodes: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Kept>>>>,
}

#[derive(Debug, Default)]
struct Kept(VecDeque<Arc<Round>>);

impl Kept {
    /// The oldest look that `now` can be compared with.
    fn base(&mut self, now: &Round) -> Option<Arc<Round>> {
        self.0.retain(|round| between(round.at, now.at) <= MOST && round.at <= now.at);
        self.0.iter().find(|round| between(round.at, now.at) >= LEAST).cloned()
    }

    fn keep(&mut self, round: &Arc<Round>) {
        if self.0.back().is_none_or(|last| between(last.at, round.at) >= APART) {
            self.0.push_back(Arc::clone(round));
        }
        while self.0.len() > KEPT {
            self.0.pop_front();
        }
    }
}

impl Meter {
    /// Looks at a node; `None` if it does not answer.
    pub(super) async fn measure(&self, nodes: &NodeRegistry, node: &str) -> Option<Measured> {
        let slot = {
            let mut slots = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(node.to_owned()).or_default())
        };
        let mut kept = slot.lock().await;
        let mut now = Arc::new(look(nodes, node).await?);
        let before = match kept.base(&now) {
            Some(before) => before,
            None => {
                let before = now;
                kept.keep(&before);
                tokio::time::sleep(PAUSE).await;
                now = Arc::new(look(nodes, node).await?);
                before
            }
        };
        kept.keep(&now);
        Some(Measured { before, now })
    }

    /// Forgets the nodes that are no more.
    pub(super) fn retain(&self, known: impl Fn(&str) -> bool) {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| known(name));
    }
}

async fn look(nodes: &NodeRegistry, node: &str) -> Option<Round> {
    let request = Request::get("/stats/summary").body(Body::empty()).ok()?;
    let answered = async {
        let response = nodes.call(node, request).await?;
        let fine = response.status().is_success();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        fine.then_some(body)
    };
    let body = tokio::time::timeout(PATIENCE, answered).await.ok().flatten()?;
    match serde_json::from_slice::<Summary>(&body) {
        Ok(summary) => summary.round(),
        Err(error) => {
            tracing::warn!(node, %error, "the kubelet's figures cannot be read");
            None
        }
    }
}

/// The kubelet's answer, as far as it is of use here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    node: Stats,
    #[serde(default)]
    pods: Vec<PodStats>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodStats {
    pod_ref: PodRef,
    #[serde(default)]
    containers: Vec<Stats>,
}

#[derive(Deserialize)]
struct PodRef {
    uid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    #[serde(default)]
    name: String,
    start_time: Timestamp,
    cpu: Option<Cpu>,
    memory: Option<Memory>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cpu {
    time: Timestamp,
    usage_core_nano_seconds: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    working_set_bytes: u64,
}

impl Stats {
    /// `None`: something of it is not counted there.
    fn sample(&self) -> Option<Sample> {
        let (cpu, memory) = (self.cpu.as_ref()?, self.memory.as_ref()?);
        Some(Sample { started: self.start_time, cpu: cpu.usage_core_nano_seconds, memory: memory.working_set_bytes })
    }
}

impl Summary {
    fn round(self) -> Option<Round> {
        let at = self.node.cpu.as_ref()?.time;
        let containers = self.pods.iter().flat_map(|pod| {
            let named = |stats: &Stats| (pod.pod_ref.uid.clone(), stats.name.clone());
            pod.containers.iter().filter_map(move |stats| Some((named(stats), stats.sample()?)))
        });
        Some(Round { at, node: self.node.sample()?, containers: containers.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + millis).unwrap()
    }

    fn round(millis: i64, cpu: u64) -> Arc<Round> {
        let sample = Sample { started: at(0), cpu, memory: 5 };
        let containers = HashMap::from([(("u".to_owned(), "c".to_owned()), sample)]);
        Arc::new(Round { at: at(millis), node: sample, containers })
    }

    #[test]
    fn what_is_used_is_used_in_a_window() {
        let measured = Measured { before: round(1000, 1_000_000_000), now: round(3000, 2_000_000_000) };
        let rate = Rate { cpu: 500_000_000, memory: 5, window: Duration::from_secs(2) };
        assert_eq!((measured.node(), measured.container("u", "c")), (Some(rate), Some(rate)));
        assert_eq!(measured.container("u", "other"), None);
        let fresh = Round { containers: HashMap::new(), ..(*round(1000, 0)).clone() };
        let since_start = Measured { before: Arc::new(fresh), now: round(4000, 2_000_000_000) };
        assert_eq!(since_start.container("u", "c").unwrap().window, Duration::from_secs(4));
        let again = Measured { before: round(1000, 9), now: round(2000, 4) };
        assert_eq!(again.node().unwrap().window, Duration::from_secs(2), "a counter that began anew");
    }

    #[test]
    fn those_who_ask_often_are_told_of_a_while() {
        let mut kept = Kept::default();
        let mut ask = |millis| {
            let now = round(millis, 0);
            let base = kept.base(&now).map(|base| between(base.at, now.at).as_millis());
            kept.keep(&now);
            base
        };
        assert_eq!(ask(0), None);
        assert_eq!(ask(100), None, "too soon");
        assert_eq!((ask(3000), ask(9000), ask(15_000)), (Some(3000), Some(9000), Some(15_000)));
        assert_eq!((ask(16_000), ask(26_000)), (Some(16_000), Some(26_000)));
        assert_eq!(ask(27_000), Some(12_000));
        assert_eq!(ask(200_000), None, "too long ago");
    }

    #[test]
    fn summaries_are_read() {
        let text = r#"{"node": {"nodeName": "n", "startTime": "2026-01-01T00:00:00Z",
            "cpu": {"time": "2026-01-01T00:00:10.5Z", "usageCoreNanoSeconds": 7}, "memory": {"workingSetBytes": 8}},
            "pods": [{"podRef": {"name": "p", "namespace": "d", "uid": "u"}, "containers": [
                {"name": "c", "startTime": "2026-01-01T00:00:05Z", "cpu": {"time": "2026-01-01T00:00:10Z",
                    "usageCoreNanoSeconds": 1}, "memory": {"workingSetBytes": 2}},
                {"name": "uncounted", "startTime": "2026-01-01T00:00:05Z"}]}]}"#;
        let round = serde_json::from_str::<Summary>(text).unwrap().round().unwrap();
        assert_eq!((round.at.subsec_millisecond(), round.node.cpu, round.containers.len()), (500, 7, 1));
    }
}
