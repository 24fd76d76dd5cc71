//! From a file to a [`Config`].

use std::path::Path;

use super::agents::Common;
use super::document::Document;
use super::effective::Config;
use super::env::Env;
use super::error::{ConfigError, Fault, Place};
use super::expand::expand;
use super::gateway::gateway;
use super::path::JsonPath;
use super::providers::providers;
use super::schema::{Agent, File};
use super::settings::settings;
use super::shape::refuse_arrays;
use super::stray::{is_secret_place, refuse_strays};

/// Whose accounts a run uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// The ones of the real world.
    Real,
    /// A scenario's: neither `providers` nor the keys of the gateway are resolved, so that no
    /// variable need be set and no key file is read.
    Simulated,
}

/// Reads and checks a polpo.json; without one, everything has its default.
///
/// # Errors
/// When the file cannot be read or anything in it, or in `POLPO_MODEL`, is not as it should be.
pub fn load(file: Option<&Path>, accounts: Accounts, env: Env<'_>) -> Result<Config, ConfigError> {
    match file {
        Some(file) => from_document(&Document::read(file)?, accounts, env),
        None => checked(File::default(), Path::new(""), accounts, env).map_err(without_file),
    }
}

/// Checks a document.
pub(super) fn from_document(
    document: &Document,
    accounts: Accounts,
    env: Env<'_>,
) -> Result<Config, ConfigError> {
    let located = |fault| document.error(fault);
    let mut value = document.value()?;
    let is_left = |path: &JsonPath| accounts == Accounts::Simulated && is_of_accounts(path);
    expand(&mut value, &JsonPath::default(), env, &is_left).map_err(located)?;
    refuse_arrays(&value, &JsonPath::default()).map_err(located)?;
    // Unknown keys first: a key in the wrong place often stands under one.
    let file: File = document.typed(value.clone())?;
    refuse_strays(&value, env).map_err(located)?;
    let directory = document.file().parent().unwrap_or(Path::new(""));
    let mut config = checked(file, directory, accounts, env).map_err(located)?;
    config.origin = Some(document.file().to_owned());
    Ok(config)
}

/// Whether it says something about the accounts of the real world, or is a secret.
fn is_of_accounts(path: &JsonPath) -> bool {
    path.is_below("providers") || is_secret_place(path)
}

fn checked(
    file: File,
    directory: &Path,
    accounts: Accounts,
    env: Env<'_>,
) -> Result<Config, Fault> {
    let retry = file.settings.default_retry_policy.clone();
    let settings = settings(file.settings, directory)?;
    let common = Common { retry: &retry, allowlist: settings.allowlist.as_ref(), env };
    let teams = file.team.into_iter().map(|team| (JsonPath::keys(&["team"]), team));
    let more = file.teams.into_iter().enumerate();
    let more = more.map(|(at, team)| (JsonPath::keys(&["teams"]).index(at), team));
    let mut listed = placed(&JsonPath::default(), file.agents);
    for (path, team) in teams.chain(more) {
        listed.extend(placed(&path, team.agents));
    }
    let agents = common.agents(listed)?;
    let providers = match accounts {
        Accounts::Real => providers(file.providers, directory)?,
        Accounts::Simulated => Default::default(),
    };
    let gateway = gateway(file.gateway, accounts, directory)?;
    Ok(Config { providers, agents, settings, gateway, origin: None })
}

fn placed(parent: &JsonPath, agents: Vec<Agent>) -> Vec<(JsonPath, Agent)> {
    let path = parent.key("agents");
    agents.into_iter().enumerate().map(|(at, agent)| (path.index(at), agent)).collect()
}

/// Without a file only a variable can be at fault.
fn without_file(fault: Fault) -> ConfigError {
    let variable = match fault.place {
        Place::Variable(name) => name.to_owned(),
        Place::Path(path) => path.to_string(),
    };
    ConfigError::Variable { variable, problem: fault.problem, advice: fault.advice }
}
