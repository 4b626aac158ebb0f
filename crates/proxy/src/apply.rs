//! Brings the kernel to what is planned, and keeps it there.
//!
//! Events are taken in as they come; all that wait are planned and committed together. A refused commit, or
//! somebody else's hand on the table, is answered by building the whole table anew, in one transaction.

use std::time::{Duration, Instant};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use skiff_client::Delta;
use skiff_linux::nft::{Element, Error, Kernel, Op, Tables};

use crate::{
    Settings,
    chain::AFFINITY,
    index::Index,
    plan::Answering,
    planner::{Change, Planner},
};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// To a service.
    Service(Delta<Service>),
    /// To an endpoint slice.
    Slice(Delta<EndpointSlice>),
    /// To our table, by somebody else.
    Foreign,
}

/// A kernel that services are programmed into.
pub trait Target: Tables {
    /// The clients that are remembered now, to survive a rebuild.
    fn remembered(&mut self) -> Vec<Element>;
}

impl Target for Kernel {
    fn remembered(&mut self) -> Vec<Element> {
        // Without a table there is nothing to remember.
        self.elements(AFFINITY).unwrap_or_default()
    }
}

/// What one round did.
#[derive(Debug, Default)]
pub struct Round {
    /// How long planning and committing took; `None` if there was nothing to do.
    pub took: Option<Duration>,
    /// Whether the whole table was built anew.
    pub rebuilt: bool,
    /// UDP frontends to sweep.
    pub answering: Answering,
}

/// The state of programming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not everything is known yet.
    Listing { services: bool, slices: bool },
    /// The kernel's table is not what it should be.
    Stale,
    /// The kernel's table is what was planned last.
    Steady,
}

/// Index, planner and kernel together, without any waiting.
#[derive(Debug)]
pub struct Programmer<T> {
    target: T,
    index: Index,
    planner: Planner,
    stage: Stage,
}

impl<T: Target> Programmer<T> {
    /// Knows nothing and has done nothing.
    #[must_use]
    pub fn new(target: T, settings: Settings) -> Self {
        let stage = Stage::Listing { services: false, slices: false };
        Self { target, index: Index::default(), planner: Planner::new(settings), stage }
    }

    /// The planner.
    #[must_use]
    pub fn planner(&self) -> &Planner {
        &self.planner
    }

    /// The kernel.
    pub fn target(&mut self) -> &mut T {
        &mut self.target
    }

    /// Whether the next round will build everything anew.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stage == Stage::Stale
    }

    /// Takes an event in; nothing is done yet.
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Service(Delta::Applied { object, .. }) => self.index.apply_service(object),
            Event::Service(Delta::Deleted(object)) => self.index.delete_service(&object),
            Event::Service(Delta::Synced) => self.synced(true),
            Event::Slice(Delta::Applied { object, .. }) => self.index.apply_slice(object),
            Event::Slice(Delta::Deleted(object)) => self.index.delete_slice(&object),
            Event::Slice(Delta::Synced) => self.synced(false),
            Event::Foreign if self.stage == Stage::Steady => self.stage = Stage::Stale,
            Event::Foreign => {}
        }
    }

    fn synced(&mut self, of_services: bool) {
        if let Stage::Listing { services, slices } = self.stage {
            let (services, slices) = (services || of_services, slices || !of_services);
            self.stage = if services && slices { Stage::Stale } else { Stage::Listing { services, slices } };
        }
    }

    /// Does what the events ask for. After an error the next round builds everything anew.
    ///
    /// # Errors
    /// When the kernel refused even the whole table.
    pub fn round(&mut self) -> Result<Round, Error> {
        if matches!(self.stage, Stage::Listing { .. }) {
            return Ok(Round::default());
        }
        let start = Instant::now();
        let mut swept = Answering::new();
        if self.stage == Stage::Steady {
            let Change { ops, answering } = self.planner.update(&mut self.index);
            if ops.is_empty() {
                return Ok(Round { answering, ..Round::default() });
            }
            match self.target.commit(&ops) {
                Ok(()) => return Ok(Round { took: Some(start.elapsed()), rebuilt: false, answering }),
                Err(error) => tracing::warn!(%error, "a change of services was refused; building the table anew"),
            }
            swept = answering;
        }
        swept.extend(self.planner.take_in(&mut self.index));
        self.stage = Stage::Stale;
        swept.extend(self.rebuild()?);
        self.stage = Stage::Steady;
        Ok(Round { took: Some(start.elapsed()), rebuilt: true, answering: swept })
    }

    fn rebuild(&mut self) -> Result<Answering, Error> {
        let remembered = self.target.remembered();
        let Change { mut ops, answering } = self.planner.resync();
        if !remembered.is_empty() {
            ops.push(Op::Add(AFFINITY, remembered));
        }
        self.target.commit(&ops)?;
        Ok(answering)
    }
}
