//! Whoever waits for a task goes away: so does all that the task holds.

use std::time::Duration;

use tokio::time::timeout;

use crate::reply::{Step, begins, limited, says};
use crate::system::simulate;
use crate::world::{World, agent, answer, pass};

/// Gives a task so many seconds, and the actors the time to notice that it is gone.
async fn cut(world: &World, prompt: &str, seconds: u64) {
    let cut = timeout(Duration::from_secs(seconds), world.ask(prompt)).await;
    assert!(cut.is_err(), "it ended before it was cut");
    pass(1).await;
}

#[test]
fn a_task_cut_off_while_it_waits_withdraws() {
    simulate(async || {
        let world = World::of(vec![agent("agent")], &["a"], 1).await;
        world.script.on("a", [says("fine").after(100)]);
        let (first, ()) = tokio::join!(world.ask("long"), async {
            pass(1).await;
            cut(&world, "waits", 5).await;
            let snapshot = world.observe().await;
            assert_eq!((snapshot.queued, snapshot.leased), (0, 1));
            assert_eq!(world.metric("queue_depth", &[]), 0.0);
        });
        assert_eq!(answer(&first), "fine");
        assert_eq!((world.calls().len(), world.rows().len()), (1, 1), "it was never sent");
    });
}

#[test]
fn a_task_cut_off_while_its_profile_is_limited_withdraws() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [limited(60)]);
        cut(&world, "waits", 5).await;
        assert_eq!(world.observe().await.queued, 0);
        pass(100).await;
        assert_eq!(world.calls().len(), 1);
        assert_eq!(answer(&world.ask("next").await), "fine");
    });
}

#[test]
fn a_task_cut_off_in_the_middle_of_its_answer_cancels_it_and_gives_the_place_back() {
    simulate(async || {
        let world = World::of(vec![agent("agent")], &["a"], 1).await;
        world.script.on("a", [begins("fi").then(Step::Silence)]);
        cut(&world, "silent", 5).await;
        assert_eq!(world.script.open_bodies(), 0);
        let snapshot = world.observe().await;
        assert_eq!((snapshot.queued, snapshot.leased), (0, 0));
        assert_eq!(world.metric("leases_in_flight", &[]), 0.0);
        assert_eq!(world.metric("agents_running", &[]), 0.0);
        assert_eq!(answer(&world.ask("next").await), "fine");
        let lost = world.journal().settle_lost(world.run_id(), world.clock.now()).await.unwrap();
        assert_eq!(lost.len(), 1, "what it cost is settled when the run is opened again");
        assert_eq!(
            (lost[0].task.as_str(), lost[0].reserved > polpo_policy::price::Nanodollars(0)),
            ("silent", true)
        );
    });
}

#[test]
fn a_task_cut_off_before_its_answer_begins_cancels_the_call() {
    simulate(async || {
        let world = World::of(vec![agent("agent")], &["a"], 1).await;
        world.script.on("a", [says("late").after(100)]);
        cut(&world, "slow", 5).await;
        assert_eq!(world.script.on_their_way(), 0);
        assert_eq!(world.observe().await.leased, 0);
    });
}
