//! Requests that a profile has failed: others first, and it again where there are none.

use chrono::TimeDelta;
use polpo_policy::pool::{Request, Verdict};

use super::{World, limited, sonnet, wanting};

/// A request that `a:1` has failed; others are waited for half a minute.
fn failed(world: &World) -> Request {
    let at = |seconds| Some(world.now + TimeDelta::seconds(seconds));
    Request { avoid: [("a:1".into(), at(4))].into(), rather: at(30), deadline: at(60), ..sonnet() }
}

/// Two profiles of one slot; the second one is busy, or rests for so many seconds.
fn world(rests: Option<i64>) -> World {
    let mut world = World::new(&[("a:1", 1), ("a:2", 1)]);
    world.ask(sonnet());
    world.ask(sonnet());
    world.end(Verdict::Success);
    if let Some(seconds) = rests {
        let verdict = limited(&world, seconds);
        world.end(verdict);
    }
    assert_eq!(world.granted(), ["a:1", "a:2"]);
    world
}

#[test]
fn another_that_is_busy_or_back_soon_enough_is_waited_for() {
    let mut busy = world(None);
    busy.ask(failed(&busy));
    busy.wait(20);
    busy.end(Verdict::Success);
    busy.wait(1);
    assert_eq!(busy.granted()[2..], ["a:2"]);
    let mut resting = world(Some(25));
    resting.ask(failed(&resting));
    resting.wait(24);
    assert_eq!(resting.granted().len(), 2);
    resting.wait(1);
    assert_eq!(resting.granted()[2..], ["a:2"]);
}

#[test]
fn others_are_waited_for_where_they_can_serve_the_same_model_and_do_not_hold_up_the_next() {
    let mut world = World::new(&[("a:1", 9), ("b:1", 9)]);
    let mut request = failed(&world);
    request.alternatives.extend(wanting(&[("b", "sonnet")]).alternatives);
    world.ask(request.clone());
    world.wait(4);
    assert_eq!(world.granted(), ["a:1"], "b:1 is no other for the first");
}

#[test]
fn half_of_the_time_is_kept_for_who_failed_it() {
    let mut world = world(None);
    world.ask(failed(&world));
    world.wait(29);
    assert_eq!(world.granted().len(), 2);
    world.wait(1);
    assert_eq!(world.granted()[2..], ["a:1"]);
}

#[test]
fn where_no_other_is_back_soon_enough_it_is_asked_again_after_its_pause() {
    let mut resting = world(Some(31));
    resting.ask(failed(&resting));
    resting.wait(3);
    assert_eq!(resting.granted().len(), 2);
    resting.wait(1);
    assert_eq!(resting.granted()[2..], ["a:1"]);
    let mut alone = World::new(&[("a:1", 1)]);
    alone.ask(failed(&alone));
    alone.wait(4);
    assert_eq!(alone.granted(), ["a:1"]);
}
