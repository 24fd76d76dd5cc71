//! What passes through from client to upstream and back, and what stays where it is.

use std::collections::BTreeSet;

use super::front::{Ask, Front};
use crate::reply::{Canned, limited_without_end, says, says_whole};
use crate::system::simulate;
use crate::world::SONNET;

/// A body as nobody would write it twice.
const ODD: &str = "{ \"stream\" :true,\"model\":\t\"claude-sonnet-4.6\", \"new_field\": [1e3, \"\\u00e9\", {\"z\":1,\"a\":2}],\r\n  \"messages\":[{\"role\":\"user\",\"content\":\"claude-sonnet-4.6\"}] , \"max_tokens\":5 }";

#[test]
fn upstream_gets_the_body_as_it_came_but_for_the_name_of_the_model() {
    simulate(async || {
        let front = Front::new(&["a"]).await;
        front.hear(&Ask::raw(ODD)).await;
        let plain = ODD.replacen("claude-sonnet-4.6", SONNET, 1);
        front.hear(&Ask::raw(&plain)).await;
        let calls = front.world.calls();
        assert_eq!(
            (&calls[0].bytes[..], &calls[1].bytes[..]),
            (plain.as_bytes(), plain.as_bytes())
        );
        assert_eq!(calls[0].path, "/v1/messages?beta=true");
        front.close().await;
    });
}

#[test]
fn upstream_gets_every_header_but_those_between_the_client_and_us() {
    simulate(async || {
        let front = Front::new(&["a"]).await;
        let ask = Ask::stream("hi")
            .with("anthropic-beta", "new-thing-2099-01-01, other")
            .with("anthropic-beta", "third")
            .with("content-type", "application/json; charset=utf-8")
            .with("user-agent", "claude-cli/2.1.330 (external, sdk-cli)")
            .with("x-stainless-retry-count", "1")
            .with("x-new-header", "7")
            .with("authorization", "Bearer of-the-client")
            .with("cookie", "a=b")
            .with("origin", "https://page.example")
            .with("accept-encoding", "gzip, br")
            .with("connection", "keep-alive, x-hop")
            .with("x-hop", "1")
            .with("te", "trailers")
            .with("expect", "100-continue");
        front.hear(&ask).await;
        let sent = front.world.calls().remove(0).headers;
        let betas: Vec<_> = sent.get_all("anthropic-beta").iter().collect();
        assert_eq!(betas, ["new-thing-2099-01-01, other", "third"]);
        for (name, value) in [
            ("anthropic-version", "2023-06-01"),
            ("content-type", "application/json; charset=utf-8"),
            ("user-agent", "claude-cli/2.1.330 (external, sdk-cli)"),
            ("x-new-header", "7"),
            ("x-api-key", "sk-none"), // The profile's own.
        ] {
            assert_eq!(sent[name], value, "{name}");
        }
        let names: BTreeSet<_> = sent.keys().map(http::HeaderName::as_str).collect();
        let expected = [
            "anthropic-beta",
            "anthropic-version",
            "content-type",
            "user-agent",
            "x-api-key",
            "x-new-header",
            "x-stainless-retry-count",
        ];
        assert_eq!(names, BTreeSet::from(expected));
        front.close().await;
    });
}

/// An answer with all that tells whose account it came from, and some that is for the client.
fn talkative(reply: Canned) -> Canned {
    let account = [
        ("anthropic-organization-id", "7f1c0d44-0000-4000-8000-000000000000"),
        ("anthropic-workspace-id", "wrkspc_01"),
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-ratelimit-unified-5h-utilization", "0.5"),
        ("anthropic-priority-input-tokens-limit", "1"),
        ("anthropic-fast-output-tokens-limit", "1"),
        ("x-ratelimit-limit-requests", "4000"),
        ("cf-ray", "8f"),
        ("set-cookie", "session=1"),
        ("server", "cloudflare"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
    ];
    let given = [("request-id", "req_up"), ("x-new-header", "7"), ("x-should-retry", "true")];
    let headers = account.into_iter().chain(given);
    headers.fold(reply, |reply, (name, value)| reply.with(name, value))
}

#[test]
fn a_client_learns_nothing_of_the_account_and_all_else() {
    let refused = limited_without_end();
    for (ask, reply, status) in [
        (Ask::stream("hi"), says("fine"), 200),
        (Ask::whole("hi"), says_whole("fine"), 200),
        (Ask::whole("hi"), Canned { head: Ok(400), ..refused }, 400),
    ] {
        simulate(async || {
            let front = Front::new(&["a"]).await;
            front.world.script.on("a", [talkative(reply.clone())]);
            let heard = front.hear(&ask).await;
            assert_eq!((heard.status, heard.text()), (status, reply.said(SONNET)));
            let mut names: BTreeSet<_> = heard.headers.keys().map(|name| name.as_str()).collect();
            // Of what is not streamed, the cost is told.
            let is_stream = heard.text().starts_with("event");
            assert_eq!(names.remove("x-polpo-cost-usd"), !is_stream);
            assert_eq!(names.remove("x-accel-buffering"), is_stream);
            let expected = [
                "content-type",
                "request-id",
                "x-new-header",
                "x-polpo-model",
                "x-ratelimit-limit-requests",
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
                "x-should-retry",
            ];
            assert_eq!(names, BTreeSet::from(expected));
            assert_eq!(heard.header("request-id"), "req_up");
            assert_eq!(heard.header("x-polpo-model"), SONNET);
            assert_eq!(heard.header("x-ratelimit-limit-requests"), "1000000");
            front.close().await;
        });
    }
}

#[test]
fn an_answer_in_one_piece_tells_its_cost_with_that_of_the_failed_calls_before_it() {
    simulate(async || {
        let front = Front::new(&["a", "b"]).await;
        let lost = crate::reply::unreachable(polpo_upstream::error::TransportError::Idle);
        front.world.script.on("a", [lost]);
        front.world.script.on("b", [says_whole("fine")]);
        let heard = front.hear(&Ask::whole("hi")).await;
        let told = heard.header("x-polpo-cost-usd").to_owned();
        let rows = front.close().await;
        let cost: polpo_policy::price::Nanodollars = rows.iter().map(|row| row.cost).sum();
        assert_eq!((rows.len(), told), (2, cost.to_string()));
    });
}
