//! What a gate lets through, as examples.

use super::*;
use chrono::DateTime;

const LADDER: [TimeDelta; 3] =
    [TimeDelta::minutes(1), TimeDelta::minutes(5), TimeDelta::minutes(25)];

fn at(seconds: i64) -> Timestamp {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn limit() -> Cause {
    Cause::Limit(None)
}

#[test]
fn a_later_end_extends_a_window_and_an_earlier_one_does_not_shorten_it() {
    let mut gate = Gate::default();
    gate.shut(at(0), Some(at(60)), limit());
    gate.shut(at(0), Some(at(10)), limit());
    assert_eq!(gate.passage(), Passage::Shut(at(60)));
    gate.shut(at(0), Some(at(90)), limit());
    assert_eq!(gate.passage(), Passage::Shut(at(90)));
    gate.shut(at(0), None, Cause::Revoked);
    gate.shut(at(0), Some(at(99)), limit());
    assert_eq!(gate.passage(), Passage::Gone);
}

#[test]
fn after_a_window_one_passes_and_each_success_doubles_the_width() {
    let mut gate = Gate::default();
    gate.shut(at(0), Some(at(60)), limit());
    gate.thaw(at(59));
    assert_eq!(gate.passage(), Passage::Shut(at(60)));
    gate.thaw(at(60));
    let mut inside = 0;
    for width in [1, 2, 4, 8] {
        while gate.passage() == Passage::Free {
            gate.enter();
            inside += 1;
        }
        assert_eq!(inside, width);
        gate.leave(at(61), true);
        inside -= 1;
    }
    gate.leave(at(59), true);
    assert!(gate.is_ramping(), "a call from before the window is not counted");
}

#[test]
fn a_window_that_is_over_as_it_begins_does_not_count_the_last_call_before_it() {
    let mut gate = Gate::default();
    gate.shut(at(-60), Some(at(9)), limit());
    gate.thaw(at(10));
    gate.enter();
    gate.leave(at(10), true);
    assert_eq!(gate.passage(), Passage::Full, "one on trial, and nothing shown yet");
}

#[test]
fn the_ladder_climbs_only_for_calls_granted_after_the_last_window() {
    let mut gate = Gate::default();
    gate.climb(at(0), at(0), &LADDER, limit());
    gate.climb(at(1), at(0), &LADDER, limit());
    assert_eq!(gate.passage(), Passage::Shut(at(60)), "the same burst counts once");
    for (now, end) in [(60, 360), (360, 1860), (1860, 3360)] {
        gate.thaw(at(now));
        gate.climb(at(now), at(now), &LADDER, limit());
        assert_eq!(gate.passage(), Passage::Shut(at(end)));
    }
}

#[test]
fn a_success_resets_the_ladder_only_if_it_was_granted_after_the_window() {
    let mut gate = Gate::default();
    gate.climb(at(0), at(0), &LADDER, limit());
    gate.leave(at(0), true);
    assert_eq!(gate.passage(), Passage::Shut(at(60)), "a success never ends a window");
    gate.thaw(at(60));
    gate.leave(at(0), true);
    gate.climb(at(61), at(61), &LADDER, limit());
    assert_eq!(gate.passage(), Passage::Shut(at(361)), "the late success did not reset");
    gate.thaw(at(361));
    gate.leave(at(362), true);
    gate.climb(at(363), at(363), &LADDER, limit());
    assert_eq!(gate.passage(), Passage::Shut(at(423)));
}

#[test]
fn a_short_window_opens_for_all_and_a_recalled_one_for_a_probe() {
    let mut gate = Gate::default();
    gate.shut(at(0), Some(at(29)), limit());
    gate.thaw(at(29));
    assert!(!gate.is_ramping() && gate.passage() == Passage::Free);
    gate.recall(at(61), at(70), 2, limit());
    gate.thaw(at(70));
    assert!(gate.is_ramping());
    gate.climb(at(71), at(71), &LADDER, limit());
    assert_eq!(gate.passage(), Passage::Shut(at(71 + 1500)), "on the third step");
}

#[test]
fn what_is_recalled_again_does_not_shut_a_window_that_is_over() {
    let mut gate = Gate::default();
    gate.shut(at(0), Some(at(60)), limit());
    gate.thaw(at(60));
    gate.recall(at(60), at(60), 1, limit());
    assert_eq!(gate.passage(), Passage::Free);
}

#[test]
fn two_gates_that_are_one_keep_the_later_end_and_the_earlier_trial() {
    let ramping = || {
        let mut gate = Gate::default();
        gate.shut(at(0), Some(at(60)), limit());
        gate.thaw(at(60));
        gate.enter();
        gate
    };
    let mut joined = Gate::default().join(ramping());
    joined.recount(|since| usize::from(since == at(60)));
    assert_eq!(joined.passage(), Passage::Full);
    let mut later = Gate::default();
    later.shut(at(0), Some(at(70)), limit());
    later.thaw(at(70));
    assert_eq!(later.clone().join(ramping()).ramps_since(), Some(at(60)));
    assert_eq!(ramping().join(later).ramps_since(), Some(at(60)));
    let mut shut = Gate::default();
    shut.shut(at(61), Some(at(99)), limit());
    assert_eq!(ramping().join(shut.clone()).passage(), Passage::Shut(at(99)));
    assert_eq!(shut.join(ramping()).passage(), Passage::Shut(at(99)));
}
