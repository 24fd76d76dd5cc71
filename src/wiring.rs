//! The object graph: which actors there are and who knows whom, leaves first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use actix::{Actor, Addr, AsyncContext, Context, Recipient};
use polpo_agents::agent::{Agent, AgentSpec, Desk};
use polpo_agents::clock::Clock;
use polpo_agents::gateway::Gateway;
use polpo_agents::intake::Intake;
use polpo_agents::keeper::Keeper;
use polpo_agents::ledger::Ledger;
use polpo_agents::messages::{Flush, Join, Observe, RunTask, Talk};
use polpo_agents::profile::Profile;
use polpo_agents::scheduler::Scheduler;
use polpo_agents::signer::Signing;
use polpo_metrics::{Metrics, Surface};
use polpo_policy::health::Health;
use polpo_policy::id::{AgentId, ProfileId, ProviderId};
use polpo_policy::ladder::RetryPolicy;
use polpo_policy::pool::Pool;
use polpo_policy::pool::seat::Ladders;
use polpo_policy::price::PriceList;
use polpo_store::journal::Journal;
use polpo_store::profiles::ProfileFile;
use polpo_upstream::transport::Transport;

use crate::config::{AgentConfig, Config};
use crate::roster::Watch;

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
    pub signing: Signing,
    /// Where it sends.
    pub transport: Arc<dyn Transport>,
    /// How many requests it may serve at once; `None` = as many as run.
    pub slots: Option<u32>,
    /// What is remembered of it.
    pub health: Health,
}

/// The running actors, as the rest of the program sees them.
#[derive(Clone)]
pub struct Actors {
    /// The agents by name.
    pub agents: BTreeMap<AgentId, Recipient<RunTask>>,
    /// The same for those who talk to them.
    pub talkers: BTreeMap<AgentId, Recipient<Talk>>,
    /// How things stand.
    pub observe: Recipient<Observe>,
    /// Who assigns requests to profiles.
    pub scheduler: Addr<Scheduler>,
    /// Who keeps the health of profiles.
    pub keeper: Addr<Keeper>,
    /// How many requests run at once.
    pub concurrency: u32,
    desk: Arc<Desk>,
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
    /// Where the health of profiles is kept.
    pub profiles: ProfileFile,
}

/// Starts everything: profiles, the scheduler that knows them, the agents that ask it.
pub fn start(config: &Config, outlets: Vec<Outlet>, shared: Shared, concurrency: u32) -> Actors {
    let Shared { journal, metrics, clock, surface, seed, profiles } = shared;
    let pool = Pool::new(QUEUE_LIMIT, ladders(config)).paced();
    // They know each other, so that one of them has its address before it is there.
    let context = Context::new();
    let keeper = Keeper::new(profiles, context.address().recipient()).start();
    let remember = Some(keeper.clone().recipient());
    let scheduler = context.run(Scheduler::new(pool, clock.clone(), metrics.clone(), remember));
    let desk = Arc::new(Desk {
        intake: Arc::new(Intake::new(scheduler.clone().recipient(), scheduler.clone().recipient())),
        journal,
        metrics,
        prices: Arc::new(PriceList::new(config.settings.prices.iter().cloned())),
        clock,
        dice: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
        surface,
    });
    let (mut agents, mut talkers) = (BTreeMap::new(), BTreeMap::new());
    for agent in &config.agents {
        let actor = Agent::new(Arc::new(spec(agent)), desk.clone()).start();
        agents.insert(agent.name.clone(), actor.clone().recipient());
        talkers.insert(agent.name.clone(), actor.recipient());
    }
    let observe = scheduler.clone().recipient();
    let actors = Actors { agents, talkers, observe, scheduler, keeper, concurrency, desk };
    for outlet in outlets {
        actors.join(outlet);
    }
    actors
}

impl Actors {
    /// Takes a profile into use, or lets one be used in another way from now on.
    #[expect(clippy::disallowed_methods, reason = "one Join for each profile that is found")]
    pub fn join(&self, outlet: Outlet) {
        let Outlet { id: profile, provider, signing, transport, slots, health } = outlet;
        let actor = Profile::new(signing, transport).start().recipient();
        let (slots, health) = (slots.unwrap_or(self.concurrency), Box::new(health));
        self.scheduler.do_send(Join { profile, provider, slots, health, actor });
    }

    /// The gateway to them, whose calls are booked in `ledger`.
    #[must_use]
    pub fn gateway(&self, ledger: Ledger) -> Gateway {
        Gateway::new(self.desk.clone(), ledger)
    }

    /// What calls cost.
    #[must_use]
    pub fn prices(&self) -> Arc<PriceList> {
        self.desk.prices.clone()
    }

    /// Has everything written that is known of the profiles.
    pub async fn flush(&self) {
        // Closed mailboxes only happen while the program ends.
        let _ = self.scheduler.send(Flush).await;
        let _ = self.keeper.send(Flush).await;
    }
}

/// Notices changes of the profiles for as long as it is polled, if there is anything to watch.
pub(crate) async fn watching(watch: Option<Watch>, actors: Actors) {
    match watch {
        Some(watch) => watch.keep(actors).await,
        None => std::future::pending().await,
    }
}

/// How long profiles rest after failures.
pub(crate) fn ladders(config: &Config) -> Ladders {
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
