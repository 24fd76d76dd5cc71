//! What fails before its first content goes to another profile, and the client hears only of the
//! answer.

use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;
use polpo_store::journal::BookedCall;
use polpo_upstream::error::TransportError;
use serde_json::json;

use super::front::{Ask, Front};
use crate::reply::{
    Canned, INPUT, Step, error_event, event, limited, limited_without_end, overloaded, refuses,
    refuses_with_code, says, says_whole, starts, stream, unreachable,
};
use crate::system::simulate;
use crate::world::{SONNET, price_of};

/// What a failed call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    Nothing,
    /// What upstream had told of.
    Told,
    /// Nobody knows: as much as it can have been.
    Most,
}

pub(super) type Case = (&'static str, Canned, &'static str, Cost);

/// What can be wrong with any answer before it begins.
pub(super) fn refusals() -> Vec<Case> {
    use Cost::{Most, Nothing};
    use TransportError::{Broken, Connect, Idle, Invalid};
    let (credit, spent) = ("Your credit balance is too low to access it", "spent");
    let cap = refuses_with_code(429, "rate_limit_error", spent, "enforced_spend_limit_reached");
    let unified = limited_without_end()
        .with("anthropic-ratelimit-unified-status", "rejected")
        .with("anthropic-ratelimit-unified-reset", 3600);
    vec![
        ("429", limited(30), "rate_limit", Nothing),
        ("429 without an end", limited_without_end(), "rate_limit", Nothing),
        ("429 of a subscription", unified, "rate_limit", Nothing),
        ("529", overloaded(), "overloaded", Nothing),
        ("500", refuses(500, "api_error", "Oh no"), "server_error", Nothing),
        ("503", refuses(503, "api_error", "Oh no"), "server_error", Nothing),
        ("504", refuses(504, "timeout_error", "Oh no"), "server_error", Nothing),
        ("401", refuses(401, "authentication_error", "invalid x-api-key"), "auth", Nothing),
        ("402", refuses(402, "billing_error", "Payment required"), "billing", Nothing),
        ("403", refuses(403, "permission_error", "model not for you"), "permission", Nothing),
        ("no credit", refuses(400, "invalid_request_error", credit), "billing", Nothing),
        ("a cap", cap, "billing", Nothing),
        ("a redirect", refuses(302, "", ""), "server_error", Nothing),
        ("an error that does not end", overloaded().then(Step::Silence), "overloaded", Nothing),
        ("an error cut off", overloaded().then(Step::Fail(Broken)), "overloaded", Nothing),
        ("no connection", unreachable(Connect), "network", Nothing),
        ("no request", unreachable(Invalid), "network", Nothing),
        ("no reply", unreachable(Idle), "network", Most),
        ("no reply, but an end", unreachable(Broken), "network", Most),
    ]
}

/// What can be wrong with a stream before its first content.
fn streams() -> Vec<Case> {
    use Cost::{Most, Nothing, Told};
    let broken = || Step::Fail(TransportError::Broken);
    let ping = || Step::Text(event("ping", json!({})));
    let overload = || error_event("overloaded_error");
    vec![
        ("an error at once", stream().then(overload()), "overloaded", Nothing),
        ("an error after the start", starts().then(ping()).then(overload()), "overloaded", Told),
        (
            "an error that does not end",
            starts().then(overload()).then(Step::Silence),
            "overloaded",
            Told,
        ),
        ("an api_error", stream().then(error_event("api_error")), "server_error", Nothing),
        ("a limit", stream().then(error_event("rate_limit_error")), "rate_limit", Nothing),
        ("a drop after the start", starts().then(ping()).then(broken()), "network", Told),
        ("an end after the start", starts(), "network", Told),
        ("a drop", stream().then(broken()), "network", Most),
        ("nothing", stream(), "network", Most),
        ("pings alone", stream().then(ping()).then(ping()), "network", Most),
        ("half an event", stream().then(Step::Text("event: mess".into())), "network", Most),
        ("a page", page("text/html"), "network", Nothing),
        ("a page that says it is a stream", page("text/event-stream"), "network", Most),
        ("an error that says it is fine", error_with_200(), "network", Nothing),
    ]
}

/// What can be wrong with an answer in one piece.
fn wholes() -> Vec<Case> {
    use Cost::{Most, Nothing};
    let half = || {
        let Canned { mut steps, headers, .. } = says_whole("lost");
        let Some(Step::Text(text)) = steps.pop() else { panic!("it has a text") };
        let half = text[..text.len() / 2].to_owned();
        Canned { headers, steps: vec![Step::Text(half)], ..says_whole("") }
    };
    vec![
        ("half of it", half(), "network", Nothing),
        ("a drop", half().then(Step::Fail(TransportError::Broken)), "network", Most),
        ("a page", page("text/html"), "network", Nothing),
        ("an error that says it is fine", error_with_200(), "network", Nothing),
        ("nothing", Canned { steps: Vec::new(), ..says_whole("") }, "network", Nothing),
    ]
}

fn page(kind: &str) -> Canned {
    let steps = vec![Step::Text("<html>Welcome to our Wi-Fi</html>".into())];
    Canned { headers: vec![("content-type", kind.to_owned())], steps, ..stream() }
}

fn error_with_200() -> Canned {
    Canned { head: Ok(200), ..overloaded() }
}

/// Has profile `a` fail and `b` answer: the client hears of `b` alone.
fn goes_to_another(ask: &Ask, good: &Canned, (what, bad, outcome, cost): Case) {
    simulate(async || {
        let front = Front::new(&["a", "b"]).await;
        front.world.script.on("a", [bad.clone()]);
        front.world.script.on("b", [good.clone()]);
        let heard = front.hear(ask).await;
        assert_eq!((heard.status, heard.text()), (200, good.said(SONNET)), "{what}");
        let used: Vec<_> = front.world.trace().into_iter().map(|(_, profile)| profile).collect();
        assert_eq!(used, ["a", "b"], "{what}");
        let labels = [("profile", "anthropic:a"), ("reason", outcome)];
        assert_eq!(front.world.metric("failovers_total", &labels), 1.0, "{what}");
        let requests = [("key", "local"), ("outcome", "succeeded")];
        assert_eq!(front.world.metric("gateway_requests_total", &requests), 1.0, "{what}");
        let rows = front.close().await;
        let [failed, succeeded] = rows.as_slice() else { panic!("{what}: {rows:?}") };
        assert_eq!((failed.outcome, succeeded.outcome), (outcome, "succeeded"), "{what}");
        assert_eq!(failed.request, succeeded.request, "{what}");
        assert_eq!(cost_of(failed), cost, "{what}: {failed:?}");
    });
}

fn cost_of(row: &BookedCall) -> Cost {
    let told = Usage { input: INPUT, output: 1, ..Usage::default() };
    let is_told = row.usage == told && row.cost == price_of(SONNET, 1);
    match (row.cost, row.is_lost) {
        (Nanodollars(0), false) => Cost::Nothing,
        (_, false) if is_told => Cost::Told,
        (cost, true) if cost > price_of(SONNET, 100) => Cost::Most,
        (cost, is_lost) => panic!("{cost:?}, lost: {is_lost}"),
    }
}

#[test]
fn a_stream_that_fails_before_its_first_content_comes_from_another_profile() {
    for case in refusals().into_iter().chain(streams()) {
        goes_to_another(&Ask::stream("hi"), &says("fine"), case);
    }
}

#[test]
fn an_answer_in_one_piece_that_fails_comes_whole_from_another_profile() {
    for case in refusals().into_iter().chain(wholes()) {
        goes_to_another(&Ask::whole("hi"), &says_whole("fine"), case);
    }
}

#[test]
fn an_answer_of_the_other_kind_than_was_asked_for_is_none() {
    for (ask, other, good) in [
        (Ask::stream("hi"), says_whole("whole"), says("stream")),
        (Ask::whole("hi"), says("stream"), says_whole("whole")),
    ] {
        simulate(async || {
            let front = Front::new(&["a", "b"]).await;
            front.world.script.on("a", [other.clone()]);
            front.world.script.on("b", [good.clone()]);
            assert_eq!(front.hear(&ask).await.text(), good.said(SONNET));
            let outcomes: Vec<_> = front.close().await.iter().map(|row| row.outcome).collect();
            assert_eq!(outcomes, ["unsuited", "succeeded"]);
        });
        simulate(async || {
            let front = Front::new(&["a"]).await;
            front.world.script.on("a", [other.clone()]);
            assert_eq!(front.hear(&ask).await.status, 500);
            assert_eq!(front.close().await.len(), 1, "whoever answers so does it again");
        });
    }
}

#[test]
fn each_of_many_failures_in_a_row_is_counted_and_charged_once() {
    simulate(async || {
        let front = Front::new(&["a", "b", "c", "d"]).await;
        let script = &front.world.script;
        script.on("a", [limited(90)]);
        script.on("b", [starts().then(error_event("overloaded_error")), limited(90)]);
        script.on("c", [starts().then(Step::Fail(TransportError::Broken)), says("fine")]);
        script.on("d", [unreachable(TransportError::Idle)]);
        let heard = front.hear(&Ask::stream("hi")).await;
        assert_eq!(heard.text(), says("fine").said(SONNET));
        let rows = front.close().await;
        let told: Vec<_> = rows.iter().map(|row| (row.profile.as_str(), row.outcome)).collect();
        let expected = [
            ("anthropic:a", "rate_limit"),
            ("anthropic:b", "overloaded"),
            ("anthropic:c", "network"),
            ("anthropic:d", "network"),
            ("anthropic:b", "rate_limit"),
            ("anthropic:c", "succeeded"),
        ];
        assert_eq!(told, expected);
    });
}
