//! Decides which profile serves the next request: the oldest `lastUsed` among those eligible.
//!
//! Pure: no clock, no I/O, no async. Time is an argument, effects are return values.

mod affinity;
mod alarm;
mod event;
mod explain;
pub mod forecast;
pub mod gate;
mod lane;
mod limit;
mod memory;
mod outage;
pub mod pace;
mod place;
mod queue;
mod report;
mod room;
pub mod seat;
mod settle;
mod soonest;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;

use crate::id::{AgentId, LeaseId, LimitClass, ProfileId, ProviderId, SessionId, Ticket};
use crate::limits::Timestamp;
use affinity::Homes;
use alarm::Alarms;
pub use event::{
    Alternative, Command, Event, Grounds, Refusal, Request, Size, Throttle, Used, Verdict, Wait,
};
pub use explain::{Explanation, Obstacle, Outcome, Ranked};
use forecast::Forecast;
use lane::{Lane, Position};
use limit::{Limit, Limits, Scope};
pub use memory::Change;
use outage::Outage;
use pace::Mark;
use queue::WaitList;
pub use report::{LimitReport, ProfileReport};
use room::Candidate;
use seat::{Ladders, ProfileState, Seat, Standing};
use waiting::{ListKey, Waiter};

/// What a lease was given for.
struct Holding {
    profile: ProfileId,
    provider: ProviderId,
    class: LimitClass,
    /// Whose limits it counted for.
    scope: Scope,
    /// The conversation whose own turn it is, not one beside it.
    session: Option<SessionId>,
    granted_at: Timestamp,
    agent: AgentId,
    bytes: u64,
    /// Whether its profile had its conversation's prompt cache.
    is_warm: bool,
    /// What it has reserved of the limit, if that is paced.
    mark: Option<Mark>,
}

/// What has an end that the pool must notice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thaw {
    Seat(ProfileId),
    Limit(Scope, LimitClass),
    Outage(ProviderId, LimitClass),
    List(ListKey),
}

/// The pool of profiles and those who wait for one.
pub struct Pool {
    now: Timestamp,
    queue_limit: usize,
    ladders: Arc<Ladders>,
    seats: BTreeMap<ProfileId, Seat>,
    limits: Limits,
    outages: BTreeMap<(ProviderId, LimitClass), Outage>,
    homes: Homes,
    /// What requests are going to count as; `None` if nothing is held back that might be refused.
    forecast: Option<Forecast>,
    lanes: BTreeMap<ProviderId, BTreeMap<LimitClass, Lane>>,
    leases: BTreeMap<LeaseId, Holding>,
    leases_issued: u64,
    waiters: BTreeMap<Ticket, Waiter>,
    lists: BTreeMap<ListKey, WaitList>,
    /// Requests that look again at a time: those out of the way, and those that wait for a home.
    parked: BTreeSet<(Timestamp, Ticket)>,
    deadlines: BTreeSet<(Timestamp, Ticket)>,
    thaws: Alarms<Thaw>,
    /// The state that each profile was last said to be in, and what had put it there.
    told: BTreeMap<ProfileId, (ProfileState, Option<&'static str>)>,
    changes: Vec<Change>,
    /// Whose health is no longer what was last taken.
    stale: BTreeSet<ProfileId>,
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
            limits: Limits::default(),
            outages: BTreeMap::new(),
            homes: Homes::default(),
            forecast: None,
            lanes: BTreeMap::new(),
            leases: BTreeMap::new(),
            leases_issued: 0,
            waiters: BTreeMap::new(),
            lists: BTreeMap::new(),
            parked: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            thaws: Alarms::default(),
            told: BTreeMap::new(),
            changes: Vec::new(),
            stale: BTreeSet::new(),
        }
    }

    /// The same pool, where a request that would earn a refusal waits instead.
    #[must_use]
    pub fn paced(self) -> Self {
        Self { forecast: Some(Forecast::default()), ..self }
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
            Event::Joined { profile, provider, slots, health } => {
                self.join(&profile, (provider, slots), &health, &mut commands);
            }
            Event::Left { profile } => self.leave(&profile, &mut commands),
            Event::Recalled { profile, health } => self.recall(&profile, &health, &mut commands),
            Event::Cleared { profile } => self.clear(&profile, &mut commands),
            Event::Held { profile } => self.hold(&profile, true, &mut commands),
            Event::Released { profile } => self.hold(&profile, false, &mut commands),
            Event::Requested { ticket, request } => self.request(ticket, request, &mut commands),
            Event::Withdrawn { ticket } => drop(self.forget(ticket)),
            Event::Answered { lease, reading } => {
                self.answered(lease, reading, &mut commands);
            }
            Event::Settled { lease, verdict, used } => {
                self.settle(lease, &verdict, used, &mut commands);
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
        let all = [self.thaws.next(), earliest(&self.parked), earliest(&self.deadlines)];
        all.into_iter().flatten().min()
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

    /// Whether a profile can serve a class of models now; [`Standing::Gone`] if there is none.
    #[must_use]
    pub fn standing(&self, profile: &ProfileId, class: &LimitClass) -> Standing {
        let seat = self.seats.get(profile);
        seat.map_or(Standing::Gone, |seat| standing(seat, class, self.limit(profile, seat, class)))
    }

    /// The limit that a profile is under for a class, if anything is known of it.
    fn limit(&self, profile: &ProfileId, seat: &Seat, class: &LimitClass) -> Option<&Limit> {
        self.limits.get(&seat.scope(profile), class)
    }

    /// Ends every window that is over.
    fn thaw(&mut self) {
        let now = self.now;
        while let Some(due) = self.thaws.pop(now) {
            match due {
                Thaw::Seat(profile) => {
                    if let Some(seat) = self.seats.get_mut(&profile) {
                        seat.thaw(now);
                    }
                    self.seat_changed(&profile);
                }
                Thaw::Limit(scope, class) => {
                    if let Some(limit) = self.limits.get_mut(&scope, &class) {
                        limit.gate.thaw(now);
                    }
                    self.limit_changed(&scope, &class);
                }
                Thaw::Outage(provider, class) => {
                    let key = (provider, class);
                    if let Some(outage) = self.outages.get_mut(&key) {
                        outage.gate.thaw(now);
                    }
                    self.outage_changed(&key);
                }
                Thaw::List(key) => self.awaken(&key),
            }
        }
    }

    /// Grants what can be granted: the list that has waited longest for its turn goes first.
    fn serve(&mut self, commands: &mut Vec<Command>) {
        loop {
            let mut first: Option<(u64, ListKey, ProfileId)> = None;
            let mut asleep = Vec::new();
            for (key, list) in self.lists.iter().filter(|(_, list)| list.sleep.is_none()) {
                if first.as_ref().is_some_and(|(turn, ..)| list.turn >= *turn) {
                    continue; // Another goes before it, whoever could serve it.
                }
                match self.candidate(key) {
                    Candidate::Now(profile) => first = Some((list.turn, key.clone(), profile)),
                    Candidate::Later(until, throttle) => {
                        asleep.push((key.clone(), until, throttle));
                    }
                    Candidate::Nobody => {}
                }
            }
            let mut is_settled = true;
            for (key, until, throttle) in asleep {
                is_settled &= self.lull(&key, until, throttle, commands);
            }
            let Some((_, key, profile)) = first else {
                if is_settled {
                    return;
                }
                continue;
            };
            let Some(list) = self.lists.get(&key) else { return };
            if let Some(ticket) = list.head().filter(|ticket| self.has_lost_home(*ticket)) {
                self.replace(ticket, commands);
                continue;
            }
            let Some(list) = self.lists.get_mut(&key) else { return };
            let Some(ticket) = list.next(self.leases_issued + 1) else { return };
            let Some(waiter) = self.forget(ticket) else { return };
            let Some(alternative) = waiter.alternative() else { return };
            let waited = Some((waiter.throttle, self.now - waiter.since));
            let grounds = self.grounds(&waiter.request, alternative, &profile);
            let (lease, profile) = self.grant(profile, &waiter.request, alternative);
            commands.push(Command::Grant { ticket, lease, profile, alternative, waited, grounds });
        }
    }

    /// The profile that the head of a list would get now.
    fn candidate(&self, key: &ListKey) -> Candidate {
        if !self.is_in_service(&key.provider, &key.class) {
            return Candidate::Nobody;
        }
        let head = self.lists.get(key).and_then(WaitList::head);
        let Some(waiter) = head.and_then(|ticket| self.waiters.get(&ticket)) else {
            return Candidate::Nobody;
        };
        // Whoever has its cache, also of those that share it with the home that it waits for.
        let wanted = waiter.alternative().and_then(|it| waiter.request.alternatives.get(it));
        if let Some(profile) = wanted.and_then(|wanted| self.warm(&waiter.request, wanted)) {
            return Candidate::Now(profile.clone());
        }
        self.pick(key, self.need(&waiter.request, &key.class, waiter.patience.is_some()))
    }

    fn grant(
        &mut self,
        profile: ProfileId,
        request: &Request,
        alternative: usize,
    ) -> (LeaseId, ProfileId) {
        self.now += TimeDelta::nanoseconds(1); // Two grants in one instant still rotate.
        let (now, class) = (self.now, request.alternatives[alternative].class.clone());
        let home = self.home(request, &request.alternatives[alternative]);
        let is_warm = home.is_some_and(|home| self.share(home, &profile));
        let mut session = request.session.clone();
        session.take_if(|session| !self.homes.settle_in(now, session, &class, &profile));
        self.leases_issued += 1;
        let lease = LeaseId(self.leases_issued);
        let Some(seat) = self.seats.get_mut(&profile) else { return (lease, profile) };
        seat.take(now);
        let (provider, scope) = (seat.provider.clone(), seat.scope(&profile));
        let mark = self.reserve(&scope, &class, (request, is_warm));
        if let Some(limit) = self.limits.get_mut(&scope, &class) {
            limit.gate.enter();
            if limit.gate.is_ramping() {
                self.reindex_limit(&scope, &class);
            }
        }
        if let Some(outage) = self.outages.get_mut(&(provider.clone(), class.clone())) {
            outage.gate.enter();
        }
        self.reindex(&profile);
        self.stale.insert(profile.clone());
        let holding = Holding {
            profile: profile.clone(),
            provider,
            class,
            scope,
            session,
            granted_at: now,
            agent: request.agent.clone(),
            bytes: request.size.bytes,
            is_warm,
            mark,
        };
        self.leases.insert(lease, holding);
        (lease, profile)
    }

    /// Keeps the lanes true to a profile.
    fn reindex(&mut self, profile: &ProfileId) {
        let Some(seat) = self.seats.get(profile) else { return };
        let limits = self.limits.all(&seat.scope(profile));
        for (class, lane) in self.lanes.get_mut(&seat.provider).into_iter().flatten() {
            lane.put(profile, position(seat, class, limits.and_then(|all| all.get(class))));
        }
    }

    /// Keeps the lanes true to a limit.
    fn reindex_limit(&mut self, scope: &Scope, class: &LimitClass) {
        let limit = self.limits.get(scope, class);
        for profile in self.limits.members(scope) {
            let Some(seat) = self.seats.get(&profile) else { continue };
            let lanes = self.lanes.get_mut(&seat.provider);
            if let Some(lane) = lanes.and_then(|lanes| lanes.get_mut(class)) {
                lane.put(&profile, position(seat, class, limit));
            }
        }
    }

    fn lane(&self, provider: &ProviderId, class: &LimitClass) -> Option<&Lane> {
        self.lanes.get(provider)?.get(class)
    }
}

fn standing(seat: &Seat, class: &LimitClass, limit: Option<&Limit>) -> Standing {
    seat.standing(class, limit.map_or(gate::Passage::Free, |limit| limit.gate.passage()))
}

fn position(seat: &Seat, class: &LimitClass, limit: Option<&Limit>) -> Position {
    match standing(seat, class, limit) {
        Standing::Ready => Position::Ready(seat.last_used),
        Standing::Busy if held_by(seat, class, limit).is_none() => Position::Busy,
        Standing::Busy => Position::Trial,
        Standing::Back(at) => Position::Back(at),
        Standing::Gone => Position::Gone,
    }
}

/// What keeps a profile from serving `class`, other than that its places are taken, and until when.
fn held_by(
    seat: &Seat,
    class: &LimitClass,
    limit: Option<&Limit>,
) -> Option<(gate::Cause, Option<Timestamp>)> {
    seat.held_by(class).or_else(|| limit?.gate.held_by())
}
