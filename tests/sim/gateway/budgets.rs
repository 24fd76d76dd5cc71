//! What a key may use is not overdrawn, however many requests come at once and however they end.

use std::time::Duration;

use futures_util::future::join_all;
use polpo_policy::budget::{Estimate, reservation};
use polpo_policy::price::{Nanodollars, PriceList};
use polpo_policy::quota::Limits;
use polpo_policy::usage::Terms;
use polpo_upstream::error::TransportError;
use tokio::time::timeout;

use super::front::{Ask, Front};
use super::routes::made;
use crate::reply::{Canned, Step, begins, overloaded, says, says_json, says_whole};
use crate::system::simulate;
use crate::world::{MAX_TOKENS, SONNET, World, pass, price};

/// The most that a request for Sonnet may cost.
fn bound(ask: &Ask) -> Nanodollars {
    let estimate = Estimate {
        body_bytes: ask.body().len() as u64,
        max_tokens: MAX_TOKENS,
        writes_cache: false,
        terms: Terms::default(),
    };
    reservation(&PriceList::default(), SONNET, &estimate).unwrap().total()
}

/// A gateway whose clients may spend so much in all.
async fn with(budget: Nanodollars) -> Front {
    let limits =
        Limits { requests_per_minute: 1000, cost_total: Some(budget), ..Limits::default() };
    let world = World::of(Vec::new(), &["a", "b"], 64).await;
    Front::limited(world, &["anthropic"], limits).await
}

fn reserved(front: &Front) -> Nanodollars {
    front.site.keys.money(&"local".into(), front.world.clock.now()).reserved
}

#[test]
fn of_many_requests_at_once_as_many_are_let_in_as_the_budget_can_pay_for() {
    for (ask, good) in [(Ask::stream("hi"), says("fine")), (Ask::whole("hi"), says_whole("fine"))] {
        simulate(async || {
            let most = bound(&ask);
            let budget = Nanodollars(most.0 * 5 + 1);
            let front = with(budget).await;
            front.world.script.otherwise(good.after(5));
            let heard = join_all((0..20).map(|_| front.hear(&ask))).await;
            let (served, refused): (Vec<_>, Vec<_>) =
                heard.iter().partition(|heard| heard.status == 200);
            assert_eq!((served.len(), front.world.calls().len()), (5, 5));
            for heard in refused {
                let (status, kind, message) = heard.error();
                assert_eq!((status, kind.as_str()), (429, "rate_limit_error"));
                let told = format!("{most}"); // What it may cost is said.
                assert!(message.contains(&told), "{told}: {message}");
                assert_eq!(heard.header("retry-after"), "1", "others may cost less in the end");
            }
            assert_eq!(front.hear(&ask).await.status, 200, "and they did");
            let spent: Nanodollars = front.close().await.iter().map(|row| row.cost).sum();
            assert!(spent == Nanodollars(price(SONNET).0 * 6) && spent < budget);
        });
    }
}

#[test]
fn what_was_reserved_is_given_back_however_a_request_ends() {
    let broken = begins("half").then(Step::Fail(TransportError::Broken));
    let ends: [(&str, Ask, Canned); 6] = [
        ("well", Ask::stream("hi"), says("fine")),
        ("whole", Ask::whole("hi"), says_whole("fine")),
        ("broken", Ask::stream("hi"), broken),
        ("refused", Ask::stream("hi"), overloaded()),
        ("hung up", Ask::stream("hi"), begins("half").then(Step::Silence)),
        ("hung up early", Ask::whole("hi"), says_whole("late").then(Step::Silence)),
    ];
    for (what, ask, reply) in ends {
        simulate(async || {
            let front = with(Nanodollars(bound(&ask).0 * 10)).await;
            front.world.script.otherwise(reply.clone().after(1));
            let asking = timeout(Duration::from_secs(200), front.hear(&ask));
            let watching = async {
                pass(0).await;
                assert!(reserved(&front).0 > 0, "{what}");
            };
            let _ = tokio::join!(asking, watching);
            pass(1).await;
            assert_eq!(reserved(&front), Nanodollars(0), "{what}");
            front.close().await;
        });
    }
}

#[test]
fn each_path_takes_a_request_of_its_key_and_what_costs_money_is_reserved() {
    let count = says_json(&serde_json::json!({"input_tokens": 7}));
    simulate(async || {
        let ask = Ask::batch();
        // For the batch at half the price there is room, and then not for half of that any more.
        let front = with(bound(&ask) + price(SONNET)).await;
        for (number, (ask, good)) in [
            (Ask::stream("hi"), says("fine")),
            (Ask::whole("hi"), says_whole("fine")),
            (Ask::count(), count.clone()),
            (ask, made(1)),
        ]
        .into_iter()
        .enumerate()
        {
            front.world.script.otherwise(good);
            let heard = front.hear(&ask).await;
            assert_eq!(heard.status, 200, "{}", heard.text());
            let left = (999 - number).to_string();
            assert_eq!(heard.header("x-ratelimit-remaining-requests"), left);
        }
        assert!(reserved(&front).0 > 0, "for the batch");
        for (ask, status) in [(Ask::stream("hi"), 429), (Ask::batch(), 429), (Ask::count(), 200)] {
            front.world.script.otherwise(count.clone());
            assert_eq!(front.hear(&ask).await.status, status, "only counting costs nothing");
        }
        front.end().await;
    });
}
