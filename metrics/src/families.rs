//! Every series this process exports, with its name, help and labels.

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntGauge, Registry};

use crate::family::{Family, Unit};
use crate::runs::Runs;

/// From a refused request to a task of many attempts. A long answer of a large model takes
/// minutes, a task that waits out a cooldown up to the ladder's longest, an hour.
const REQUEST_BUCKETS: [f64; 15] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 1200.0, 3600.0];

/// A second is usual; a prompt of a million tokens, or long hidden thinking, takes two minutes.
const FIRST_TOKEN_BUCKETS: [f64; 13] =
    [0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0];

/// From an idle pool's answer in no time, over a rate limit's minute, to a cooldown's hour.
const QUEUE_BUCKETS: [f64; 15] =
    [0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];

/// Our own time on a request is a few mailboxes and should be far below a millisecond; the last
/// buckets are there to show that it is not.
const OVERHEAD_BUCKETS: [f64; 12] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

#[derive(Debug)]
pub(crate) struct Families {
    pub(crate) requests: Family<4>,
    pub(crate) gateway_requests: Family<2>,
    pub(crate) calls: Family<3>,
    pub(crate) retries: Family<3>,
    pub(crate) escalations: Family<4>,
    pub(crate) fallbacks: Family<4>,
    pub(crate) failovers: Family<2>,
    pub(crate) throttled: Family<1>,
    pub(crate) agents_running: Family<1>,
    pub(crate) runs: Runs,
    pub(crate) queue_depth: IntGauge,
    pub(crate) leases_in_flight: IntGauge,
    pub(crate) money: Money,
    pub(crate) profiles: Profiles,
    pub(crate) times: Times,
}

/// What is billed.
#[derive(Debug)]
pub(crate) struct Money {
    pub(crate) tokens: Family<3>,
    pub(crate) cost: Family<3>,
    pub(crate) profile_cost: Family<2>,
    pub(crate) unpriced: Family<1>,
    pub(crate) budget_limit: Family<1>,
    pub(crate) budget_spent: Family<1>,
    pub(crate) budget_reserved: Family<1>,
}

/// Where the profiles stand.
#[derive(Debug)]
pub(crate) struct Profiles {
    pub(crate) state: Family<2>,
    pub(crate) cooldown_until: Family<1>,
    pub(crate) last_used: Family<1>,
    pub(crate) in_flight: Family<1>,
    pub(crate) limit: Family<3>,
    pub(crate) remaining: Family<3>,
}

/// How long things take.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) request: HistogramVec,
    pub(crate) first_token: HistogramVec,
    pub(crate) queue_wait: HistogramVec,
    pub(crate) overhead: HistogramVec,
}

impl Families {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let new = Registrar(registry);
        let move_labels = ["agent", "from_model", "to_model", "reason"];
        let tasks = new.gauge("tasks", "Tasks of the latest runs.", ["run", "state"], Unit::One)?;
        Ok(Self {
            requests: new.counter(
                "requests_total",
                "Requests answered or given up.",
                ["surface", "agent", "model", "outcome"],
            )?,
            gateway_requests: new.counter(
                "gateway_requests_total",
                "Requests of clients of the gateway, answered or refused.",
                ["key", "outcome"],
            )?,
            calls: new.counter(
                "calls_total",
                "Calls upstream.",
                ["profile", "model", "outcome"],
            )?,
            retries: new.counter(
                "retries_total",
                "Attempts made because a result was no good.",
                ["agent", "model", "reason"],
            )?,
            escalations: new.counter(
                "escalations_total",
                "Retries on a more capable model.",
                move_labels,
            )?,
            fallbacks: new.counter(
                "fallbacks_total",
                "Requests that went to the next model because no profile could serve the first.",
                move_labels,
            )?,
            failovers: new.counter(
                "failovers_total",
                "Requests that left a profile because the service failed.",
                ["profile", "reason"],
            )?,
            throttled: new.nanos(
                "throttled_seconds_total",
                "Time that work has waited, by what for.",
                ["reason"],
            )?,
            agents_running: new.gauge(
                "agents_running",
                "Requests that an agent is working on.",
                ["agent"],
                Unit::One,
            )?,
            runs: Runs::new(tasks),
            queue_depth: new.number("queue_depth", "Requests waiting for a free profile.")?,
            leases_in_flight: new.number("leases_in_flight", "Leases that are out.")?,
            money: Money::register(&new)?,
            profiles: Profiles::register(&new)?,
            times: Times::register(&new)?,
        })
    }
}

impl Money {
    fn register(new: &Registrar<'_>) -> prometheus::Result<Self> {
        let budget = |name, help| new.gauge(name, help, ["scope"], Unit::Nano);
        Ok(Self {
            tokens: new.counter(
                "tokens_total",
                "Billed tokens; the types do not overlap.",
                ["agent", "model", "type"],
            )?,
            cost: new.nanos(
                "cost_usd_total",
                "Cost by agent, in US dollars.",
                ["agent", "model", "type"],
            )?,
            profile_cost: new.nanos(
                "profile_cost_usd_total",
                "The same cost by profile, in US dollars.",
                ["profile", "model"],
            )?,
            unpriced: new.counter(
                "unpriced_calls_total",
                "Calls whose model has no known price, so that cost_usd_total lacks them.",
                ["model"],
            )?,
            budget_limit: budget("budget_limit_usd", "What a budget allows, in US dollars.")?,
            budget_spent: budget("budget_spent_usd", "What of it is spent, in US dollars.")?,
            budget_reserved: budget(
                "budget_reserved_usd",
                "What requests under way may spend of it at most, in US dollars.",
            )?,
        })
    }
}

impl Profiles {
    fn register(new: &Registrar<'_>) -> prometheus::Result<Self> {
        let limit_labels = ["limit", "model_class", "dimension"];
        Ok(Self {
            state: new.gauge(
                "profile_state",
                "1 for the state that the profile is in, 0 for the others.",
                ["profile", "state"],
                Unit::One,
            )?,
            cooldown_until: new.gauge(
                "profile_cooldown_until_timestamp_seconds",
                "When the profile's cooldown ends; 0 without one.",
                ["profile"],
                Unit::Milli,
            )?,
            last_used: new.gauge(
                "profile_last_used_timestamp_seconds",
                "When the profile was last granted.",
                ["profile"],
                Unit::Milli,
            )?,
            in_flight: new.gauge(
                "profile_in_flight",
                "Leases of the profile that are out.",
                ["profile"],
                Unit::One,
            )?,
            limit: new.gauge(
                "ratelimit_limit",
                "A rate limit as upstream last stated it.",
                limit_labels,
                Unit::One,
            )?,
            remaining: new.gauge(
                "ratelimit_remaining",
                "What was left of a rate limit when upstream last stated it.",
                limit_labels,
                Unit::One,
            )?,
        })
    }
}

impl Times {
    fn register(new: &Registrar<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            request: new.histogram(
                "request_duration_seconds",
                "From the question to the end of the answer, waiting included.",
                &["surface", "model"],
                &REQUEST_BUCKETS,
            )?,
            first_token: new.histogram(
                "time_to_first_token_seconds",
                "From sending a call upstream to the first content of its answer.",
                &["surface", "model"],
                &FIRST_TOKEN_BUCKETS,
            )?,
            queue_wait: new.histogram(
                "queue_wait_seconds",
                "Waiting for a free profile.",
                &["surface"],
                &QUEUE_BUCKETS,
            )?,
            overhead: new.histogram(
                "overhead_seconds",
                "Time of a request that was neither waiting nor upstream's.",
                &["surface"],
                &OVERHEAD_BUCKETS,
            )?,
        })
    }
}

/// Makes families and has them exported.
struct Registrar<'a>(&'a Registry);

impl Registrar<'_> {
    fn counter<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
    ) -> prometheus::Result<Family<N>> {
        self.put(Family::counter(name, help, labels)?)
    }

    fn nanos<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
    ) -> prometheus::Result<Family<N>> {
        self.put(Family::counter(name, help, labels)?.of(Unit::Nano))
    }

    fn gauge<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        unit: Unit,
    ) -> prometheus::Result<Family<N>> {
        self.put(Family::gauge(name, help, labels)?.of(unit))
    }

    fn number(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.put(IntGauge::new(name, help)?)
    }

    /// The labels of a histogram come from closed sets, so that the vector's hash is good enough.
    fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> prometheus::Result<HistogramVec> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.put(HistogramVec::new(options, labels)?)
    }

    fn put<C: Collector + Clone + 'static>(&self, collector: C) -> prometheus::Result<C> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }
}
