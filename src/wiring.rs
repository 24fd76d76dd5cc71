//! The object graph: which actors there are and who knows whom, leaves first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use actix::{Actor, Addr, Recipient};
use polpo_agents::agent::{Agent, AgentSpec, Desk};
use polpo_agents::clock::Clock;
use polpo_agents::messages::{Join, Observe, RunTask};
use polpo_agents::profile::Profile;
use polpo_agents::scheduler::Scheduler;
use polpo_metrics::{Metrics, Surface};
use polpo_policy::id::{AgentId, ProfileId, ProviderId};
use polpo_policy::ladder::RetryPolicy;
use polpo_policy::pool::Pool;
use polpo_policy::pool::seat::Ladders;
use polpo_policy::price::PriceList;
use polpo_simulator::{InMemory, Simulator};
use polpo_store::journal::Journal;
use polpo_upstream::credential::Credential;
use polpo_upstream::http::HttpTransport;
use polpo_upstream::transport::Transport;

use crate::config::{AgentConfig, Config, Found, FoundSecret, Secret, profile_id};
use crate::exit::Stop;

/// Requests that may wait for a profile. More than a run of the largest concurrency has at once,
/// so that it only ever bounds a mistake.
const QUEUE_LIMIT: usize = 1_000_000;

/// A profile with the way its calls leave.
pub struct Outlet {
    /// Its name.
    pub id: ProfileId,
    /// Its provider.
    pub provider: ProviderId,
    /// What it signs with.
    pub credential: Credential,
    /// Where it sends.
    pub transport: Arc<dyn Transport>,
    /// How many requests it may serve at once; `None` = as many as run.
    pub slots: Option<u32>,
}

/// The running actors, as the rest of the program sees them.
pub struct Actors {
    /// The agents by name.
    pub agents: BTreeMap<AgentId, Recipient<RunTask>>,
    /// How things stand.
    pub observe: Recipient<Observe>,
}

/// What every actor shares.
pub struct Shared {
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// The metrics.
    pub metrics: Metrics,
    /// The clock.
    pub clock: Clock,
    /// Whom the work is for.
    pub surface: Surface,
    /// Where chance begins.
    pub seed: u64,
}

/// Starts everything: profiles, the scheduler that knows them, the agents that ask it.
pub fn start(config: &Config, outlets: Vec<Outlet>, shared: Shared, concurrency: u32) -> Actors {
    let Shared { journal, metrics, clock, surface, seed } = shared;
    let pool = Pool::new(QUEUE_LIMIT, ladders(config));
    let scheduler = Scheduler::new(pool, clock.clone(), metrics.clone()).start();
    for outlet in outlets {
        join(&scheduler, outlet, concurrency);
    }
    let desk = Arc::new(Desk {
        acquire: scheduler.clone().recipient(),
        journal,
        metrics,
        prices: Arc::new(PriceList::new(config.settings.prices.iter().cloned())),
        clock,
        dice: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
        surface,
    });
    let agents = config.agents.iter().map(|agent| {
        let actor = Agent::new(Arc::new(spec(agent)), desk.clone()).start();
        (agent.name.clone(), actor.recipient())
    });
    Actors { agents: agents.collect(), observe: scheduler.recipient() }
}

#[expect(clippy::disallowed_methods, reason = "one Join for each profile, at start-up")]
fn join(scheduler: &Addr<Scheduler>, outlet: Outlet, concurrency: u32) {
    let Outlet { id: profile, provider, credential, transport, slots } = outlet;
    let actor = Profile::new(credential, transport).start().recipient();
    let slots = slots.unwrap_or(concurrency);
    scheduler.do_send(Join { profile, provider, slots, actor });
}

fn ladders(config: &Config) -> Ladders {
    let delta = |time| chrono::TimeDelta::from_std(time).unwrap_or(chrono::TimeDelta::MAX);
    let billing = &config.settings.billing;
    Ladders {
        cooldown: config.settings.cooldown_steps.iter().copied().map(delta).collect(),
        billing_first: delta(billing.backoff),
        billing_longest: delta(billing.max),
        billing_memory: delta(billing.window),
    }
}

fn spec(agent: &AgentConfig) -> AgentSpec {
    let retry = &agent.retry;
    AgentSpec {
        name: agent.name.clone(),
        fallbacks: agent.fallbacks.clone(),
        retry: RetryPolicy {
            max_retries: retry.max_retries,
            escalate_after: retry.escalate_after,
            escalate_model: retry.escalate_model.clone(),
        },
    }
}

/// The profiles of real keys.
///
/// # Errors
/// When a key cannot be sent, or TLS cannot be set up.
pub fn real_outlets(profiles: Vec<Found>) -> Result<Vec<Outlet>, Stop> {
    let outlets = profiles.into_iter().map(|profile| {
        let FoundSecret::Key(key) = &profile.secret else {
            return Err(Stop::usage(format!(
                "profile {} is a stored one, which no run reads yet",
                profile.id
            )));
        };
        let transport = HttpTransport::new(&profile.base_url).map_err(Stop::usage)?;
        Ok(Outlet {
            credential: credential(&profile.id, key)?,
            id: profile.id,
            provider: profile.provider,
            transport: Arc::new(transport),
            slots: profile.max_concurrency,
        })
    });
    outlets.collect()
}

/// The profiles of a scenario's accounts, which stand for every provider that the agents name.
///
/// # Errors
/// When a key cannot be sent.
pub fn simulated_outlets(
    simulator: &Simulator,
    providers: impl IntoIterator<Item = ProviderId>,
) -> Result<Vec<Outlet>, Stop> {
    let mut outlets = Vec::new();
    for provider in providers {
        for key in simulator.scenario().accounts().iter().flat_map(|account| &account.api_keys) {
            let key = Secret::new(key.as_str());
            let id = profile_id(&provider, &key);
            outlets.push(Outlet {
                credential: credential(&id, &key)?,
                id,
                provider: provider.clone(),
                transport: Arc::new(InMemory::new(simulator.clone())),
                slots: None,
            });
        }
    }
    Ok(outlets)
}

fn credential(id: &ProfileId, key: &Secret) -> Result<Credential, Stop> {
    Credential::api_key(key.expose()).map_err(|error| Stop::usage(format!("profile {id}: {error}")))
}
