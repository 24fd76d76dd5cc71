//! What an error answer means, whatever it says.

use chrono::{DateTime, TimeDelta};
use polpo_policy::failure::{Evidence, Failure, classify, of_request, status_of};
use polpo_policy::limits::{Hints, RETRY_AFTER_CAP, Timestamp};
use polpo_policy::pool::Verdict;
use proptest::prelude::*;

use crate::driver::{QUEUE_LIMIT, World, join, settled};
use crate::transition::{Transition, one};

const KINDS: [&str; 12] = [
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "overloaded_error",
    "api_error",
    "",
    "💥",
];
const MESSAGES: [&str; 9] = [
    "Your credit balance is too low",
    "You have reached your specified API usage limits. You will regain access on 2026-09-01 at 00:00 UTC.",
    "You have reached your API usage limits: x. You will regain access on 9999-99-99 at 99:99 UTC.",
    "You will regain access on +999999-1-1 at :",
    "Extra usage is required for long context requests.",
    "Your API key does not have permission",
    "rate limit of 40,000 input tokens per minute",
    "This request would exceed 300 requests per minute",
    "",
];
const CODES: [&str; 5] =
    ["", "enforced_spend_limit_reached", "organization_on_hold", "user_profile_x", "\u{0}"];
const NUMBERS: [&str; 16] = [
    "0",
    "7",
    "3601",
    "604800",
    "-5",
    "-0",
    "1e3",
    "1e400",
    "NaN",
    "inf",
    "0.0001",
    "18446744073709551616",
    "-9223372036854775808",
    "9223372036854775807",
    " 60 ",
    "1_000",
];
const DATES: [&str; 8] = [
    "Sun, 22 Nov 2026 18:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Sat, 01 Jan 0000 00:00:00 +2359",
    "2026-11-22T10:00:32Z",
    "9999-12-31T23:59:60Z",
    "-9999-01-01T00:00:00Z",
    "0000-01-01T00:00:00+23:59",
    "1795370400",
];

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse::<DateTime<_>>().expect("it is a date")
}

/// A text from the list, or any.
fn text(known: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![3 => prop::sample::select(known).prop_map(str::to_owned), 1 => any::<String>()]
}

/// The names of the headers that tell something.
fn names() -> Vec<String> {
    let windows = ["requests", "input-tokens", "output-tokens"].into_iter().flat_map(|of| {
        ["limit", "remaining", "reset"].map(|what| format!("anthropic-ratelimit-{of}-{what}"))
    });
    let others = [
        "retry-after",
        "retry-after-ms",
        "anthropic-ratelimit-unified-status",
        "anthropic-ratelimit-unified-reset",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ];
    windows.chain(others.map(str::to_owned)).collect()
}

/// Headers of which most are there, and most of those are garbage.
fn headers(values: &'static [&'static str]) -> impl Strategy<Value = Vec<(String, String)>> {
    let value = prop_oneof![6 => text(values), 1 => Just("rejected".to_owned())];
    prop::collection::vec(prop::option::weighted(0.7, value), names().len()).prop_map(|values| {
        names().into_iter().zip(values).filter_map(|(name, it)| Some((name, it?))).collect()
    })
}

fn garbage() -> impl Strategy<Value = Vec<(String, String)>> {
    prop_oneof![headers(&NUMBERS), headers(&DATES)]
}

fn hints(headers: &[(String, String)]) -> Hints {
    Hints::read(now(), |name| {
        headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    })
}

/// What may come of a status, whatever the rest of the answer says.
fn possible(status: u16) -> &'static [&'static str] {
    match status {
        400 => &["invalid_request", "billing"],
        401 => &["auth"],
        402 => &["billing"],
        403 => &["invalid_request", "auth", "permission"],
        408 | 409 => &["server_error"],
        429 => &["rate_limit", "billing", "unsuited"],
        404..=499 => &["invalid_request"],
        529 => &["overloaded"],
        500..=599 => &["server_error", "overloaded"],
        _ => &["server_error"],
    }
}

proptest! {
    #[test]
    fn every_answer_has_one_meaning_that_its_status_allows(
        status in prop_oneof![100..=999_u16, 400..=430_u16, any::<u16>()],
        kind in text(&KINDS), code in text(&CODES), message in text(&MESSAGES),
        headers in garbage(),
    ) {
        let hints = hints(&headers);
        let (kind, code, message) = (kind.as_str(), code.as_str(), message.as_str());
        let evidence = Evidence { status, kind, code, message, hints: &hints };
        let failure = classify(now(), &evidence);
        prop_assert!(possible(status).contains(&failure.label()), "{:?}", failure);
        if let Failure::Limited { until: Some(until), .. } = failure {
            prop_assert!(until >= now() + TimeDelta::seconds(1), "{}", until);
        }
        prop_assert_eq!(failure.is_fault(), ["server_error", "overloaded", "network"].contains(&failure.label()));
        let suited = of_request(failure, &hints, 1000);
        prop_assert!(suited == failure || suited == Failure::Unsuited);
        prop_assert!((400..600).contains(&status_of(kind)));
    }

    #[test]
    fn a_wait_in_numbers_is_from_a_second_to_an_hour(
        seconds in text(&NUMBERS), millis in prop::option::of(text(&NUMBERS)),
    ) {
        let mut headers = vec![("retry-after".to_owned(), seconds)];
        headers.extend(millis.map(|it| ("retry-after-ms".to_owned(), it)));
        if let Some(until) = hints(&headers).until(now(), "") {
            let wait = until - now();
            prop_assert!(wait >= TimeDelta::seconds(1) && wait <= RETRY_AFTER_CAP, "{}", wait);
        }
    }

    #[test]
    fn whatever_a_call_failed_with_the_pool_goes_on(
        status in 100..=999_u16, code in text(&CODES), message in text(&MESSAGES),
        headers in garbage(),
    ) {
        let hints = hints(&headers);
        let evidence = Evidence { status, kind: "", code: &code, message: &message, hints: &hints };
        let mut world = World::new(QUEUE_LIMIT);
        world.clock = now();
        for profile in ["a:1", "a:2"] {
            world.play(join(profile, 1));
        }
        for transition in [Transition::Ask(one("opus")), Transition::Ask(one("opus"))] {
            let event = world.event(&transition);
            world.play(event);
        }
        let lease = world.leases[0];
        world.play(settled(lease, Verdict::Failed(classify(now(), &evidence))));
        world.play(settled(world.leases[0], Verdict::Success));
        let event = world.event(&Transition::Ask(one("opus")));
        prop_assert_eq!(world.play(event).len(), 1, "the other profile serves on");
    }
}
