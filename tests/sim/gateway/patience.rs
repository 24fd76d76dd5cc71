//! Who waits for a profile, and for how long.

use polpo_upstream::error::TransportError;

use super::front::{Ask, Front};
use crate::reply::{limited, overloaded, refuses, says, unreachable};
use crate::system::simulate;
use crate::world::{SONNET, World};

/// Whole seconds since the start.
fn seconds(front: &Front) -> i64 {
    front.world.clock.now().timestamp()
}

#[test]
fn a_request_waits_for_the_profile_that_is_back_first() {
    simulate(async || {
        let front = Front::new(&["a", "b"]).await;
        front.world.script.on("a", [limited(300)]);
        front.world.script.on("b", [limited(30)]);
        let heard = front.hear(&Ask::stream("hi")).await;
        assert_eq!((heard.status, heard.text()), (200, says("fine").said(SONNET)));
        assert_eq!(front.world.trace()[2], (30_000, "b".into()));
        assert_eq!(front.close().await.len(), 3);
    });
}

#[test]
fn a_request_that_would_wait_in_vain_is_refused_at_once_with_the_true_time() {
    simulate(async || {
        let front = Front::new(&["a", "b"]).await;
        front.world.script.on("a", [limited(300)]);
        front.world.script.on("b", [limited(200)]);
        for (ask, after) in [(Ask::stream("hi"), "200"), (Ask::whole("hi"), "100")] {
            let asked = seconds(&front);
            let heard = front.hear(&ask).await;
            let (status, kind, message) = heard.error();
            assert_eq!((status, kind.as_str()), (429, "rate_limit_error"));
            assert!(message.contains("1970-01-01 00:03:20 UTC"), "{message}");
            assert_eq!(heard.header("retry-after"), after);
            assert_eq!(heard.header("x-should-retry"), "false");
            assert_eq!(seconds(&front), asked, "at once");
            assert_eq!(front.world.calls().len(), 2, "and nobody is asked in vain");
            crate::world::pass(100).await;
        }
        assert_eq!(front.close().await.len(), 2);
    });
}

#[test]
fn a_request_that_gets_no_place_in_time_is_refused_at_its_deadline() {
    for (timeout, patience) in [("600", 60), ("40.0", 30), ("5", 0)] {
        simulate(async || {
            let front = Front::over(World::of(Vec::new(), &["a"], 1).await).await;
            front.world.script.on("a", [says("long").after(100)]);
            let second = async {
                crate::world::pass(1).await;
                let ask = Ask::whole("second").with("x-stainless-timeout", timeout);
                let heard = front.hear(&ask).await;
                assert_eq!((heard.error().0, heard.header("x-should-retry")), (429, "false"));
                assert_eq!(seconds(&front), 1 + patience, "{timeout}");
            };
            let (first, ()) = tokio::join!(front.hear(&Ask::stream("first")), second);
            assert_eq!(first.status, 200);
            assert_eq!(front.close().await.len(), 1);
        });
    }
}

#[test]
fn faults_are_passed_on_in_upstream_s_words_when_the_deadline_has_come() {
    simulate(async || {
        let front = Front::new(&["a", "b"]).await;
        front.world.script.otherwise(overloaded());
        let heard = front.hear(&Ask::whole("hi")).await;
        assert_eq!((heard.status, heard.text()), (529, overloaded().said(SONNET)));
        assert!((20..=60).contains(&seconds(&front)), "{}", seconds(&front));
        let rows = front.close().await;
        assert!((5..12).contains(&rows.len()), "{}", rows.len());
        assert!(rows.iter().all(|row| (row.outcome, row.cost.0) == ("overloaded", 0)));
    });
}

#[test]
fn a_gateway_without_a_credential_that_is_accepted_says_so_and_asks_nobody() {
    simulate(async || {
        let front = Front::new(&["a", "b"]).await;
        front.world.script.otherwise(refuses(401, "authentication_error", "invalid x-api-key"));
        for calls in [2, 2] {
            let heard = front.hear(&Ask::stream("hi")).await;
            let (status, kind, message) = heard.error();
            assert_eq!((status, kind.as_str()), (503, "api_error"));
            assert!(message.contains("no credential"), "{message}");
            assert_eq!(heard.header("x-should-retry"), "false");
            assert_eq!(front.world.calls().len(), calls);
        }
        assert_eq!(seconds(&front), 0);
        front.close().await;
    });
}

#[test]
fn a_client_without_patience_is_served_if_anyone_can_whatever_is_wrong_with_the_others() {
    let own = [
        limited(300),
        refuses(402, "billing_error", "Payment required"),
        refuses(401, "authentication_error", "invalid x-api-key"),
        refuses(403, "permission_error", "model not for you"),
    ];
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    for (what, failures, status) in [
        ("theirs alone", own.iter().cycle().take(9).cloned().collect::<Vec<_>>(), 200),
        ("theirs and three of the provider", [&own[..], &vec![overloaded(); 3]].concat(), 200),
        ("four of the provider", vec![overloaded(); 4], 529),
        ("four of the network", vec![unreachable(TransportError::Connect); 4], 500),
    ] {
        simulate(async || {
            let front = Front::new(&names).await;
            for (name, failure) in names.iter().zip(&failures) {
                front.world.script.on(name, [failure.clone()]);
            }
            let heard = front.hear(&Ask::stream("hi").with("x-stainless-timeout", "5")).await;
            assert_eq!((heard.status, seconds(&front)), (status, 0), "{what}");
            let calls = failures.len() + usize::from(status == 200);
            assert_eq!(front.close().await.len(), calls, "{what}");
        });
    }
}
