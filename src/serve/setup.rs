//! What a gateway is made of: configuration, keys, profiles, journal, actors, server.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use polpo_agents::ledger::{self, Writer};
use polpo_agents::token::Vault;
use polpo_metrics::{Metrics, Surface};
use polpo_policy::id::ProviderId;
use polpo_policy::quota::Limits;
use polpo_simulator::Simulator;
use polpo_store::journal::Journal;

use super::selfloop::is_own;
use crate::cli::{Global, ServeArgs};
use crate::commands::config::find;
use crate::commands::keyring::scenario;
use crate::config::{Accounts, Config, process_env};
use crate::control::{self, Handles};
use crate::exit::Stop;
use crate::http::gateway::{self, Data, Drain, Server, Site};
use crate::keys::{self, ClientKey};
use crate::roster::{Mark, Supplied, Watch};
use crate::run::open_journal;
use crate::state::StateDir;
use crate::wiring::{self, Actors, Shared};

/// More requests at once than any pool has limits for.
const MOST_AT_ONCE: u64 = 100_000;

/// Fewer than a program with a thousand agents opens.
const FEW_AT_ONCE: u64 = 1_000;

/// The descriptors that a process needs besides those of its requests: journal, logs, and some air.
const OWN_DESCRIPTORS: u64 = 64;

/// Those of the runtimes of each core.
const DESCRIPTORS_A_CORE: u64 = 4;

/// What a gateway is made of.
pub(super) struct Setup {
    pub(super) address: SocketAddr,
    pub(super) server: Server,
    pub(super) site: Data<Site>,
    pub(super) actors: Actors,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) writer: Writer,
    pub(super) vault: Vault,
    /// What notices changes of the profiles.
    pub(super) watch: Option<Watch>,
    /// What notices changes of the client keys.
    pub(super) keys: keys::Watch,
    /// Answers operators for as long as the gateway runs.
    pub(super) control: Option<control::Guard>,
    /// Tells other gateways over the state directory of this one.
    pub(super) place: Option<File>,
}

/// Reads and starts everything.
///
/// # Errors
/// When anything of it is wrong.
pub(super) async fn open(global: &Global, args: &ServeArgs) -> Result<Setup, Stop> {
    let is_simulated = args.simulate.is_some();
    let accounts = if is_simulated { Accounts::Simulated } else { Accounts::Real };
    let config = find(global, accounts)?;
    let state = StateDir::open(global.state_dir.as_deref(), is_simulated, &process_env)?;
    let place = place(&state);
    let (listener, address) = listen(args.bind.unwrap_or(config.gateway.bind))?;
    let mark = Mark::default();
    let supplied = match &args.simulate {
        Some(scenario) => simulated(scenario.as_deref(), &state)?,
        None => real(&config, &state, (address, mark.clone()))?,
    };
    let journal = open_journal(&config, &state, is_simulated).await?;
    let Supplied { outlets, clock, file, vault, watch } = supplied;
    let providers = providers(&config, outlets.iter().map(|outlet| &outlet.provider));
    let metrics = Metrics::new(config.settings.show_profile_names).map_err(Stop::usage)?;
    let source =
        keys::Source { config: config.clone(), accounts, env: process_env, file: state.keys() };
    let spent = keys::spent(&*journal, is_simulated, clock.now()).await?;
    let (clients, keys) = keys::Watch::begin(source, spent, clock.now())?;
    guard(clients.is_open(), address)?;
    let shared = Shared {
        journal: journal.clone(),
        metrics: metrics.clone(),
        clock: clock.clone(),
        surface: Surface::Gateway,
        seed: fastrand::u64(..),
        profiles: file,
    };
    let at_once = at_once();
    let actors = wiring::start(&config, outlets, shared, at_once);
    let (ledger, writer) = ledger::ledger(is_simulated);
    let site = Data::new(Site {
        gateway: actors.gateway(ledger.clone()),
        ledger,
        journal: journal.clone(),
        keys: clients,
        anyone: Arc::new(anyone()),
        providers,
        allowlist: config.settings.allowlist.clone(),
        max_queue: config.settings.max_queue,
        prices: actors.prices(),
        memory: gateway::memory(config.gateway.max_held_bytes),
        drain: Drain::default(),
        clock,
        metrics,
        scheduler: actors.observe.clone(),
        control: Handles::of(&actors.scheduler),
        mark,
        is_local: address.ip().is_loopback(),
    });
    let server = gateway::server(listener, site.clone(), at_once, gateway::LONGEST_STALL);
    let server = server.map_err(Stop::usage)?;
    let control = control::serve(&state, Handles::of(&actors.scheduler));
    Ok(Setup { address, server, site, actors, journal, writer, vault, watch, keys, control, place })
}

/// The place of the only gateway over a state directory. What another one spends is known here only
/// after the next start.
fn place(state: &StateDir) -> Option<File> {
    let unknown = |error| {
        tracing::warn!(%error, "whether another gateway runs over this state directory is not known");
    };
    let file = File::create(state.file("gateway.lock")).map_err(unknown).ok()?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => tracing::warn!(
            "another gateway runs over this state directory: what client keys may use, each of them \
             grants anew"
        ),
        Err(TryLockError::Error(error)) => unknown(error),
    }
    Some(file)
}

/// Without keys nobody else may come in.
fn guard(is_open: bool, address: SocketAddr) -> Result<(), Stop> {
    if !is_open || address.ip().is_loopback() {
        return Ok(());
    }
    Err(Stop::usage(format!(
        "without client keys the gateway listens on this machine only, and not on {address}: make a \
         key with `polpo gateway key add NAME`, or bind to 127.0.0.1"
    )))
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Stop> {
    let fault = |error| {
        Stop::usage(format!(
            "cannot listen on {address}: {error}; choose another address with --bind, or with \
             gateway.bind in polpo.json"
        ))
    };
    let listener = TcpListener::bind(address).map_err(fault)?;
    let bound = listener.local_addr().map_err(fault)?;
    Ok((listener, bound))
}

/// The accounts of the scenario that is named, else of the one that is here, else the built-in ones.
fn simulated(named: Option<&Path>, state: &StateDir) -> Result<Supplied, Stop> {
    let simulator = Simulator::forgetful(scenario(named)?);
    Supplied::simulated(&simulator, ["anthropic".into()], state.profiles())
}

/// Every profile there is.
fn real(
    config: &Config,
    state: &StateDir,
    (address, mark): (SocketAddr, Mark),
) -> Result<Supplied, Stop> {
    let supplied = Supplied::real(config, state.profiles(), Some(mark))?;
    let members = supplied.watch.iter().flat_map(|watch| &watch.roster.members);
    for member in members {
        if is_own(&member.base_url, address) {
            return Err(Stop::usage(format!(
                "provider {} is at {}, where this gateway itself listens: unset ANTHROPIC_BASE_URL, \
                 or correct its baseUrl",
                member.provider, member.base_url
            )));
        }
    }
    if supplied.outlets.is_empty() {
        tracing::warn!("there is no credential yet: add one with `polpo auth add anthropic`");
    }
    Ok(supplied)
}

/// The providers in the order in which they are asked: Anthropic itself first, and Poe last.
fn providers<'a>(
    config: &'a Config,
    used: impl Iterator<Item = &'a ProviderId>,
) -> Vec<ProviderId> {
    let (first, last) = ("anthropic".into(), "poe".into());
    let others: BTreeSet<_> = config.providers.keys().chain(used).cloned().collect();
    let has_last = others.contains(&last);
    let others = others.into_iter().filter(|provider| ![&first, &last].contains(&provider));
    let mut providers: Vec<_> = std::iter::once(first.clone()).chain(others).collect();
    providers.extend(has_last.then_some(last.clone()));
    providers
}

/// Whoever comes while there are no keys: nobody but this machine's own users.
fn anyone() -> ClientKey {
    let limits = Limits { requests_per_minute: 1_000_000, ..Limits::default() };
    ClientKey { name: "local".into(), limits, models: None, expires: None }
}

/// As many requests at once as there are descriptors for: one to the client, one upstream.
fn at_once() -> u32 {
    let cores = available_parallelism().map_or(1, NonZero::get) as u64;
    let own = OWN_DESCRIPTORS + cores * DESCRIPTORS_A_CORE;
    let limit = rlimit::increase_nofile_limit(MOST_AT_ONCE * 2 + own);
    let room = (limit.unwrap_or(1024).saturating_sub(own) / 2).clamp(1, MOST_AT_ONCE);
    if room < FEW_AT_ONCE {
        tracing::warn!(
            "there are file descriptors for {room} clients at once, and more wait, if need be until \
             idle connections are closed: raise the limit (ulimit -n)"
        );
    }
    u32::try_from(room).unwrap_or(u32::MAX)
}
