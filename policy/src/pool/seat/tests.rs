//! What is against a profile, as examples.

use super::*;
use chrono::DateTime;

fn at(hours: i64) -> Timestamp {
    DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
}

fn fail(seat: &mut Seat, now: Timestamp, failure: Failure) {
    seat.thaw(now);
    seat.failed(now, now, (&"opus-4".into(), &failure), &Ladders::default());
}

#[test]
fn billing_windows_double_up_to_a_day_and_start_again_after_a_day_without_one() {
    let mut seat = Seat::new("a".into(), 4, at(0));
    let mut now = at(0);
    for hours in [5, 10, 20, 24, 24] {
        fail(&mut seat, now, Failure::Unfunded { until: None });
        let until = now + TimeDelta::hours(hours);
        assert_eq!(seat.standing(&"any".into(), Passage::Free), Standing::Back(until), "{hours} h");
        now = until + TimeDelta::seconds(1); // A call takes its time to fail.
    }
    now += TimeDelta::hours(24);
    fail(&mut seat, now, Failure::Unfunded { until: None });
    assert_eq!(
        seat.standing(&"any".into(), Passage::Free),
        Standing::Back(now + TimeDelta::hours(5))
    );
}

#[test]
fn a_date_that_is_past_counts_as_none() {
    let mut seat = Seat::new("a".into(), 4, at(0));
    fail(&mut seat, at(9), Failure::Unfunded { until: Some(at(8)) });
    assert_eq!(seat.standing(&"any".into(), Passage::Free), Standing::Back(at(14)));
}

#[test]
fn a_burst_of_billing_failures_counts_once_and_a_stated_date_wins() {
    let mut seat = Seat::new("a".into(), 4, at(0));
    for _ in 0..64 {
        let failure = (&"opus-4".into(), &Failure::Unfunded { until: None });
        seat.failed(at(1), at(0), failure, &Ladders::default());
    }
    assert_eq!(seat.standing(&"any".into(), Passage::Free), Standing::Back(at(6)));
    fail(&mut seat, at(2), Failure::Unfunded { until: Some(at(240)) });
    assert_eq!(seat.standing(&"any".into(), Passage::Free), Standing::Back(at(240)));
    assert_eq!(seat.shut_by(), Some((Cause::Billing, Some(at(240)))));
}

#[test]
fn a_forbidden_class_is_one_and_a_revoked_key_is_of_all_until_it_is_cleared() {
    let mut seat = Seat::new("a".into(), 4, at(0));
    fail(&mut seat, at(0), Failure::Forbidden);
    assert_eq!(seat.standing(&"opus-4".into(), Passage::Free), Standing::Gone);
    assert_eq!(seat.standing(&"sonnet-4".into(), Passage::Free), Standing::Ready);
    fail(&mut seat, at(0), Failure::Revoked);
    assert_eq!(seat.standing(&"sonnet-4".into(), Passage::Free), Standing::Gone);
    assert_eq!(seat.shut_by(), Some((Cause::Revoked, None)));
    seat.clear(at(1));
    assert_eq!(seat.standing(&"opus-4".into(), Passage::Free), Standing::Ready);
}

#[test]
fn what_is_remembered_of_a_profile_makes_the_same_profile_again() {
    let mut seat = Seat::new("a".into(), 4, at(0));
    for failure in [
        Failure::Unfunded { until: None },
        Failure::Unrefreshed { until: None },
        Failure::Forbidden,
        Failure::Revoked,
    ] {
        fail(&mut seat, at(0), failure);
        let mut restarted = Seat::new("a".into(), 4, at(0));
        restarted.recall(at(1), &seat.health());
        assert_eq!(restarted.health(), seat.health(), "{failure:?}");
        for class in ["opus-4", "sonnet-4"] {
            let standing = |seat: &Seat| seat.standing(&class.into(), Passage::Free);
            assert_eq!(standing(&restarted), standing(&seat), "{failure:?} {class}");
        }
    }
}

#[test]
fn faults_of_the_provider_do_not_cool_a_profile() {
    let mut seat = Seat::new("a".into(), 4, at(0));
    for failure in [Failure::Overloaded, Failure::Faulty, Failure::Network, Failure::Rejected] {
        fail(&mut seat, at(0), failure);
    }
    assert_eq!(seat.shut_by(), None);
    assert_eq!(seat.standing(&"opus-4".into(), Passage::Free), Standing::Ready);
}
