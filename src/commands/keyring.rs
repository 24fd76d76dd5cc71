//! Every profile that there is: of polpo.json, of the environment, stored, or of a scenario.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use polpo_policy::health::Health;
use polpo_policy::id::{ProfileId, ProviderId};
use polpo_policy::limits::Timestamp;
use polpo_policy::model::ModelSpec;
use polpo_policy::pool::{Event, Pool};
use polpo_simulator::{InMemory, Scenario, Simulator};
use polpo_store::profiles::{Contents, Kind, ProfileFile, Stored};
use polpo_upstream::http::HttpTransport;
use polpo_upstream::transport::Transport;

use super::config::find;
use crate::cli::{Global, Simulation};
use crate::config::{
    Accounts, Config, FoundSecret, Secret, key_variable, looks_like_key, nearest, process_env,
    profile_id, resolve_credentials,
};
use crate::exit::Stop;
use crate::run::{read_scenario, unpin};
use crate::state::StateDir;
use crate::wiring::ladders;

/// The profiles, and what is remembered of them.
pub(crate) struct Keyring {
    pub(crate) config: Config,
    pub(crate) state: StateDir,
    pub(crate) file: ProfileFile,
    /// Who serves the profiles of simulated runs.
    pub(crate) simulator: Option<Simulator>,
    pub(crate) entries: BTreeMap<ProfileId, Entry>,
    pub(crate) health: BTreeMap<ProfileId, Health>,
}

/// One profile.
pub(crate) struct Entry {
    pub(crate) id: ProfileId,
    pub(crate) provider: ProviderId,
    pub(crate) secret: EntrySecret,
    /// Where its provider is; `None` = runs do not use it: a key goes before it, or nothing says
    /// where its provider is.
    pub(crate) base_url: Option<String>,
    /// When it ends, if it is a login that cannot be renewed.
    pub(crate) ends: Option<Timestamp>,
    slots: Option<u32>,
}

/// What a profile signs with, and where that comes from.
pub(crate) enum EntrySecret {
    Configured(Secret),
    Environment(Secret),
    Simulated(Secret),
    Stored(Stored),
}

impl Keyring {
    /// Finds all profiles, and warns of what is odd about them.
    ///
    /// # Errors
    /// When the configuration or the profile file cannot be used.
    pub(crate) fn open(global: &Global, simulation: &Simulation) -> Result<Self, Stop> {
        let simulated = simulation.simulate.is_some();
        let accounts = if simulated { Accounts::Simulated } else { Accounts::Real };
        let mut config = find(global, accounts)?;
        if simulated {
            unpin(&mut config);
        }
        let state = StateDir::open(global.state_dir.as_deref(), simulated, &process_env)?;
        let file = state.profiles();
        let Contents { profiles, health, warnings } = file.read().map_err(Stop::usage)?;
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let scenario = simulation.simulate.as_ref().map(|named| scenario(named.as_deref()));
        let simulator = scenario.transpose()?.map(Simulator::forgetful);
        let entries = match &simulator {
            Some(simulator) => simulated_entries(simulator, &config, profiles),
            None => real_entries(&config, profiles)?,
        };
        let entries = entries.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        Ok(Self { config, state, file, simulator, entries, health })
    }

    /// The profiles of that name or provider; without a name all of them.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(crate) fn named(&self, name: Option<&str>) -> Result<Vec<&Entry>, Stop> {
        let Some(name) = name else { return Ok(self.entries.values().collect()) };
        let is_meant = |it: &&Entry| it.id.as_str() == name || it.provider.as_str() == name;
        let meant: Vec<_> = self.entries.values().filter(is_meant).collect();
        if meant.is_empty() {
            let known = self.entries.values().flat_map(|it| [it.id.as_str(), it.provider.as_str()]);
            return Err(unknown(name, known));
        }
        Ok(meant)
    }

    /// A pool of some of the profiles, as a process that starts now would see them.
    pub(crate) fn pool<'a>(
        &self,
        now: Timestamp,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) -> Pool {
        let mut pool = Pool::new(1, ladders(&self.config)).paced();
        for entry in entries {
            let health = self.health.get(&entry.id).cloned().unwrap_or_default();
            let joined = Event::Joined {
                profile: entry.id.clone(),
                provider: entry.provider.clone(),
                slots: entry.slots.unwrap_or(self.config.settings.max_concurrency),
                health: Box::new(health),
            };
            let commands = pool.apply(now, joined);
            debug_assert!(commands.is_empty(), "nobody waits in a pool that was just made");
        }
        pool
    }

    /// Why runs do not use a profile.
    pub(crate) fn why_unused(&self, entry: &Entry) -> String {
        if self.simulator.is_some() {
            return "simulated runs use the scenario's accounts".to_owned();
        }
        let provider = &entry.provider;
        let mut others = self.entries.values().filter(|it| it.provider == *provider);
        match others.find(|it| it.stored().is_none()) {
            Some(key) => format!("the key in {} goes before it", key.place()),
            None => format!(
                "nothing says where provider {provider} is; add providers.{provider}.baseUrl to \
                 polpo.json"
            ),
        }
    }

    /// The way to a provider at `base_url`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn transport(&self, base_url: &str) -> Result<Arc<dyn Transport>, Stop> {
        Ok(match &self.simulator {
            Some(simulator) => Arc::new(InMemory::new(simulator.clone())),
            None => Arc::new(HttpTransport::new(base_url).map_err(Stop::usage)?),
        })
    }
}

impl Entry {
    /// Whether runs use it.
    pub(crate) const fn is_used(&self) -> bool {
        self.base_url.is_some()
    }

    /// Whether it is a login that has ended and cannot be renewed.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|at| at <= now)
    }

    /// What is stored of it, if it is.
    pub(crate) const fn stored(&self) -> Option<&Stored> {
        match &self.secret {
            EntrySecret::Stored(stored) => Some(stored),
            EntrySecret::Configured(_)
            | EntrySecret::Environment(_)
            | EntrySecret::Simulated(_) => None,
        }
    }

    /// What it is, as the profile file calls it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.stored() {
            Some(Stored { kind: Kind::OAuth, .. }) => "oauth",
            Some(Stored { kind: Kind::ApiKey, .. }) | None => "api_key",
        }
    }

    /// Where its secret is, for whoever is to change it.
    pub(crate) fn place(&self) -> &'static str {
        match self.secret {
            EntrySecret::Configured(_) => "polpo.json",
            EntrySecret::Environment(_) => match key_variable(&self.provider) {
                Some(variable) => variable,
                None => "an environment variable",
            },
            EntrySecret::Simulated(_) => "the scenario",
            EntrySecret::Stored(_) => "the profile file",
        }
    }

    /// Where it comes from, in a word.
    pub(crate) const fn source(&self) -> &'static str {
        match self.secret {
            EntrySecret::Configured(_) => "config",
            EntrySecret::Environment(_) => "env",
            EntrySecret::Simulated(_) => "scenario",
            EntrySecret::Stored(_) => "stored",
        }
    }
}

/// An error about a profile or provider that is not there.
pub(crate) fn unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Stop {
    if looks_like_key(name) {
        return Stop::usage(KEY_ADVICE);
    }
    let mut known: Vec<_> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let advice = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None if known.is_empty() => "there are none; add one with `polpo auth add`".to_owned(),
        None => format!("there are {}", known.join(", ")),
    };
    Stop::usage(format!("there is no profile or provider `{name}`; {advice}"))
}

/// What to do about a key on the command line.
pub(crate) const KEY_ADVICE: &str = "\
    that is a key, and others can see command lines: replace it at its provider, and give the new \
    one to `polpo auth add PROVIDER` when it asks, or over standard input";

fn real_entries(config: &Config, profiles: Vec<Stored>) -> Result<Vec<Entry>, Stop> {
    let owners: Vec<_> = profiles.iter().map(|it| (it.id.clone(), it.provider.clone())).collect();
    let found = resolve_credentials(config, &owners, &process_env).map_err(Stop::usage)?;
    found.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let mut entries: Vec<_> = profiles.into_iter().map(|it| unused(config, it)).collect();
    for profile in found.profiles {
        let at = entries.iter().position(|it| it.id == profile.id);
        let (base_url, slots) = (Some(profile.base_url), profile.max_concurrency);
        let is_configured =
            config.providers.get(&profile.provider).is_some_and(|known| !known.keys.is_empty());
        match (profile.secret, at) {
            (FoundSecret::Stored, Some(at)) => {
                let entry = Entry { base_url, slots, ..entries.swap_remove(at) };
                entries.push(entry);
            }
            (FoundSecret::Stored, None) => {}
            (FoundSecret::Key(key), at) => {
                // The same key may be stored, too.
                at.map(|at| entries.swap_remove(at));
                let secret = if is_configured {
                    EntrySecret::Configured(key)
                } else {
                    EntrySecret::Environment(key)
                };
                let (id, provider) = (profile.id, profile.provider);
                entries.push(Entry { id, provider, secret, base_url, ends: None, slots });
            }
        }
    }
    Ok(entries)
}

/// A stored profile that runs do not use, as far as is known yet.
fn unused(config: &Config, stored: Stored) -> Entry {
    let (id, provider) = (stored.id.clone(), stored.provider.clone());
    let can_be_renewed = stored.refresh.is_some() && config.oauth(&provider).is_some();
    let is_login = stored.kind == Kind::OAuth;
    let ends = stored.expires.filter(|_| is_login && !can_be_renewed);
    let secret = EntrySecret::Stored(stored);
    Entry { id, provider, secret, base_url: None, ends, slots: None }
}

/// The accounts of a scenario stand for every provider that the agents name. Tokens that were
/// stored are of a simulator that has ended.
fn simulated_entries(simulator: &Simulator, config: &Config, profiles: Vec<Stored>) -> Vec<Entry> {
    let base_url = Some(String::new()); // Nothing is sent anywhere.
    let mut entries: Vec<_> = profiles.into_iter().map(|it| unused(config, it)).collect();
    let accounts = simulator.scenario().accounts();
    for provider in needed(config).into_keys() {
        for key in accounts.iter().flat_map(|account| &account.api_keys) {
            let key = Secret::new(key.as_str());
            let id = profile_id(&provider, &key);
            let (provider, base_url) = (provider.clone(), base_url.clone());
            let secret = EntrySecret::Simulated(key);
            entries.push(Entry { id, provider, secret, base_url, ends: None, slots: None });
        }
    }
    entries
}

/// The providers that the agents need, and the models they need of each.
pub(crate) fn needed(config: &Config) -> BTreeMap<ProviderId, Vec<String>> {
    let mut needed: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for spec in specs(config) {
        let models = needed.entry(spec.provider.clone()).or_default();
        if !models.iter().any(|known| known == spec.model.as_str()) {
            models.push(spec.model.to_string());
        }
    }
    needed
}

/// The models that the agents need, and where they insist on a profile, which.
pub(crate) fn specs(config: &Config) -> impl Iterator<Item = &ModelSpec> {
    config
        .agents
        .iter()
        .flat_map(|agent| agent.fallbacks.iter().chain([&agent.model, &agent.retry.escalate_model]))
}

/// The scenario of `--simulate`: the one named, else the one here, else the built-in.
pub(crate) fn scenario(named: Option<&Path>) -> Result<Scenario, Stop> {
    let here = Path::new("scenario.json");
    match named {
        Some(path) => read_scenario(path),
        None if here.is_file() => read_scenario(here),
        None => Ok(Scenario::default_scenario()),
    }
}
