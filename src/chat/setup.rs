//! What a chat is made of: configuration, agent, profiles, journal, actors.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::Recipient;
use polpo_agents::clock::Clock;
use polpo_agents::messages::{Observe, Report, Talk};
use polpo_agents::token::Vault;
use polpo_metrics::{Metrics, Surface};
use polpo_policy::id::ProviderId;
use polpo_policy::pool::{ProfileReport, Wait};
use polpo_simulator::Simulator;
use polpo_store::journal::Journal;

use crate::cli::{ChatArgs, Global};
use crate::commands::config::find;
use crate::commands::keyring::scenario;
use crate::config::{Accounts, AgentConfig, Config, process_env};
use crate::control::{self, Handles};
use crate::exit::Stop;
use crate::roster::{Supplied, Watch};
use crate::run::{no_credential, open_journal, pick_agent, unpin};
use crate::state::StateDir;
use crate::wiring::{self, Actors, Shared};

/// Calls of a chat at once. It makes one; a call that was cancelled may take a moment to end.
const CONCURRENCY: u32 = 4;

/// What a chat is made of.
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) agent: AgentConfig,
    pub(super) is_simulated: bool,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) clock: Clock,
    pub(super) talker: Recipient<Talk>,
    /// Where the lines that were typed are kept.
    pub(super) history: PathBuf,
    actors: Actors,
    vault: Vault,
    watch: Option<Watch>,
    /// Answers operators for as long as the chat lasts.
    _control: Option<control::Guard>,
}

impl Setup {
    /// How every profile stands.
    ///
    /// # Errors
    /// When the program is ending.
    pub(super) async fn profiles(&self) -> Result<Vec<ProfileReport>, Stop> {
        self.actors.scheduler.send(Report).await.map_err(Stop::usage)
    }

    /// What notices changes of the profiles, for as long as it is polled.
    pub(super) fn watching(&mut self) -> impl Future<Output = ()> + use<> {
        wiring::watching(self.watch.take(), self.actors.clone())
    }

    /// Writes down what was learned of the profiles, and closes the journal.
    ///
    /// # Errors
    /// When the journal cannot be written to its end.
    pub(super) async fn close(self) -> Result<(), Stop> {
        self.vault.settled().await;
        self.actors.flush().await;
        self.journal.close().await.map_err(Stop::not_written)
    }

    /// What is waited for, if anything is.
    pub(super) async fn wait(&self) -> Option<Wait> {
        self.actors.observe.send(Observe).await.ok()?.waits.into_iter().next()
    }
}

/// Reads and starts everything.
///
/// # Errors
/// When anything of it is wrong, or the agent's provider has no credential.
pub(super) async fn open(global: &Global, args: &ChatArgs) -> Result<Setup, Stop> {
    let is_simulated = args.simulate.is_some();
    let accounts = if is_simulated { Accounts::Simulated } else { Accounts::Real };
    let mut config = find(global, accounts)?;
    if is_simulated {
        unpin(&mut config);
    }
    let agent = pick_agent(&config, args.agent.as_deref())?;
    let state = StateDir::open(global.state_dir.as_deref(), is_simulated, &process_env)?;
    let supplied = match &args.simulate {
        Some(scenario) => simulated(&config, scenario.as_deref(), &state)?,
        None => real(&config, &agent, &state)?,
    };
    let journal = open_journal(&config, &state, is_simulated).await?;
    let Supplied { outlets, clock, file, vault, watch } = supplied;
    let shared = Shared {
        journal: journal.clone(),
        metrics: Metrics::new(config.settings.show_profile_names).map_err(Stop::usage)?,
        clock: clock.clone(),
        surface: Surface::Agent,
        seed: fastrand::u64(..),
        profiles: file,
    };
    let actors = wiring::start(&config, outlets, shared, CONCURRENCY);
    let gone = || Stop::usage("the agent did not start; please report it");
    let talker = actors.talkers.get(&agent.name).cloned().ok_or_else(gone)?;
    let _control = control::serve(&state, Handles::of(&actors.scheduler));
    let history = state.file("chat-history");
    Ok(Setup {
        config,
        agent,
        is_simulated,
        journal,
        clock,
        talker,
        history,
        actors,
        vault,
        watch,
        _control,
    })
}

/// The accounts of the scenario that is named, else of the one that is here, else the built-in ones.
fn simulated(config: &Config, named: Option<&Path>, state: &StateDir) -> Result<Supplied, Stop> {
    let scenario = scenario(named)?;
    let own = config.agents.iter().flat_map(|agent| agent.fallbacks.iter().chain([&agent.model]));
    let own = own.map(|spec| spec.provider.clone());
    let providers: BTreeSet<ProviderId> = own.chain(["anthropic".into()]).collect();
    Supplied::simulated(&Simulator::forgetful(scenario), providers, state.profiles())
}

/// Every profile there is, as any model may be chosen.
fn real(config: &Config, agent: &AgentConfig, state: &StateDir) -> Result<Supplied, Stop> {
    let supplied = Supplied::real(config, state.profiles(), None)?;
    let provider = &agent.model.provider;
    if supplied.outlets.iter().any(|outlet| outlet.provider == *provider) {
        Ok(supplied)
    } else {
        Err(no_credential(&agent.model))
    }
}
