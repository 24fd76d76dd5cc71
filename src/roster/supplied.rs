//! The profiles that a command works with: the real ones, or those of a scenario's accounts.

use std::sync::Arc;

use polpo_agents::clock::Clock;
use polpo_agents::signer::Signing;
use polpo_agents::token::Vault;
use polpo_policy::id::ProviderId;
use polpo_simulator::{InMemory, Simulator};
use polpo_store::profiles::ProfileFile;
use polpo_upstream::credential::Credential;

use super::{Mark, Roster, Supply, Watch, over_http, over_http_of_workers};
use crate::config::{Config, Secret, process_env, profile_id};
use crate::exit::Stop;
use crate::wiring::Outlet;

/// The profiles that a command works with, and what keeps them.
pub struct Supplied {
    /// The profiles.
    pub outlets: Vec<Outlet>,
    /// The time, by which their tokens expire.
    pub clock: Clock,
    /// Where what is learned of them is kept.
    pub file: ProfileFile,
    /// Where their tokens are; to be waited for at the end.
    pub vault: Vault,
    /// Notices when real ones change.
    pub watch: Option<Watch>,
}

impl Supplied {
    /// The profiles of the real world. With the mark of a gateway their calls bear it, and each worker
    /// of its server has its own connections. What is odd about them is logged.
    ///
    /// # Errors
    /// When the profile file cannot be read, or a credential or a variable is no good.
    pub fn real(config: &Config, file: ProfileFile, mark: Option<Mark>) -> Result<Self, Stop> {
        let clock = Clock::wall();
        let stamp = file.stamp();
        let roster = Roster::find(config, &file, &process_env, clock.now())?;
        roster.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let vault = Vault::new(file.clone(), clock.clone());
        let connect = if mark.is_some() { over_http_of_workers() } else { over_http() };
        let mut supply = Supply::new(vault.clone(), connect, mark);
        let outlets = supply.outlets(&roster)?;
        let watch = Watch {
            config: config.clone(),
            env: process_env,
            file: file.clone(),
            clock: clock.clone(),
            supply,
            roster,
            stamp,
            complaint: None,
        };
        Ok(Self { outlets, clock, file, vault, watch: Some(watch) })
    }

    /// The profiles of a scenario's accounts, which stand for every provider that is named, with
    /// what earlier simulated runs remember of them.
    ///
    /// # Errors
    /// When the profile file cannot be read, or a key cannot be sent.
    pub fn simulated(
        simulator: &Simulator,
        providers: impl IntoIterator<Item = ProviderId>,
        file: ProfileFile,
    ) -> Result<Self, Stop> {
        let contents = file.read().map_err(Stop::usage)?;
        contents.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let mut outlets = Vec::new();
        for provider in providers {
            for key in simulator.scenario().accounts().iter().flat_map(|account| &account.api_keys)
            {
                let id = profile_id(&provider, &Secret::new(key.as_str()));
                let key = Credential::api_key(key)
                    .map_err(|error| Stop::usage(format!("profile {id}: {error}")))?;
                outlets.push(Outlet {
                    signing: Signing::Key(key),
                    health: contents.health.get(&id).cloned().unwrap_or_default(),
                    id,
                    provider: provider.clone(),
                    transport: Arc::new(InMemory::new(simulator.clone())),
                    slots: None,
                });
            }
        }
        let clock = Clock::wall();
        let vault = Vault::new(file.clone(), clock.clone());
        Ok(Self { outlets, clock, file, vault, watch: None })
    }
}
