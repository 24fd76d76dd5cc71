//! Everything that is decided before anything is opened: configuration, tasks, credentials.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polpo_policy::expect::{ExpectSpec, Expectation};
use polpo_policy::id::{ProfileId, ProviderId};
use polpo_policy::model::ModelSpec;
use polpo_simulator::{Scenario, Simulator};

use crate::cli::{Global, RunArgs};
use crate::config::{
    Accounts, AgentConfig, Config, Search, discover, key_variable, load, process_env,
};
use crate::exit::Stop;
use crate::roster::Supplied;
use crate::state::StateDir;
use crate::tasks::{Rules, Scan, scan};

/// Everything that is decided before anything is opened.
pub(super) struct Plan {
    pub(super) config: Arc<Config>,
    pub(super) agent: AgentConfig,
    pub(super) scan: Scan,
    pub(super) tasks: Spooled,
    pub(super) simulator: Option<Simulator>,
    pub(super) concurrency: u32,
}

/// Reads and checks everything there is to read.
///
/// # Errors
/// When anything of it is wrong.
pub(super) fn plan(global: &Global, args: &RunArgs) -> Result<Plan, Stop> {
    let tasks = Spooled::new(args)?;
    let is_stdin = args.tasks == Path::new("-");
    let directory = std::env::current_dir().map_err(Stop::usage)?;
    let search = Search {
        explicit: global.config.as_deref(),
        tasks: (!is_stdin).then_some(args.tasks.as_path()),
        directory: &directory,
    };
    let file = discover(&search, &process_env).map_err(Stop::usage)?;
    let is_simulated = args.simulate.is_some();
    let accounts = if is_simulated { Accounts::Simulated } else { Accounts::Real };
    let mut config = load(file.as_deref(), accounts, &process_env).map_err(Stop::usage)?;
    if is_simulated {
        unpin(&mut config);
    }
    let agent = pick_agent(&config, args.agent.as_deref())?;
    let rules = Rules { config: &config, agent: &agent, check_expect: &check_expect };
    let scan = scan(tasks.path(), &rules);
    let scan = scan.map_err(|error| Stop::usage(error.in_file(tasks.name())))?;
    let wanted = args.concurrency.unwrap_or(config.settings.max_concurrency);
    let simulator = args.simulate.as_ref().map(|scenario| simulator(args, scenario.as_deref()));
    Ok(Plan {
        simulator: simulator.transpose()?,
        concurrency: if is_simulated { wanted } else { within_descriptors(wanted) },
        config: Arc::new(config),
        agent,
        scan,
        tasks,
    })
}

/// Pins name profiles of the real world, which a simulated run does not have.
pub(crate) fn unpin(config: &mut Config) {
    for agent in &mut config.agents {
        let own = [&mut agent.model, &mut agent.retry.escalate_model];
        agent.fallbacks.iter_mut().chain(own).for_each(|spec| spec.pin = None);
    }
}

fn check_expect(spec: &ExpectSpec) -> Result<(), String> {
    Expectation::compile(spec).map(drop).map_err(|error| {
        let source = std::error::Error::source(&error);
        source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
    })
}

/// The agent of this name, or the first.
///
/// # Errors
/// When there is none of this name.
pub(crate) fn pick_agent(config: &Config, name: Option<&str>) -> Result<AgentConfig, Stop> {
    let found = match name {
        Some(name) => config.agent(name),
        None => config.agents.first(),
    };
    found.cloned().ok_or_else(|| {
        let known: Vec<_> = config.agents.iter().map(|agent| agent.name.as_str()).collect();
        Stop::usage(format!(
            "--agent: there is no agent `{}`: the agents are {}",
            name.unwrap_or_default(),
            known.join(", ")
        ))
    })
}

/// The scenario of `--simulate`: the one named, else the one beside the tasks, else the built-in.
fn simulator(args: &RunArgs, named: Option<&Path>) -> Result<Simulator, Stop> {
    let beside = args.tasks.with_file_name("scenario.json");
    let scenario = match named {
        Some(path) => read_scenario(path)?,
        None if beside.is_file() => read_scenario(&beside)?,
        None => Scenario::default_scenario(),
    };
    Ok(Simulator::forgetful(scenario))
}

/// Reads a scenario file.
///
/// # Errors
/// When it cannot be read or is not a scenario.
pub fn read_scenario(path: &Path) -> Result<Scenario, Stop> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Stop::usage(format!("{}: cannot be read: {error}", path.display())))?;
    Scenario::from_json(&text, &path.display().to_string()).map_err(Stop::usage)
}

/// The descriptors that a process needs besides those of its calls: journal, results, logs,
/// runtimes, and some air.
const OWN_DESCRIPTORS: u64 = 64;

/// Raises the limit on open files, as each call in flight is one, and stays within it.
fn within_descriptors(wanted: u32) -> u32 {
    let limit = rlimit::increase_nofile_limit(u64::from(wanted) + OWN_DESCRIPTORS);
    let room = limit.unwrap_or(1024).saturating_sub(OWN_DESCRIPTORS).max(1);
    let fits = u32::try_from(room).unwrap_or(u32::MAX).min(wanted);
    if fits < wanted {
        tracing::warn!(
            wanted,
            fits,
            "fewer tasks run at once than wanted, as this process may not open more files (ulimit -n)"
        );
    }
    fits
}

/// Where the results go.
///
/// # Errors
/// When there is no telling.
pub(super) fn results_path(args: &RunArgs) -> Result<PathBuf, Stop> {
    if let Some(path) = &args.output {
        return Ok(path.clone());
    }
    if args.tasks == Path::new("-") {
        return Err(Stop::usage("with tasks from standard input, name the results file with -o"));
    }
    let ending =
        if args.simulate.is_some() { ".simulated.results.jsonl" } else { ".results.jsonl" };
    // Only `.jsonl` gives way: `tasks.v1` and `tasks.v2` must not share their results.
    let is_jsonl = args.tasks.extension().is_some_and(|extension| extension == "jsonl");
    let mut path = if is_jsonl { args.tasks.with_extension("") } else { args.tasks.clone() };
    path.as_mut_os_string().push(ending);
    Ok(path)
}

/// Finds the profiles of the run.
///
/// # Errors
/// When a provider that tasks need has no credential.
pub(super) fn supplied(plan: &Plan, state: &StateDir) -> Result<Supplied, Stop> {
    if let Some(simulator) = &plan.simulator {
        let mut providers: Vec<ProviderId> = models(&plan.config, &plan.scan).collect();
        providers.sort();
        providers.dedup();
        return Supplied::simulated(simulator, providers, state.profiles());
    }
    let supplied = Supplied::real(&plan.config, state.profiles(), None)?;
    let has = |provider: &ProviderId| supplied.outlets.iter().any(|it| it.provider == *provider);
    if let Some(spec) = plan.scan.models.keys().find(|spec| !has(&spec.provider)) {
        return Err(no_credential(spec));
    }
    let pins = plan.scan.models.keys().filter_map(|spec| spec.pin.as_ref());
    let known: Vec<_> = supplied.outlets.iter().map(|it| it.id.as_str()).collect();
    if let Some(pin) = pins.into_iter().find(|pin| !known.contains(&pin.as_str())) {
        return Err(Stop::no_credential(no_profile(pin, &known)));
    }
    for provider in models(&plan.config, &plan.scan).filter(|provider| !has(provider)) {
        tracing::warn!(%provider, "there is no credential for a model to fall back or escalate to");
    }
    Ok(supplied)
}

/// Says that a pin names none of the profiles that can be used.
pub(crate) fn no_profile(pin: &ProfileId, known: &[&str]) -> String {
    format!("there is no profile {pin}: there are {}", known.join(", "))
}

/// Says how to get a credential for a model.
pub(crate) fn no_credential(spec: &ModelSpec) -> Stop {
    let provider = &spec.provider;
    let variable = key_variable(provider).map(|name| format!("set {name}, ")).unwrap_or_default();
    Stop::no_credential(format!(
        "there is no credential for provider {provider}, which model {spec} needs: {variable}store \
         one with `polpo auth add {provider}`, or name a key in polpo.json under \
         providers.{provider}; `--simulate` runs without any"
    ))
}

/// The providers of every model that the run may ask for.
fn models<'a>(config: &'a Config, scan: &'a Scan) -> impl Iterator<Item = ProviderId> + 'a {
    let agents = config.agents.iter().flat_map(|agent| {
        agent.fallbacks.iter().chain([&agent.model, &agent.retry.escalate_model])
    });
    agents.chain(scan.models.keys()).map(|spec| spec.provider.clone())
}

/// The task file: the user's own, or a copy of standard input that goes when the run does.
pub(super) struct Spooled {
    path: PathBuf,
    copy: Option<tempfile::NamedTempFile>,
}

impl Spooled {
    fn new(args: &RunArgs) -> Result<Self, Stop> {
        if args.tasks != Path::new("-") {
            return Ok(Self { path: args.tasks.clone(), copy: None });
        }
        results_path(args)?;
        let fault = |error| Stop::usage(format!("standard input cannot be kept: {error}"));
        let mut copy = tempfile::NamedTempFile::new().map_err(fault)?;
        std::io::copy(&mut std::io::stdin().lock(), copy.as_file_mut()).map_err(fault)?;
        Ok(Self { path: copy.path().to_owned(), copy: Some(copy) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the user knows it by.
    fn name(&self) -> &Path {
        if self.copy.is_some() { Path::new("standard input") } else { &self.path }
    }
}
