//! Keeps what the kernel should hold, and turns changes of services into the fewest operations.
//!
//! # Guarantees
//! - The work of an update grows with the services that changed, not with those that exist.
//! - An element is removed only if it was added before, and added only if it is not there: whatever order
//!   events come in, the operations of one [`Change`] apply cleanly to the state after the ones before.
//! - When several services ask for one address and port, the oldest has it; the next gets it when that goes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::Ipv4Addr,
};

use k8s_openapi::{api::core::v1::Service, jiff::Timestamp};
use skiff_linux::nft::{Chain, Data, Element, Op, Value, Verdict};

use crate::{
    Settings,
    chain::ChainId,
    index::{Index, ServiceKey},
    plan::{self, Answering, Plan},
    rules::{Content, Entry, Frontend, MapId},
    table,
};

/// What an update asks for.
#[derive(Debug, Default)]
pub struct Change {
    /// Operations for one commit; empty if nothing changed.
    pub ops: Vec<Op>,
    /// UDP frontends whose known clients may be stuck with an endpoint that is gone.
    pub answering: Answering,
}

type Claim = (Option<Timestamp>, ServiceKey);

/// Everything that should be in the kernel.
#[derive(Debug)]
pub struct Planner {
    settings: Settings,
    planned: HashMap<ServiceKey, Planned>,
    claims: HashMap<Frontend, BTreeSet<Claim>>,
    hairpins: HashMap<Ipv4Addr, usize>,
    /// The ways to pick that are in the kernel, by their numbers.
    ways: BTreeMap<ChainId, u32>,
    elements: usize,
}

#[derive(Debug, Default)]
struct Planned {
    plan: Plan,
    frontends: BTreeSet<Frontend>,
    created: Option<Timestamp>,
}

/// A service whose plan is made anew.
struct Move {
    key: ServiceKey,
    exists: bool,
    old: Plan,
    new: Plan,
}

/// What an entry was before this update, and what it is now.
type Pending = BTreeMap<Entry, (Option<Content>, Option<Content>)>;

impl Planner {
    /// Knows of no services.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            planned: HashMap::new(),
            claims: HashMap::new(),
            hairpins: HashMap::new(),
            ways: BTreeMap::new(),
            elements: 0,
        }
    }

    /// How many services have rules.
    #[must_use]
    pub fn services(&self) -> usize {
        self.planned.len()
    }

    /// How many elements there should be.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// Takes in the services that changed.
    pub fn update(&mut self, index: &mut Index) -> Change {
        let (pending, answering) = self.absorb(index);
        let mut change = Change { ops: Vec::new(), answering };
        self.emit(pending, &mut change.ops);
        change
    }

    /// The same when everything is about to be built anew, and no operations are wanted: only the UDP
    /// frontends whose clients may be stuck.
    pub fn take_in(&mut self, index: &mut Index) -> Answering {
        self.absorb(index).1
    }

    fn absorb(&mut self, index: &mut Index) -> (Pending, Answering) {
        let (mut pending, mut answering) = (Pending::new(), Answering::new());
        let moves = self.moves(index);
        // An entry may pass from one service to another: what goes is noted before what comes.
        for step in &moves {
            lose(&step.old, &step.new, &mut pending);
        }
        for step in moves {
            gain(&step.old, &step.new, &mut pending);
            self.share_hairpins(&step.old, &step.new, &mut pending);
            answering.extend(stuck(&step.old.answering, &step.new.answering));
            if let Some(planned) = self.planned.get_mut(&step.key).filter(|_| step.exists) {
                planned.plan = step.new;
            } else {
                self.planned.remove(&step.key);
            }
        }
        (pending, answering)
    }

    /// The old and new plans of the services that changed, and of those whose frontends are contested by them.
    fn moves(&mut self, index: &mut Index) -> Vec<Move> {
        let mut todo = index.take_dirty();
        let mut affected = BTreeSet::new();
        while let Some(key) = todo.pop_first() {
            let others = self.claim(&key, index.service(&key).map(AsRef::as_ref));
            affected.insert(key);
            todo.extend(others.into_iter().filter(|other| !affected.contains(other)));
        }
        let mut moves = Vec::with_capacity(affected.len());
        for key in affected {
            let old = self.planned.get_mut(&key).map(|planned| std::mem::take(&mut planned.plan)).unwrap_or_default();
            let service = index.service(&key);
            let new = service.map(|service| self.plan(&key, service, index, &old)).unwrap_or_default();
            moves.push(Move { exists: service.is_some(), key, old, new });
        }
        moves
    }

    /// Everything from nothing, in place of whatever is there.
    pub fn resync(&mut self) -> Change {
        let mut ops = vec![Op::AddTable, Op::DeleteTable, Op::AddTable];
        ops.extend(table::constant(&self.settings));
        self.ways.clear();
        let mut pending = Pending::new();
        let mut answering = Answering::new();
        for planned in self.planned.values() {
            pending.extend(planned.plan.rules.elements.iter().map(|(entry, content)| (*entry, (None, Some(*content)))));
            answering.extend(planned.plan.answering.clone());
        }
        pending.extend(self.hairpins.keys().map(|ip| (plan::hairpin(*ip), (None, Some(Content::Nothing)))));
        self.elements = 0;
        self.emit(pending, &mut ops);
        Change { ops, answering }
    }

    fn plan(&self, key: &ServiceKey, service: &Service, index: &Index, old: &Plan) -> Plan {
        let owns = |frontend: &Frontend| {
            self.claims.get(frontend).and_then(BTreeSet::first).is_some_and(|(_, owner)| owner == key)
        };
        plan::plan(service, &index.slices(key), &old.orders, owns, &self.settings)
    }

    /// Puts the service's claims in order; the other services that gain or lose a frontend by it.
    fn claim(&mut self, key: &ServiceKey, service: Option<&Service>) -> BTreeSet<ServiceKey> {
        let wanted = service.map(plan::frontends).unwrap_or_default();
        let created = service.and_then(|service| service.metadata.creation_timestamp.as_ref()).map(|time| time.0);
        let held = self.planned.entry(key.clone()).or_default();
        let (had, was_created) = (std::mem::replace(&mut held.frontends, wanted.clone()), held.created);
        held.created = created;
        let mut others = BTreeSet::new();
        let again = created != was_created;
        for frontend in had.iter().filter(|frontend| again || !wanted.contains(frontend)) {
            if let Some(claims) = self.claims.get_mut(frontend) {
                claims.remove(&(was_created, key.clone()));
                others.extend(claims.first().map(|(_, next)| next.clone()));
                if claims.is_empty() {
                    self.claims.remove(frontend);
                }
            }
        }
        for frontend in wanted.iter().filter(|frontend| again || !had.contains(frontend)) {
            let claims = self.claims.entry(*frontend).or_default();
            others.extend(claims.first().map(|(_, owner)| owner.clone()));
            claims.insert((created, key.clone()));
        }
        others.remove(key);
        others
    }

    fn share_hairpins(&mut self, old: &Plan, new: &Plan, pending: &mut Pending) {
        for ip in new.hairpins.difference(&old.hairpins) {
            let users = self.hairpins.entry(*ip).or_default();
            *users += 1;
            if *users == 1 {
                pending.entry(plan::hairpin(*ip)).or_insert((None, None)).1 = Some(Content::Nothing);
            }
        }
        for ip in old.hairpins.difference(&new.hairpins) {
            let Some(users) = self.hairpins.get_mut(ip) else { continue };
            *users -= 1;
            if *users == 0 {
                self.hairpins.remove(ip);
                pending.entry(plan::hairpin(*ip)).or_insert((Some(Content::Nothing), None)).1 = None;
            }
        }
    }

    /// Chains first, then what goes, then what comes.
    fn emit(&mut self, pending: Pending, ops: &mut Vec<Op>) {
        let mut removed: BTreeMap<MapId, Vec<Element>> = BTreeMap::new();
        let mut added: BTreeMap<MapId, Vec<Element>> = BTreeMap::new();
        for (entry, (before, after)) in pending {
            if before == after {
                continue;
            }
            if before.is_some() {
                self.elements -= 1;
                removed.entry(entry.map).or_default().push(named(&entry));
            }
            if let Some(content) = after {
                self.elements += 1;
                let value = self.value(content, ops);
                added.entry(entry.map).or_default().push(Element { value, ..named(&entry) });
            }
        }
        ops.extend(removed.into_iter().map(|(map, elements)| Op::Remove(map.name(), elements)));
        ops.extend(added.into_iter().map(|(map, elements)| Op::Add(map.name(), elements)));
    }

    fn value(&mut self, content: Content, ops: &mut Vec<Op>) -> Option<Value> {
        let number = |number| Value::Data(Data::new().number(number));
        Some(match content {
            Content::Nothing => return None,
            Content::Address(ip, port) => Value::Data(Data::new().ip(ip).port(port)),
            Content::Pick(chain) => number(self.way(chain, ops)),
            Content::Leave => number(table::LEAVE),
            Content::Reject => number(table::REFUSAL),
            Content::Drop => number(table::DROP),
        })
    }

    /// The number of a way to pick, whose chain is made if this is its first use.
    fn way(&mut self, id: ChainId, ops: &mut Vec<Op>) -> u32 {
        if let Some(number) = self.ways.get(&id) {
            return *number;
        }
        if let Some(base) = id.base() {
            self.way(base, ops);
        }
        // As many as there are distinct counts of endpoints: far from overflowing.
        let number = table::FIRST_PICK + u32::try_from(self.ways.len()).unwrap_or(u32::MAX);
        ops.push(Op::AddChain(Chain { name: id.name(), hook: None }));
        ops.extend(id.rules().into_iter().map(Op::AddRule));
        ops.push(Op::Add(MapId::Ways.name(), vec![table::way(number, Verdict::Goto(id.name()))]));
        self.ways.insert(id, number);
        number
    }
}

fn named(entry: &Entry) -> Element {
    Element { end: entry.end, ..Element::key(entry.key) }
}

fn lose(old: &Plan, new: &Plan, pending: &mut Pending) {
    let gone = old.rules.elements.iter().filter(|(entry, _)| !new.rules.elements.contains_key(*entry));
    pending.extend(gone.map(|(entry, was)| (*entry, (Some(*was), None))));
}

fn gain(old: &Plan, new: &Plan, pending: &mut Pending) {
    for (entry, is) in &new.rules.elements {
        let was = old.rules.elements.get(entry);
        if was != Some(is) {
            pending.entry(*entry).or_insert((was.copied(), None)).1 = Some(*is);
        }
    }
}

/// The UDP frontends that are new, are gone, or lost somebody who answered.
fn stuck(old: &Answering, new: &Answering) -> Answering {
    let changed = new.iter().filter(|(frontend, now)| old.get(frontend).is_none_or(|before| !before.is_subset(now)));
    let gone = old.keys().filter(|frontend| !new.contains_key(frontend)).map(|frontend| (*frontend, BTreeSet::new()));
    gone.chain(changed.map(|(frontend, now)| (*frontend, now.clone()))).collect()
}
