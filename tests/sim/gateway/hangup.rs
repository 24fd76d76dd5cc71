//! A client hangs up: so does the gateway, at whatever stage, and what was done is paid for.

use std::time::Duration;

use polpo_policy::budget::BYTES_PER_TOKEN;
use polpo_policy::price::Nanodollars;
use polpo_store::journal::BookedCall;
use tokio::time::timeout;

use super::front::{Ask, Front};
use crate::reply::{Canned, Step, begins, limited, overloaded, says, says_whole, starts};
use crate::system::simulate;
use crate::world::{SONNET, World, pass, price_of};

/// Has a client give up after some seconds, and another be served then; tells what is booked of the
/// first.
fn hung_up(what: &str, seconds: u64, replies: Vec<Canned>, ask: &Ask) -> Vec<BookedCall> {
    let mut rows = Vec::new();
    simulate(async || {
        let front = Front::over(World::of(Vec::new(), &["a"], 1).await).await;
        front.world.script.on("a", replies.clone());
        let given_up = timeout(Duration::from_secs(seconds), front.hear(ask)).await;
        assert!(given_up.is_err(), "{what}: it was answered");
        pass(1).await;
        let open = (front.world.script.on_their_way(), front.world.script.open_bodies());
        assert_eq!(open, (0, 0), "{what}: upstream still works");
        let snapshot = front.world.observe().await;
        assert_eq!((snapshot.queued, snapshot.leased), (0, 0), "{what}: it keeps a place");
        pass(600).await;
        let next = front.hear(&Ask::stream("next")).await;
        assert_eq!((next.status, next.text()), (200, says("fine").said(SONNET)), "{what}");
        for (outcome, count) in [("cancelled", 1.0), ("succeeded", 1.0)] {
            let labels = [("key", "local"), ("outcome", outcome)];
            assert_eq!(front.world.metric("gateway_requests_total", &labels), count, "{what}");
        }
        rows = front.close().await;
        assert_eq!(rows.pop().unwrap().outcome, "succeeded");
    });
    rows
}

/// What a row costs that nobody knows more of than that a call was made.
fn is_most(row: &BookedCall) -> bool {
    row.is_lost && row.cost > price_of(SONNET, 100) && row.outcome == "cancelled"
}

#[test]
fn before_the_answer_has_begun_the_call_is_charged_at_the_most_it_can_have_cost() {
    let silent = |canned: Canned| canned.then(Step::Silence);
    let mut half = says_whole("fine");
    if let Some(Step::Text(text)) = half.steps.first_mut() {
        text.truncate(text.len() / 2);
    }
    for (what, reply, ask) in [
        ("before the headers", says("late").after(100), Ask::stream("hi")),
        ("before the headers of a whole", says_whole("late").after(100), Ask::whole("hi")),
        ("before the first event", silent(crate::reply::stream()), Ask::stream("hi")),
        ("in the middle of a whole", silent(half), Ask::whole("hi")),
    ] {
        let rows = hung_up(what, 5, vec![reply], &ask);
        assert!(rows.len() == 1 && is_most(&rows[0]), "{what}: {rows:?}");
    }
}

#[test]
fn an_answer_that_is_held_is_charged_what_it_told_of() {
    let rows = hung_up("held", 5, vec![starts().then(Step::Silence)], &Ask::stream("hi"));
    assert_eq!((rows.len(), rows[0].cost), (1, price_of(SONNET, 1)));
    assert_eq!((rows[0].outcome, rows[0].is_lost), ("cancelled", false));
}

#[test]
fn in_the_middle_of_a_stream_what_was_said_is_charged() {
    let said = "It was the best of times, it was the worst of times";
    let rows = hung_up("mid stream", 5, vec![begins(said).then(Step::Silence)], &Ask::stream("hi"));
    let tokens = (said.len() as u64).div_ceil(BYTES_PER_TOKEN);
    assert_eq!((rows.len(), rows[0].cost), (1, price_of(SONNET, tokens)));
    assert_eq!((rows[0].outcome, rows[0].is_lost), ("cancelled", false));
}

#[test]
fn after_pings_alone_it_is_cancelled_too() {
    let late = says("late").after(100);
    let rows = hung_up("opened", 70, vec![late], &Ask::stream("hi"));
    assert!(rows.len() == 1 && is_most(&rows[0]), "{rows:?}");
}

#[test]
fn while_an_error_is_read_the_call_costs_the_most_and_between_two_calls_nothing_more() {
    let slow = Canned { steps: vec![Step::Sleep(Duration::from_secs(3))], ..overloaded() };
    let rows = hung_up("in an error", 2, vec![slow], &Ask::stream("hi"));
    assert!(rows.len() == 1 && is_most(&rows[0]), "{rows:?}");
    for (what, reply) in [("a pause", overloaded()), ("a limit", limited(50))] {
        let replies = (0..8).map(|_| reply.clone()).take(if what == "a pause" { 8 } else { 1 });
        let rows = hung_up(what, 20, replies.collect(), &Ask::stream("hi"));
        assert!(!rows.is_empty() && rows.iter().all(|row| row.cost == Nanodollars(0)), "{what}");
    }
}

#[test]
fn a_client_that_waits_for_a_place_gives_up_its_turn() {
    simulate(async || {
        let front = Front::over(World::of(Vec::new(), &["a"], 1).await).await;
        front.world.script.on("a", [says("fine").after(30)]);
        let waits = async {
            pass(1).await;
            let waiting = timeout(Duration::from_secs(5), front.hear(&Ask::stream("waits")));
            assert!(waiting.await.is_err());
            pass(1).await;
            let snapshot = front.world.observe().await;
            assert_eq!((snapshot.queued, snapshot.leased), (0, 1));
        };
        let (first, ()) = tokio::join!(front.hear(&Ask::stream("first")), waits);
        assert_eq!(first.status, 200);
        let labels = [("key", "local"), ("outcome", "cancelled")];
        assert_eq!(front.world.metric("gateway_requests_total", &labels), 1.0);
        assert_eq!(front.close().await.len(), 1, "it was never sent");
    });
}
