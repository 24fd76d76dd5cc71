//! What the pool promises, as examples; the laws are in `laws/`.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[cfg(test)]
mod burst;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod deadlines;
mod faults;
#[cfg(test)]
mod ladders;
#[cfg(test)]
mod lessons;
#[cfg(test)]
mod paced;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};
use polpo_policy::failure::Failure;
use polpo_policy::health::Health;
use polpo_policy::id::{LeaseId, ProfileId, Ticket};
use polpo_policy::limits::{Dimension, Reading, Timestamp};
use polpo_policy::pool::seat::{Ladders, ProfileState, Standing};
use polpo_policy::pool::{
    Alternative, Command, Event, Pool, Refusal, Request, Size, Throttle, Verdict,
};

/// The pool, and what a naive observer knows of it.
struct World {
    pool: Pool,
    now: Timestamp,
    tickets: u64,
    held: BTreeMap<LeaseId, ProfileId>,
    answers: BTreeMap<Ticket, usize>,
    grants: Vec<ProfileId>,
    refusals: Vec<Refusal>,
    waited: Vec<Option<(Throttle, TimeDelta)>>,
}

impl World {
    fn new(profiles: &[(&str, u32)]) -> Self {
        let mut world = Self {
            pool: Pool::new(1000, Ladders::default()),
            now: DateTime::UNIX_EPOCH,
            tickets: 0,
            held: BTreeMap::new(),
            answers: BTreeMap::new(),
            grants: Vec::new(),
            refusals: Vec::new(),
            waited: Vec::new(),
        };
        for &(profile, slots) in profiles {
            world.join(profile, slots, Box::default());
        }
        world
    }

    fn join(&mut self, profile: &str, slots: u32, health: Box<Health>) {
        let provider = profile.split_once(':').unwrap().0.into();
        self.play(Event::Joined { profile: profile.into(), provider, slots, health });
    }

    /// The process ends, and another remembers what is to be remembered.
    fn restart(&mut self) {
        self.restart_with(|health| health);
    }

    fn restart_with(&mut self, remembered: impl Fn(Health) -> Health) {
        let pool = std::mem::replace(&mut self.pool, Pool::new(1000, Ladders::default()));
        self.held.clear();
        for (profile, seat) in pool.seats() {
            let health = remembered(pool.health(profile).unwrap());
            self.join(profile.as_str(), seat.slots, Box::new(health));
        }
    }

    fn standing(&self, profile: &str, class: &str) -> Standing {
        self.pool.standing(&profile.into(), &class.into())
    }

    /// The headers of the newest lease's answer tell who answers.
    fn answer_last(&mut self, organization: &str, workspace: Option<&str>) {
        let (lease, _) = self.held.last_key_value().unwrap();
        let reading = Reading {
            organization: Some(organization.into()),
            workspace: workspace.map(Into::into),
            limits: Vec::new(),
        };
        self.play(Event::Answered { lease: *lease, reading });
    }

    fn play(&mut self, event: Event) {
        for command in self.pool.apply(self.now, event) {
            match command {
                Command::Grant { ticket, lease, profile, waited, .. } => {
                    self.held.insert(lease, profile.clone());
                    self.grants.push(profile);
                    self.waited.push(waited);
                    *self.answers.entry(ticket).or_default() += 1;
                }
                Command::Refuse { ticket, refusal } => {
                    self.refusals.push(refusal);
                    *self.answers.entry(ticket).or_default() += 1;
                }
            }
        }
    }

    fn ask(&mut self, request: Request) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.play(Event::Requested { ticket, request });
        ticket
    }

    /// Waits a little longer, as each grant takes a nanosecond.
    fn wait(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds) + TimeDelta::microseconds(1);
        self.play(Event::Woke);
    }

    fn settle(&mut self, lease: LeaseId, verdict: Verdict) {
        self.held.remove(&lease);
        self.play(Event::Settled { lease, verdict, used: None });
    }

    /// Ends the oldest lease.
    fn end(&mut self, verdict: Verdict) {
        let lease = *self.held.keys().next().unwrap();
        self.settle(lease, verdict);
    }

    fn granted(&self) -> Vec<&str> {
        self.grants.iter().map(ProfileId::as_str).collect()
    }
}

fn wanting(specs: &[(&str, &str)]) -> Request {
    let alternatives = specs.iter().map(|&(provider, class)| Alternative {
        provider: provider.into(),
        class: class.into(),
        pin: None,
    });
    Request {
        agent: "agent".into(),
        alternatives: alternatives.collect(),
        avoid: BTreeMap::new(),
        rather: None,
        not_before: None,
        deadline: None,
        session: None,
        size: Size::default(),
    }
}

fn sonnet() -> Request {
    wanting(&[("a", "sonnet")])
}

fn limited(world: &World, seconds: i64) -> Verdict {
    Verdict::Failed(Failure::Limited {
        until: Some(world.now + TimeDelta::seconds(seconds)),
        dimension: Some(Dimension::InputTokens),
    })
}

#[test]
fn the_oldest_last_used_goes_first_and_it_is_stamped_at_the_grant() {
    let mut world = World::new(&[("a:1", 100), ("a:2", 100), ("a:3", 100)]);
    for _ in 0..7 {
        world.ask(sonnet());
    }
    assert_eq!(world.granted(), ["a:1", "a:2", "a:3", "a:1", "a:2", "a:3", "a:1"]);
}

#[test]
fn a_limited_profile_is_passed_over_for_that_class_only() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
    world.ask(sonnet());
    world.end(limited(&world, 60));
    world.ask(sonnet());
    world.ask(sonnet());
    world.ask(wanting(&[("a", "opus")]));
    assert_eq!(world.granted(), ["a:1", "a:2", "a:2", "a:1"]);
    assert_eq!(world.pool.count(ProfileState::Cooling), 1);
}

#[test]
fn when_every_profile_is_limited_the_fallback_model_is_used_and_without_one_it_waits() {
    let mut world = World::new(&[("a:1", 9)]);
    world.ask(sonnet());
    world.answer_last("org-7f", None);
    world.end(limited(&world, 60));
    world.ask(sonnet());
    assert_eq!(world.pool.queued(), 1);
    world.ask(wanting(&[("a", "sonnet"), ("a", "haiku")]));
    assert_eq!(world.granted().len(), 2, "the one with a fallback is served");
    let wait = &world.pool.waits()[0];
    assert_eq!(wait.throttle, Throttle::Limit(Dimension::InputTokens));
    assert_eq!(wait.organization.as_ref().unwrap().as_str(), "org-7f");
    world.wait(60);
    assert_eq!(world.granted().len(), 3);
    let (throttle, waited) = world.waited[2].unwrap();
    assert_eq!(throttle, Throttle::Limit(Dimension::InputTokens));
    assert!((59..=60).contains(&waited.num_seconds()), "{waited}");
}

#[test]
fn a_busy_profile_is_waited_for_rather_than_falling_back() {
    let mut world = World::new(&[("a:1", 1)]);
    world.ask(sonnet());
    world.ask(wanting(&[("a", "sonnet"), ("a", "haiku")]));
    assert_eq!((world.granted().len(), world.pool.queued()), (1, 1));
    world.end(Verdict::Success);
    assert_eq!((world.granted().len(), world.pool.queued()), (2, 0));
}

#[test]
fn waiters_with_a_fallback_leave_the_list_when_the_last_profile_is_limited() {
    let mut world = World::new(&[("a:1", 2)]);
    world.ask(sonnet());
    world.ask(sonnet());
    world.ask(wanting(&[("a", "sonnet"), ("b", "haiku")]));
    world.play(Event::Joined {
        profile: "b:1".into(),
        provider: "b".into(),
        slots: 1,
        health: Box::default(),
    });
    world.end(limited(&world, 60));
    assert_eq!(world.granted(), ["a:1", "a:1", "b:1"]);
}

#[test]
fn a_thousand_waiters_do_not_storm_a_profile_that_comes_back() {
    let mut world = World::new(&[("a:1", 500)]);
    world.ask(sonnet());
    world.end(limited(&world, 90));
    for _ in 0..999 {
        world.ask(sonnet());
    }
    world.wait(90);
    let throttle = world.pool.waits()[0].throttle;
    assert_eq!(throttle, Throttle::Limit(Dimension::InputTokens), "the ramp is the limit's");
    let mut widths = vec![world.held.len()];
    for _ in 0..4 {
        world.end(Verdict::Success);
        widths.push(world.held.len());
    }
    assert_eq!(widths, [1, 2, 4, 8, 16]);
}

#[test]
fn a_newcomer_at_the_end_of_a_window_does_not_overtake_those_who_wait() {
    let mut world = World::new(&[("a:1", 9)]);
    world.ask(sonnet());
    world.end(limited(&world, 90));
    let waiter = world.ask(sonnet());
    world.now += TimeDelta::seconds(91);
    let newcomer = world.ask(sonnet()); // Before anyone woke the pool.
    assert!(world.answers.contains_key(&waiter) && !world.answers.contains_key(&newcomer));
}

#[test]
fn a_list_that_was_empty_for_a_moment_waits_for_its_turn() {
    let mut world = World::new(&[("a:1", 1)]);
    let opus = || wanting(&[("a", "opus")]);
    world.ask(opus());
    let patient: Vec<_> = (0..10).map(|_| world.ask(sonnet())).collect();
    for _ in 0..10 {
        world.ask(opus()); // Its list is empty again as soon as it is served.
        world.end(Verdict::Success);
    }
    let served = patient.iter().filter(|ticket| world.answers.contains_key(ticket)).count();
    assert!((5..=6).contains(&served), "{served}");
}

#[test]
fn without_any_known_return_a_request_is_refused_at_once_and_so_are_those_that_wait() {
    let mut world = World::new(&[("a:1", 1)]);
    world.ask(sonnet());
    world.ask(sonnet());
    world.end(Verdict::Failed(Failure::Revoked));
    world.ask(sonnet());
    assert_eq!(world.refusals, [Refusal::NoCredential, Refusal::NoCredential]);
    assert_eq!(world.pool.queued(), 0);
}

#[test]
fn money_and_keys_of_one_profile_do_not_stop_the_others() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9), ("a:3", 9)]);
    world.ask(sonnet());
    world.end(Verdict::Failed(Failure::Unfunded { until: None }));
    world.ask(sonnet());
    world.end(Verdict::Failed(Failure::Revoked));
    world.ask(sonnet());
    world.ask(sonnet());
    assert_eq!(world.granted(), ["a:1", "a:2", "a:3", "a:3"]);
}

#[test]
fn after_a_fault_another_profile_is_taken_at_once_and_the_same_one_only_after_the_pause() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
    let mut request = sonnet();
    let pause = world.now + TimeDelta::seconds(4);
    request.avoid.insert("a:1".into(), Some(pause));
    world.ask(request.clone());
    request.avoid.insert("a:2".into(), Some(pause + TimeDelta::seconds(4)));
    world.ask(request);
    assert_eq!(world.granted(), ["a:2"]);
    assert_eq!(world.pool.next_deadline(), Some(pause));
    world.wait(4);
    assert_eq!(world.granted(), ["a:2", "a:1"]);
}

#[test]
fn a_profile_avoided_for_good_is_never_granted_to_that_request() {
    let mut world = World::new(&[("a:1", 9)]);
    let mut request = sonnet();
    request.avoid.insert("a:1".into(), None);
    world.ask(request);
    assert_eq!(world.refusals, [Refusal::NoCredential]);
}

#[test]
fn a_request_that_avoids_a_profile_does_not_get_it_by_waiting_for_others_either() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
    for seconds in [10, 60] {
        world.ask(sonnet());
        world.end(limited(&world, seconds));
    }
    let mut request = wanting(&[("a", "sonnet"), ("b", "haiku")]);
    request.avoid.insert("a:1".into(), None);
    world.ask(request);
    world.wait(10);
    assert_eq!(world.granted().len(), 2, "only the one that it avoids is back");
    world.wait(50);
    assert_eq!(world.granted()[2..], ["a:2"]);
}

#[test]
fn a_pinned_request_gets_its_profile_or_the_next_model_never_another_profile() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
    let mut request = wanting(&[("a", "sonnet"), ("a", "haiku")]);
    request.alternatives[0].pin = Some("a:2".into());
    world.ask(request.clone());
    world.end(limited(&world, 60));
    request.alternatives.truncate(1);
    world.ask(request.clone());
    assert_eq!((world.granted(), world.pool.queued()), (vec!["a:2"], 1));
    request.alternatives.push(wanting(&[("a", "haiku")]).alternatives[0].clone());
    world.ask(request);
    assert_eq!(world.granted(), ["a:2", "a:1"]);
}

#[test]
fn a_deadline_a_withdrawal_and_a_full_queue_end_a_wait() {
    let mut world = World::new(&[("a:1", 0)]);
    let mut request = sonnet();
    request.deadline = Some(world.now + TimeDelta::seconds(5));
    world.ask(request);
    let withdrawn = world.ask(sonnet());
    world.play(Event::Withdrawn { ticket: withdrawn });
    assert_eq!(world.pool.queued(), 1);
    world.wait(5);
    assert_eq!(world.refusals, [Refusal::TimedOut { until: None }]);
    for _ in 0..1001 {
        world.ask(sonnet());
    }
    assert_eq!(world.refusals, [Refusal::TimedOut { until: None }, Refusal::QueueFull]);
    assert!(!world.answers.contains_key(&withdrawn));
}

#[test]
fn a_thousand_requests_at_once_are_spread_evenly() {
    let names: Vec<String> = (0..10).map(|n| format!("a:{n}")).collect();
    let profiles: Vec<_> = names.iter().map(|name| (name.as_str(), 1000)).collect();
    let mut world = World::new(&profiles);
    for _ in 0..1000 {
        world.ask(sonnet());
    }
    for name in &names {
        assert_eq!(world.grants.iter().filter(|it| it.as_str() == name).count(), 100);
    }
}
