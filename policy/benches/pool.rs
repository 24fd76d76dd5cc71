//! What a decision of the pool costs, by the number of profiles.
//!
//! Every line is a cycle that leaves the pool as it was: 4 classes of models with a tenth of the
//! profiles cooling in each, 32 agents, 4 places a profile.

#![expect(clippy::unwrap_used, reason = "a measurement fails by panicking")]

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use polpo_policy::failure::Failure;
use polpo_policy::id::{LeaseId, ProfileId, Ticket};
use polpo_policy::limits::{Dimension, Timestamp};
use polpo_policy::pool::seat::Ladders;
use polpo_policy::pool::{Alternative, Command, Event, Pool, Request, Verdict};

const CLASSES: [&str; 4] = ["fable-5", "opus-4", "sonnet-4", "haiku-4"];
const AGENTS: u64 = 32;
const SLOTS: u32 = 4;
const WAITERS: usize = 10_000;

/// A pool, and what is needed to keep it busy.
struct World {
    pool: Pool,
    profiles: Vec<ProfileId>,
    now: Timestamp,
    tickets: u64,
    held: VecDeque<LeaseId>,
}

impl World {
    fn new(profiles: usize) -> Self {
        let name = |number| format!("anthropic:key-{:08x}", scattered(number)).as_str().into();
        let mut world = Self {
            pool: Pool::new(usize::MAX, Ladders::default()),
            profiles: (0..profiles as u64).map(name).collect(),
            now: DateTime::UNIX_EPOCH,
            tickets: 0,
            held: VecDeque::new(),
        };
        for profile in world.profiles.clone() {
            let provider = "anthropic".into();
            world.play(Event::Joined { profile, provider, slots: SLOTS, health: Box::default() });
        }
        for (number, profile) in world.profiles.clone().into_iter().enumerate() {
            if let Some(class) = CLASSES.get(number % 10) {
                let mut request = world.request();
                request.alternatives = vec![alternative(class, Some(profile))];
                world.ask(request);
                world.end(limited(world.now + TimeDelta::days(1)));
            }
        }
        world
    }

    /// Half of the places taken, nobody waiting.
    fn relaxed(profiles: usize) -> Self {
        let mut world = Self::new(profiles);
        while world.held.len() < profiles * SLOTS as usize / 2 {
            world.ask(world.request());
        }
        world
    }

    /// All places taken, many waiting.
    fn crowded(profiles: usize) -> Self {
        let mut world = Self::new(profiles);
        while world.pool.queued() < WAITERS {
            world.ask(world.request());
        }
        world
    }

    /// What the next agent in turn asks for: a model, and its fallback.
    fn request(&self) -> Request {
        let chance = scattered(self.tickets);
        let first = (chance % 4) as usize;
        Request {
            agent: format!("agent-{:02}", chance / 4 % AGENTS).into(),
            alternatives: vec![
                alternative(CLASSES[first], None),
                alternative(CLASSES[(first + 1) % 4], None),
            ],
            avoid: BTreeMap::new(),
            rather: None,
            not_before: None,
            deadline: Some(self.now + TimeDelta::days(1)),
            session: None,
            size: Default::default(),
        }
    }

    fn play(&mut self, event: Event) {
        self.now += TimeDelta::microseconds(1);
        for command in self.pool.apply(self.now, event) {
            match command {
                Command::Grant { lease, .. } => self.held.push_back(lease),
                Command::Refuse { ticket, refusal } => panic!("{ticket:?}: {refusal:?}"),
            }
        }
    }

    fn ask(&mut self, request: Request) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.play(Event::Requested { ticket, request });
        ticket
    }

    /// Ends the oldest lease.
    fn end(&mut self, verdict: Verdict) {
        let lease = self.held.pop_front().unwrap();
        self.play(Event::Settled { lease, verdict, used: None });
    }
}

/// Numbers in no order, as ids and the wishes of agents are.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

fn alternative(class: &str, pin: Option<ProfileId>) -> Alternative {
    Alternative { provider: "anthropic".into(), class: class.into(), pin }
}

fn limited(until: Timestamp) -> Verdict {
    let dimension = Some(Dimension::InputTokens);
    Verdict::Failed(Failure::Limited { until: Some(until), dimension })
}

fn measure(
    criterion: &mut Criterion,
    name: &str,
    start: fn(usize) -> World,
    cycle: fn(&mut World),
) {
    let mut group = criterion.benchmark_group(name);
    for profiles in [10, 1_000, 100_000] {
        let mut world = None; // Kept from sample to sample, and not made for what is filtered out.
        group.bench_with_input(BenchmarkId::from_parameter(profiles), &profiles, |bench, _| {
            let world = world.get_or_insert_with(|| start(profiles));
            bench.iter(|| cycle(world));
        });
    }
}

fn cycles(criterion: &mut Criterion) {
    measure(criterion, "granted at once, then settled", World::relaxed, |world| {
        world.ask(world.request());
        world.end(Verdict::Success);
    });
    measure(
        criterion,
        "settled and so granted to a waiter, another waits",
        World::crowded,
        |world| {
            world.end(Verdict::Success);
            world.ask(world.request());
        },
    );
    measure(
        criterion,
        "granted, answered with 429, back after a window",
        World::relaxed,
        |world| {
            world.ask(world.request());
            // About a tenth of the profiles are inside such a window, too.
            let window = world.profiles.len() as i64 * 3 / 10;
            world.end(limited(world.now + TimeDelta::microseconds(window.max(1))));
            world.play(Event::Woke);
        },
    );
    measure(criterion, "granted elsewhere after a fault, then settled", World::relaxed, |world| {
        let mut request = world.request();
        let avoided = &world.profiles[world.tickets as usize % world.profiles.len()];
        request.avoid.insert(avoided.clone(), Some(world.now + TimeDelta::seconds(1)));
        world.ask(request);
        // One that trips no breaker, which would leave nothing to measure.
        world.end(Verdict::Failed(Failure::Network));
    });
    measure(criterion, "waits, then withdraws", World::crowded, |world| {
        let ticket = world.ask(world.request());
        world.play(Event::Withdrawn { ticket });
    });
    measure(criterion, "woken for nothing", World::crowded, |world| world.play(Event::Woke));
}

criterion_group!(benches, cycles);
criterion_main!(benches);
