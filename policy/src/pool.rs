//! Decides which profile serves the next request: the oldest `lastUsed` among those eligible.
//!
//! Pure: no clock, no I/O, no async. Time is an argument, effects are return values.

pub mod gate;
mod lane;
mod place;
mod queue;
pub mod seat;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;

use crate::failure::Failure;
use crate::id::{AgentId, LeaseId, LimitClass, OrganizationId, ProfileId, ProviderId, Ticket};
use crate::limits::{Dimension, Timestamp};
use lane::{Lane, Position};
use place::{ListKey, Place, Waiter};
use queue::WaitList;
use seat::{Ladders, ProfileState, Seat};

/// A model that would do, as the pool needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alternative {
    /// Whose profiles can serve it.
    pub provider: ProviderId,
    /// The rate limit it is under.
    pub class: LimitClass,
    /// The only profile to use, for a pinned request.
    pub pin: Option<ProfileId>,
}

/// A request for a profile.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks; agents are served in turn.
    pub agent: AgentId,
    /// The model and its fallbacks, in order of preference.
    pub alternatives: Vec<Alternative>,
    /// Profiles to pass over until a time, or for good.
    pub avoid: BTreeMap<ProfileId, Option<Timestamp>>,
    /// Not to be granted earlier.
    pub not_before: Option<Timestamp>,
    /// To be refused if it still waits then.
    pub deadline: Option<Timestamp>,
}

/// How a leased call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was answered.
    Success,
    /// It failed.
    Failed(Failure),
    /// Whoever held the lease went away.
    Abandoned,
}

/// What happened outside the pool.
#[derive(Clone, Debug)]
pub enum Event {
    /// A profile can be used from now on.
    Joined {
        /// The profile.
        profile: ProfileId,
        /// Its provider.
        provider: ProviderId,
        /// How many requests it may serve at once.
        slots: u32,
    },
    /// Someone wants a profile.
    Requested {
        /// Identifies the waiter; issued in order.
        ticket: Ticket,
        /// What is wanted.
        request: Request,
    },
    /// A waiter gave up.
    Withdrawn {
        /// The waiter.
        ticket: Ticket,
    },
    /// A lease ended.
    Settled {
        /// The lease.
        lease: LeaseId,
        /// How its call ended.
        verdict: Verdict,
        /// The organisation that answered, if it said so.
        organization: Option<OrganizationId>,
    },
    /// The time of [`Pool::next_deadline`] has come.
    Woke,
}

/// What the shell must now do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Give a waiter its lease.
    Grant {
        /// The waiter.
        ticket: Ticket,
        /// The lease.
        lease: LeaseId,
        /// The profile to use.
        profile: ProfileId,
        /// Which of the alternatives to ask it for.
        alternative: usize,
        /// What it waited for, and how long.
        waited: Option<(Throttle, TimeDelta)>,
    },
    /// Send a waiter away.
    Refuse {
        /// The waiter.
        ticket: Ticket,
        /// Why.
        refusal: Refusal,
    },
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As many wait as may.
    QueueFull,
    /// Its deadline passed while it waited.
    TimedOut,
    /// No profile can serve it, and none has a known return.
    NoCredential,
}

/// What work waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Throttle {
    /// All places of the eligible profiles are taken.
    Concurrency,
    /// A rate limit of a known kind.
    Limit(Dimension),
    /// A window of another kind, or a pause after a fault.
    Cooldown,
}

impl Throttle {
    /// The value of the `reason` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Limit(dimension) => dimension.label(),
            Self::Cooldown => "cooldown",
        }
    }
}

/// Who waits for what, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// How many wait.
    pub waiters: usize,
    /// For what.
    pub throttle: Throttle,
    /// Whose limit it is, as far as it is known.
    pub organization: Option<OrganizationId>,
    /// Until when, as far as it is known.
    pub until: Option<Timestamp>,
}

struct Holding {
    profile: ProfileId,
    class: LimitClass,
    granted_at: Timestamp,
}

/// The pool of profiles and those who wait for one.
pub struct Pool {
    now: Timestamp,
    queue_limit: usize,
    ladders: Arc<Ladders>,
    seats: BTreeMap<ProfileId, Seat>,
    lanes: BTreeMap<ProviderId, BTreeMap<LimitClass, Lane>>,
    leases: BTreeMap<LeaseId, Holding>,
    leases_issued: u64,
    waiters: BTreeMap<Ticket, Waiter>,
    lists: BTreeMap<ListKey, WaitList>,
    parked: BTreeSet<(Timestamp, Ticket)>,
    deadlines: BTreeSet<(Timestamp, Ticket)>,
    thaws: BTreeSet<(Timestamp, ProfileId)>,
}

impl Pool {
    /// An empty pool that lets at most `queue_limit` requests wait.
    #[must_use]
    pub fn new(queue_limit: usize, ladders: Ladders) -> Self {
        Self {
            now: Timestamp::MIN_UTC,
            queue_limit,
            ladders: Arc::new(ladders),
            seats: BTreeMap::new(),
            lanes: BTreeMap::new(),
            leases: BTreeMap::new(),
            leases_issued: 0,
            waiters: BTreeMap::new(),
            lists: BTreeMap::new(),
            parked: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            thaws: BTreeSet::new(),
        }
    }

    /// Advances the pool by one event.
    #[must_use = "the commands are the decision"]
    pub fn apply(&mut self, now: Timestamp, event: Event) -> Vec<Command> {
        self.now = self.now.max(now); // The wall clock may step back; the pool's time does not.
        let mut commands = Vec::new();
        // What has become free by now is for those who wait, before the event is looked at.
        if self.next_deadline().is_some_and(|at| at <= self.now) {
            self.advance(&mut commands);
        }
        match event {
            Event::Joined { profile, provider, slots } => self.join(profile, provider, slots),
            Event::Requested { ticket, request } => self.request(ticket, request, &mut commands),
            Event::Withdrawn { ticket } => drop(self.forget(ticket)),
            Event::Settled { lease, verdict, organization } => {
                self.settle(lease, &verdict, organization, &mut commands);
            }
            Event::Woke => {}
        }
        self.advance(&mut commands);
        commands
    }

    /// Ends what is over and serves whom it can.
    fn advance(&mut self, commands: &mut Vec<Command>) {
        self.thaw();
        self.serve(commands); // Before those whose pause is over, who take their turn behind.
        self.unpark(commands);
        self.expire(commands);
    }

    /// When the pool next wants an [`Event::Woke`]: the earliest end of a window, of a pause or
    /// of a waiter's patience.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let earliest = |set: &BTreeSet<(Timestamp, Ticket)>| set.first().map(|(at, _)| *at);
        let thaw = self.thaws.first().map(|(at, _)| *at);
        [thaw, earliest(&self.parked), earliest(&self.deadlines)].into_iter().flatten().min()
    }

    /// How many requests wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.waiters.len()
    }

    /// How many leases are out.
    #[must_use]
    pub fn leased(&self) -> usize {
        self.leases.len()
    }

    /// The profiles as they stand.
    pub fn seats(&self) -> impl Iterator<Item = (&ProfileId, &Seat)> {
        self.seats.iter()
    }

    /// How many profiles are in each state.
    #[must_use]
    pub fn count(&self, state: ProfileState) -> usize {
        self.seats.values().filter(|seat| seat.state() == state).count()
    }

    fn join(&mut self, profile: ProfileId, provider: ProviderId, slots: u32) {
        if self.seats.contains_key(&profile) {
            self.update(&profile, |seat| seat.slots = slots);
            return;
        }
        let seat = Seat::new(provider, slots);
        for (class, lane) in self.lanes.get_mut(&seat.provider).into_iter().flatten() {
            lane.insert(&profile, Position::of(&seat, class));
        }
        self.seats.insert(profile, seat);
    }

    fn settle(
        &mut self,
        lease: LeaseId,
        verdict: &Verdict,
        organization: Option<OrganizationId>,
        commands: &mut Vec<Command>,
    ) {
        let Some(Holding { profile, class, granted_at }) = self.leases.remove(&lease) else {
            return;
        };
        let (now, ladders) = (self.now, Arc::clone(&self.ladders));
        self.update(&profile, |seat| {
            if organization.is_some() {
                seat.organization = organization;
            }
            if let Verdict::Failed(failure) = verdict {
                seat.failed(now, granted_at, (&class, failure), &ladders);
            }
            seat.give_back(&class, granted_at, *verdict == Verdict::Success);
        });
        if matches!(verdict, Verdict::Failed(failure) if !failure.is_fault()) {
            self.reconsider(&profile, commands);
        }
    }

    /// Ends every window that is over.
    fn thaw(&mut self) {
        let now = self.now;
        while let Some((_, profile)) = self.thaws.first().filter(|(at, _)| *at <= now) {
            let profile = profile.clone();
            self.update(&profile, |seat| seat.thaw(now));
        }
    }

    /// Grants what can be granted: the list that has waited longest for its turn goes first.
    fn serve(&mut self, commands: &mut Vec<Command>) {
        loop {
            let servable = self.lists.iter().filter(|(key, _)| self.candidate(key).is_some());
            let Some((key, _)) = servable.min_by_key(|(_, list)| list.turn) else { return };
            let key = key.clone();
            let Some(profile) = self.candidate(&key).cloned() else { return };
            let Some(list) = self.lists.get_mut(&key) else { return };
            let Some(ticket) = list.next(self.leases_issued + 1) else { return };
            let Some(waiter) = self.forget(ticket) else { return };
            if let Place::Listed { alternative, .. } = waiter.place {
                let waited = Some((waiter.throttle, self.now - waiter.since));
                let command = self.grant(ticket, profile, (alternative, &key.class), waited);
                commands.push(command);
            }
        }
    }

    /// The profile that the head of a list would get now.
    fn candidate<'a>(&'a self, key: &'a ListKey) -> Option<&'a ProfileId> {
        match &key.pin {
            None => self.lane(&key.provider, &key.class)?.oldest(),
            Some(pin) => {
                let seat = self.seats.get(pin)?;
                (seat.standing(&key.class) == seat::Standing::Ready).then_some(pin)
            }
        }
    }

    fn grant(
        &mut self,
        ticket: Ticket,
        profile: ProfileId,
        (alternative, class): (usize, &LimitClass),
        waited: Option<(Throttle, TimeDelta)>,
    ) -> Command {
        self.now += TimeDelta::nanoseconds(1); // Two grants in one instant still rotate.
        let now = self.now;
        self.leases_issued += 1;
        let lease = LeaseId(self.leases_issued);
        self.update(&profile, |seat| seat.take(now, class));
        let class = class.clone();
        let holding = Holding { profile: profile.clone(), class, granted_at: now };
        self.leases.insert(lease, holding);
        Command::Grant { ticket, lease, profile, alternative, waited }
    }

    /// Changes a seat, and keeps the lanes and its next thaw true to it.
    fn update(&mut self, profile: &ProfileId, change: impl FnOnce(&mut Seat)) {
        let Some(seat) = self.seats.get_mut(profile) else { return };
        let lanes = self.lanes.get_mut(&seat.provider).into_iter().flatten();
        let lanes: Vec<_> =
            lanes.map(|(class, lane)| (class, Position::of(seat, class), lane)).collect();
        let known = seat.next_thaw();
        change(seat);
        for (class, before, lane) in lanes {
            let after = Position::of(seat, class);
            if after != before {
                lane.remove(profile, before);
                lane.insert(profile, after);
            }
        }
        let next = seat.next_thaw();
        if next != known {
            known.map(|at| self.thaws.remove(&(at, profile.clone())));
            self.thaws.extend(next.map(|at| (at, profile.clone())));
        }
    }
}
