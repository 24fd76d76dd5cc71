//! A crowd behind one limit, and a burst of failures before it.

use chrono::{DateTime, TimeDelta};
use polpo_policy::failure::Failure;
use polpo_policy::id::{LeaseId, Ticket};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::seat::Ladders;
use polpo_policy::pool::{Command, Event, Pool, Verdict};

use crate::wanting;

const LEASES: u64 = 1000;
const WAITERS: u64 = 2000;

fn limited(until: Timestamp) -> Verdict {
    Verdict::Failed(Failure::Limited { until: Some(until), dimension: None })
}

/// Plays a burst of limit failures, each with a window that ends a little later.
fn burst(pool: &mut Pool, start: Timestamp, window: TimeDelta) -> Vec<Command> {
    let mut commands = Vec::new();
    for lease in 1..=LEASES {
        let now = start + TimeDelta::microseconds(lease.cast_signed());
        let (lease, verdict) = (LeaseId(lease), limited(now + window));
        let event = Event::Settled { lease, verdict, used: None };
        commands.extend(pool.apply(now, event));
    }
    commands
}

fn crowd(slots: u32) -> Pool {
    let mut pool = Pool::new(10_000, Ladders::default());
    let joined = Event::Joined {
        profile: "a:1".into(),
        provider: "a".into(),
        slots,
        health: Box::default(),
    };
    assert!(pool.apply(DateTime::UNIX_EPOCH, joined).is_empty());
    pool
}

fn ask(pool: &mut Pool, ticket: u64, classes: &[&str]) -> Vec<Command> {
    let specs: Vec<_> = classes.iter().map(|&class| ("a", class)).collect();
    let event = Event::Requested { ticket: Ticket(ticket), request: wanting(&specs) };
    pool.apply(DateTime::UNIX_EPOCH, event)
}

#[test]
fn a_burst_of_limit_failures_before_a_crowd_serves_nobody_and_loses_nobody() {
    let (mut pool, start) = (crowd(1001), DateTime::UNIX_EPOCH);
    for ticket in 1..=LEASES {
        assert_eq!(ask(&mut pool, ticket, &["sonnet"]).len(), 1);
    }
    assert_eq!(ask(&mut pool, LEASES + 1, &["haiku"]).len(), 1);
    let (lease, verdict) = (LeaseId(LEASES + 1), limited(start + TimeDelta::hours(1)));
    assert!(pool.apply(start, Event::Settled { lease, verdict, used: None }).is_empty());
    // Its one place left goes to the first; the others wait for sonnet, as haiku is limited.
    for ticket in 1..=WAITERS {
        let _ = ask(&mut pool, LEASES + 1 + ticket, &["sonnet", "haiku"]);
    }
    // If everyone looked around again each time, this would take a quarter of a minute.
    let commands = burst(&mut pool, start, TimeDelta::seconds(60));
    assert!(commands.is_empty(), "nothing can be served");
    assert_eq!(pool.queued() as u64, WAITERS - 1);
}

#[test]
fn waiters_look_around_again_when_the_return_has_moved_far() {
    let mut pool = crowd(2);
    let start = DateTime::UNIX_EPOCH;
    for (ticket, class) in [(1, "sonnet"), (2, "haiku")] {
        assert_eq!(ask(&mut pool, ticket, &[class]).len(), 1);
    }
    // Haiku is back after 300 s, sonnet after 100: who would take either waits for sonnet.
    for (number, seconds) in [(2, 300), (1, 100)] {
        let verdict = limited(start + TimeDelta::seconds(seconds));
        let settled = Event::Settled { lease: LeaseId(number), verdict, used: None };
        assert!(pool.apply(start, settled).is_empty());
    }
    assert!(ask(&mut pool, 3, &["sonnet", "haiku"]).is_empty());
    assert!(ask(&mut pool, 4, &["sonnet"]).is_empty());
    // The one that tries sonnet at 100 s finds it limited for an hour.
    let at = |seconds| start + TimeDelta::seconds(seconds);
    let tried = pool.apply(at(100), Event::Woke);
    let [Command::Grant { ticket: Ticket(3), lease, alternative: 0, .. }] = tried[..] else {
        panic!("{tried:?}")
    };
    assert!(ask(&mut pool, 5, &["sonnet", "haiku"]).is_empty());
    let settled = Event::Settled { lease, verdict: limited(at(3600)), used: None };
    assert!(pool.apply(at(100), settled).is_empty());
    let moved = pool.apply(at(300), Event::Woke);
    assert!(
        matches!(moved[..], [Command::Grant { ticket: Ticket(5), alternative: 1, .. }]),
        "{moved:?}"
    );
}
