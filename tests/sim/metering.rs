//! What calls cost, and that the journal knows it: before they are sent, and after they end.

use futures_util::future::join_all;
use polpo_agents::job::{Ending, Job};
use polpo_policy::price::Nanodollars;
use polpo_upstream::error::TransportError;

use crate::reply::{
    Canned, INPUT, OUTPUT, Step, begins, error_event, limited, overloaded, says, starts,
    stop_event, stream, unreachable,
};
use crate::system::simulate;
use crate::world::{OPUS, SONNET, World, answer, error, pass, price, price_of, spec};

#[test]
fn a_call_is_in_the_journal_while_it_is_under_way_and_its_outcome_after_it() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [says("fine").after(10)]);
        let look = async {
            pass(5).await;
            let row = world.rows()[0].clone();
            assert!(row.end.is_none());
            assert_eq!((row.start.task.as_str(), row.start.attempt), ("one", 1));
            assert_eq!(row.start.model.as_str(), SONNET);
            assert!(row.start.reserved > price(SONNET), "a reservation is an upper bound");
        };
        let (outcome, ()) = tokio::join!(world.ask("one"), look);
        let end = world.rows()[0].end.clone().unwrap();
        assert_eq!((end.outcome, end.cost, end.priced), ("succeeded", price(SONNET), true));
        assert_eq!((end.usage.input, end.usage.output), (INPUT, OUTPUT));
        assert_eq!((outcome.spent.usage, outcome.spent.cost), (end.usage, end.cost));
        assert_eq!((end.ended_at - world.rows()[0].start.started_at).num_seconds(), 10);
    });
}

#[test]
fn what_cannot_be_recorded_is_not_sent() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.journal().close().await.unwrap();
        assert!(matches!(world.ask("one").await.ending, Ending::Unrecorded(_)));
        assert!(world.calls().is_empty());
        let snapshot = world.observe().await;
        assert_eq!((snapshot.leased, snapshot.queued), (0, 0));
    });
}

#[test]
fn a_failed_call_costs_what_upstream_may_have_worked() {
    let reserved = None;
    let nothing = Some(Nanodollars(0));
    let cases = [
        ("no connection", unreachable(TransportError::Connect), "network", nothing),
        ("no request", unreachable(TransportError::Invalid), "network", nothing),
        ("429", limited(1), "rate_limit", nothing),
        ("529", overloaded(), "overloaded", nothing),
        ("idle before a reply", unreachable(TransportError::Idle), "network", reserved),
        ("broken before a reply", unreachable(TransportError::Broken), "network", reserved),
        ("broken before an event", broken(stream()), "network", reserved),
        ("broken after the start", broken(starts()), "network", reserved),
        ("broken after content", broken(begins("fi")), "network", reserved),
        ("an end before the end", begins("fi"), "network", reserved),
        (
            "an error event",
            begins("fi").then(error_event("overloaded_error")),
            "overloaded",
            Some(price_of(SONNET, 1)),
        ),
    ];
    for (what, reply, outcome, cost) in cases {
        simulate(async || {
            let world = World::new(&["a", "b"]).await;
            world.script.on("a", [reply.clone()]);
            let ended = world.ask("one").await;
            assert_eq!(answer(&ended), "fine", "{what}");
            let row = world.rows()[0].clone();
            let end = row.end.unwrap();
            assert_eq!(
                (end.outcome, end.cost),
                (outcome, cost.unwrap_or(row.start.reserved)),
                "{what}"
            );
            assert_eq!(ended.spent.cost, end.cost + price(SONNET), "{what}");
            assert_eq!(ended.spent.calls, 2, "{what}");
        });
    }
}

#[test]
fn an_answer_without_figures_costs_its_reservation() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [begins("fine").then(stop_event())]);
        let ended = world.ask("one").await;
        assert_eq!(answer(&ended), "fine");
        let row = world.rows()[0].clone();
        assert_eq!(row.end.unwrap().cost, row.start.reserved);
        assert!(ended.spent.cost > Nanodollars(0) && ended.spent.cost == row.start.reserved);
    });
}

#[test]
fn an_answer_that_lacks_only_its_last_event_is_an_answer() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let mut short = says("fine");
        short.steps.pop();
        world.script.on("a", [short.then(Step::Fail(TransportError::Broken))]);
        let outcome = world.ask("one").await;
        assert_eq!((answer(&outcome).as_str(), outcome.spent.calls), ("fine", 1));
        assert_eq!(outcome.spent.cost, price(SONNET));
    });
}

#[test]
fn an_answer_is_not_held_up_by_a_body_that_does_not_end() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [says("fine").then(Step::Silence)]);
        assert_eq!(answer(&world.ask("one").await), "fine");
        assert_eq!((world.observe().await.leased, world.script.open_bodies()), (0, 0));
        assert!(world.clock.now().timestamp() < 2);
    });
}

#[test]
fn a_model_without_a_price_is_counted_and_not_taken_for_free() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let job = Job { model: spec("anthropic:mystery-1"), ..world.job("one") };
        let outcome = world.run("agent", job).await;
        assert_eq!(answer(&outcome), "fine");
        let end = world.rows()[0].end.clone().unwrap();
        assert!(!end.priced);
        assert_eq!(end.usage.output, OUTPUT);
        assert_eq!(world.metric("unpriced_calls_total", &[("model", "other")]), 1.0);
    });
}

#[test]
fn a_panic_fails_its_task_only_and_loses_no_cent() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let panics = begins("fi").then(Step::Sleep(std::time::Duration::from_secs(1)));
        world.script.on("a", [says("wrong"), panics.then(Step::Panic)]);
        let other = async {
            pass(1).await;
            world.ask("other").await
        };
        let (outcome, other) = tokio::join!(world.ask_for("one", "42"), other);
        assert_eq!((error(&outcome).0, outcome.attempts), ("panic", 2));
        let rows = world.rows();
        let (wrong, lost) = (rows[0].end.clone().unwrap(), rows[1].end.clone().unwrap());
        assert_eq!((lost.outcome, lost.cost), ("panic", rows[1].start.reserved));
        assert_eq!(rows[1].start.model.as_str(), OPUS);
        assert_eq!((outcome.spent.calls, outcome.spent.cost), (2, wrong.cost + lost.cost));
        assert_eq!(answer(&other), "fine");
        let snapshot = world.observe().await;
        assert_eq!((snapshot.leased, snapshot.queued), (0, 0));
        assert_eq!(answer(&world.ask("later").await), "fine");
        assert_eq!(world.metric("agents_running", &[]), 0.0);
    });
}

#[test]
fn results_journal_and_metrics_agree_to_the_nanodollar() {
    simulate(async || {
        let world = World::new(&["a", "b", "c"]).await;
        world.script.on("a", [limited(60), broken(begins("x")), says("wrong"), overloaded()]);
        world.script.on("b", [broken(starts()), starts().then(error_event("api_error"))]);
        world.script.on("c", [unreachable(TransportError::Idle), says("wrong"), says("wrong")]);
        let prompts: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let outcomes = join_all(prompts.iter().map(|prompt| world.ask_for(prompt, "fine"))).await;
        let results: i64 = outcomes.iter().map(|outcome| outcome.spent.cost.0).sum();
        let calls: u32 = outcomes.iter().map(|outcome| outcome.spent.calls).sum();
        let rows = world.rows();
        let journal: i64 = rows.iter().map(|row| row.end.as_ref().unwrap().cost.0).sum();
        assert_eq!((results, calls as usize), (journal, rows.len()));
        let metered = world.metric("cost_usd_total", &[]);
        assert!((metered - results as f64 / 1e9).abs() < 1e-9, "{metered} {results}");
        assert_eq!(world.metric("calls_total", &[]), rows.len() as f64);
    });
}

fn broken(reply: Canned) -> Canned {
    reply.then(Step::Fail(TransportError::Broken))
}
