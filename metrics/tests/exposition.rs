//! What a scrape reads.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like a test")]

use std::time::Duration;

use chrono::DateTime;
use polpo_metrics::{
    Allowance, Metrics, ProfileGauges, RequestEnded, Spending, Surface, TaskCounts,
};
use polpo_policy::id::{AgentId, ProfileId};
use polpo_policy::limits::Dimension;
use polpo_policy::pool::Throttle;
use polpo_policy::pool::seat::ProfileState;
use polpo_policy::price::{PriceList, PriceOverride, Rate};
use polpo_policy::usage::{Terms, Usage};

#[test]
fn a_bit_of_everything_reads_as_prometheus_text() {
    let text = fed().render();
    insta::with_settings!({ filters => [(r#"version="[^"]*""#, r#"version="[version]""#)] }, {
        insta::assert_snapshot!(text);
    });
}

#[test]
fn the_same_events_in_another_process_read_the_same() {
    assert_eq!(fed().render(), fed().render());
}

#[test]
fn a_clone_feeds_the_same_series_and_another_set_is_its_own() {
    let metrics = Metrics::new(false).unwrap();
    metrics.clone().set_queue_depth(7);
    assert_eq!(value(&metrics, "polpo_queue_depth"), 7.0);
    assert_eq!(value(&Metrics::new(false).unwrap(), "polpo_queue_depth"), 0.0);
}

#[test]
fn sums_of_a_hundred_thousand_costs_agree_to_a_billionth() {
    let metrics = Metrics::new(false).unwrap();
    // 0.000000251 dollars of input and 0.000001255 of output, which no float holds.
    let usage = Usage { input: 251, output: 251, ..Usage::default() };
    let price = |nanodollars: f64| Rate::from_dollars(nanodollars / 1000.0);
    let prices = PriceList::new([(
        "claude-opus-4-6".to_owned(),
        PriceOverride {
            input: price(1.0),
            output: price(5.0),
            cache_read: None,
            cache_write_5m: None,
            cache_write_1h: None,
        },
    )]);
    let cost = prices.cost("claude-opus-4-6", &usage, Terms::default()).unwrap();
    let (agent, profile) = (AgentId::from("solver"), ProfileId::from("anthropic:key-1f0c9a2b"));
    for _ in 0..100_000 {
        metrics.spent(&Spending {
            agent: &agent,
            profile: &profile,
            model: "claude-opus-4-6",
            usage: &usage,
            cost: Some(&cost),
        });
    }
    let exact = cost.total().0 * 100_000;
    for family in ["polpo_cost_usd_total", "polpo_profile_cost_usd_total"] {
        let off = value(&metrics, family) - exact as f64 / 1e9;
        assert!(off.abs() < 1e-9, "{family} is off by {off}");
    }
    assert_eq!(value(&metrics, "polpo_tokens_total"), 50_200_000.0);
}

#[test]
fn an_unpriced_call_counts_its_tokens_and_no_money() {
    let metrics = Metrics::new(false).unwrap();
    metrics.spent(&Spending {
        agent: &"solver".into(),
        profile: &"anthropic:key-1f0c9a2b".into(),
        model: "a-model-of-tomorrow",
        usage: &Usage { input: 12, output: 30, ..Usage::default() },
        cost: None,
    });
    assert_eq!(value(&metrics, "polpo_tokens_total"), 42.0);
    assert_eq!(
        series(&metrics, "polpo_unpriced_calls_total"),
        [r#"polpo_unpriced_calls_total{model="other"} 1"#]
    );
    assert!(series(&metrics, "polpo_cost_usd_total").is_empty());
    assert!(series(&metrics, "polpo_profile_cost_usd_total").is_empty());
}

#[test]
fn addresses_are_masked_in_every_family_unless_names_are_to_be_shown() {
    let person = ProfileId::from("anthropic:user@work.com");
    for (show, name) in [(false, "anthropic:u…534d@work.com"), (true, person.as_str())] {
        let metrics = Metrics::new(show).unwrap();
        feed_profile(&metrics, &person);
        metrics.set_ratelimit(person.as_str(), &"opus-4".into(), Dimension::Requests, ALLOWANCE);
        let text = metrics.render();
        let lines = text.lines().filter(|line| line.contains("work.com"));
        assert_eq!(lines.clone().count(), 5 + 6 + 2, "{text}");
        assert!(lines.clone().all(|line| line.contains(name)), "{text}");
        assert_eq!(text.contains("user@"), show);
    }
}

#[test]
fn a_profile_is_in_one_state() {
    let metrics = Metrics::new(false).unwrap();
    let profile = ProfileId::from("anthropic:key-1f0c9a2b");
    for state in ProfileState::ALL {
        metrics.set_profile_state(&profile, state);
        let series = series(&metrics, "polpo_profile_state");
        assert_eq!(series.len(), 5);
        let [set] = &*series.iter().filter(|line| line.ends_with(" 1")).collect::<Vec<_>>() else {
            panic!("{series:?}");
        };
        assert!(set.contains(&format!("state=\"{}\"", state.label())), "{set}");
    }
}

#[test]
fn only_the_twenty_runs_heard_of_last_are_exported() {
    let metrics = Metrics::new(false).unwrap();
    let counts = TaskCounts { pending: 1, ..TaskCounts::default() };
    for run in 0..20 {
        metrics.set_tasks(&format!("run-{run:02}"), counts);
    }
    metrics.set_tasks("run-00", counts);
    metrics.set_tasks("run-20", counts);
    let series = series(&metrics, "polpo_tasks");
    assert_eq!(series.len(), 20 * 4);
    assert!(series[0].contains("run-00"), "heard of again: {}", series[0]);
    assert!(!series.iter().any(|line| line.contains("run-01")), "the longest unheard of");
    assert!(series.iter().any(|line| line.contains("run-20")));
}

#[test]
fn a_hostile_label_value_cannot_break_out_of_its_quotes() {
    let metrics = Metrics::new(false).unwrap();
    metrics.agent_running(&"a\"} 1\npolpo_up\\".into(), 1);
    assert_eq!(
        series(&metrics, "polpo_agents_running"),
        [r#"polpo_agents_running{agent="a\"} 1\npolpo_up\\"} 1"#]
    );
    let names: Vec<_> = metrics.render().lines().map(str::to_owned).collect();
    assert!(names.iter().all(|line| line.starts_with('#') || !line.starts_with("polpo_up")));
}

const ALLOWANCE: Allowance = Allowance { limit: 300, remaining: 299 };

/// Everything once, some twice.
fn fed() -> Metrics {
    let metrics = Metrics::new(false).unwrap();
    let (agent, model) = (AgentId::from("solver"), "claude-sonnet-4.6");
    for profile in ["anthropic:user@work.com", "anthropic:key-1f0c9a2b"] {
        feed_profile(&metrics, &profile.into());
    }
    metrics.request_ended(&RequestEnded {
        surface: Surface::Batch,
        agent: &agent,
        model,
        outcome: "succeeded",
        took: Duration::from_millis(2500),
    });
    metrics.spent(&Spending {
        agent: &agent,
        profile: &"anthropic:key-1f0c9a2b".into(),
        model: "a-model-of-tomorrow",
        usage: &Usage::default(),
        cost: None,
    });
    metrics.retried(&agent, model, "expectation");
    metrics.escalated(&agent, model, "claude-opus-4-6", "expectation");
    metrics.fell_back(&agent, model, "claude-haiku-4-5", "rate_limit");
    metrics.time_to_first_token(Surface::Batch, model, Duration::from_millis(700));
    metrics.queue_waited(Surface::Batch, Duration::from_secs(61));
    metrics.overhead(Surface::Gateway, Duration::from_micros(90));
    metrics.throttled(Throttle::Limit(Dimension::InputTokens), Duration::from_millis(3100));
    metrics.throttled(Throttle::Limit(Dimension::InputTokens), Duration::from_nanos(1));
    metrics.set_queue_depth(12);
    metrics.set_leases_in_flight(3);
    metrics.set_ratelimit("org-7f", &"sonnet-4".into(), Dimension::InputTokens, ALLOWANCE);
    let counts = TaskCounts { pending: 5, running: 2, succeeded: 1, failed: 1 };
    metrics.set_tasks("tasks.results.jsonl", counts);
    metrics.agent_running(&agent, 3);
    metrics.agent_running(&agent, -1);
    metrics
}

fn feed_profile(metrics: &Metrics, profile: &ProfileId) {
    let model = "claude-sonnet-4-6";
    let usage =
        Usage { input: 50, output: 503, cache_read: 1800, web_searches: 1, ..Usage::default() };
    let cost = PriceList::default().cost(model, &usage, Terms::default()).unwrap();
    let spending =
        Spending { agent: &"solver".into(), profile, model, usage: &usage, cost: Some(&cost) };
    metrics.call_ended(profile, model, "succeeded");
    metrics.spent(&spending);
    metrics.failed_over(profile, "overloaded");
    metrics.set_profile_state(profile, ProfileState::Cooling);
    let gauges = ProfileGauges {
        in_flight: 2,
        cooldown_until: DateTime::from_timestamp_millis(1_768_386_660_250),
        last_used: DateTime::from_timestamp_millis(1_768_386_600_000),
    };
    metrics.set_profile_gauges(profile, gauges);
}

/// The series of a family.
fn series(metrics: &Metrics, family: &str) -> Vec<String> {
    let text = metrics.render();
    let of_family =
        |line: &&str| line.strip_prefix(family).is_some_and(|rest| rest.starts_with(['{', ' ']));
    text.lines().filter(of_family).map(str::to_owned).collect()
}

/// The sum over a family.
fn value(metrics: &Metrics, family: &str) -> f64 {
    let number = |line: &String| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
    series(metrics, family).iter().map(number).sum()
}
