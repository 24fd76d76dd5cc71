//! `polpo auth add`: an API key, stored.

use std::io::{IsTerminal as _, Read as _, stdin};
use std::path::Path;

use chrono::Utc;
use console::Term;
use polpo_policy::id::{ProfileId, ProviderId};
use polpo_policy::provider::supports_count_tokens;
use polpo_store::profiles::{Kind, ProfileFile, Stored};
use polpo_upstream::credential::Credential;

use super::check::{Finding, check};
use crate::cli::{AddArgs, Global, Simulation};
use crate::commands::keyring::{KEY_ADVICE, Keyring, unknown};
use crate::config::{
    Secret, looks_like_key, process_env, profile_id, resolve_credentials, usable_key,
};
use crate::exit::{Exit, Stop};
use crate::out::say;

/// Bytes of standard input that are read: more than the longest key.
const MOST_BYTES: u64 = 64 * 1024;

/// Runs the command.
///
/// # Errors
/// When there is no such provider, or no key that works.
pub(super) async fn add(global: &Global, args: &AddArgs) -> Result<Exit, Stop> {
    if let Some(word) = &args.key {
        return Err(Stop::usage(if looks_like_key(word) {
            KEY_ADVICE.to_owned()
        } else {
            format!("unexpected argument `{word}`; did you mean --name {word}?")
        }));
    }
    let keyring = Keyring::open(global, &Simulation::default())?;
    let provider = known_provider(&keyring, &args.provider)?;
    let named = args.name.as_deref().map(|name| checked_id(&provider, name)).transpose()?;
    let key = read_key(&provider)?;
    let stored = keyring.file.read().map_err(Stop::usage)?.profiles;
    let id = named.unwrap_or_else(|| profile_id(&provider, &key));
    let replaced = stored.iter().find(|it| it.id == id);
    if replaced.is_some_and(|it| it.kind == Kind::OAuth) {
        return Err(Stop::usage(format!(
            "profile {id} is a login: remove it first with `polpo auth logout {id}`, or choose \
             another --name"
        )));
    }
    if !args.no_test {
        test(&keyring, &provider, &key).await?;
    }
    let now = Utc::now();
    let stored_key = Stored {
        id: id.clone(),
        provider: provider.clone(),
        kind: Kind::ApiKey,
        access: key.expose().to_owned(),
        refresh: None,
        expires: None,
        email: None,
        created_at: now,
    };
    let warnings = keyring.file.put(&stored_key, now).map_err(Stop::not_written)?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if replaced.is_some_and(|it| it.access != stored_key.access) {
        say(format_args!("The key that {id} had is replaced"))?;
    }
    say_saved(&keyring.file, &id)?;
    warn_of_shadow(&keyring, &id, &provider)?;
    Ok(Exit::Success)
}

/// The provider of that name, if polpo.json or we know it.
///
/// # Errors
/// When neither does.
pub(super) fn known_provider(keyring: &Keyring, name: &str) -> Result<ProviderId, Stop> {
    let configured = keyring.config.providers.keys().map(ProviderId::as_str);
    let known: Vec<_> = configured.chain(["anthropic", "poe"]).collect();
    if known.contains(&name) { Ok(name.into()) } else { Err(unknown(name, known)) }
}

fn checked_id(provider: &ProviderId, name: &str) -> Result<ProfileId, Stop> {
    let id = polpo_store::profiles::profile_id(provider, name);
    if looks_like_key(name) {
        return Err(Stop::usage(KEY_ADVICE));
    }
    if id.as_str().strip_prefix(provider.as_str()) != Some(&format!(":{name}")) {
        return Err(Stop::usage(
            "--name: this is no name for a profile: use up to 128 letters, digits, `.`, `_`, `@` \
             and `-`",
        ));
    }
    Ok(id)
}

/// A key from a prompt that does not show it, or from standard input.
fn read_key(provider: &ProviderId) -> Result<Secret, Stop> {
    let unreadable = |error| Stop::usage(format!("the key cannot be read: {error}"));
    let text = if stdin().is_terminal() {
        let terminal = Term::stderr();
        if !terminal.is_term() {
            return Err(Stop::usage("there is nowhere to ask: leave stderr on the terminal"));
        }
        terminal.write_str(&format!("API key for {provider}: ")).map_err(unreadable)?;
        terminal.read_secure_line().map_err(unreadable)?
    } else {
        let mut text = String::new();
        stdin().take(MOST_BYTES).read_to_string(&mut text).map_err(unreadable)?;
        text
    };
    usable_key(text.trim()).map_err(|problem| {
        Stop::usage(format!("{problem}: give one key at the prompt or over standard input"))
    })
}

async fn test(keyring: &Keyring, provider: &ProviderId, key: &Secret) -> Result<(), Stop> {
    let credential = Credential::api_key(key.expose()).map_err(Stop::usage)?;
    let transport = keyring.transport(&base_url(keyring, provider)?)?;
    let counts_tokens = supports_count_tokens(provider);
    let (problem, advice) =
        match check(keyring, provider, (&credential, counts_tokens), &*transport).await {
            Finding::Works => return Ok(()),
            Finding::Limited(why) => {
                tracing::warn!("the key is genuine, but limited now: {why}");
                return Ok(());
            }
            Finding::Refused(why)
            | Finding::LoggedOut(why)
            | Finding::Unconfigured(why)
            | Finding::Forbidden(why) => {
                (format!("the key was refused: {why}"), "check it and try again")
            }
            Finding::Unreachable(why) | Finding::Unclear(why) => {
                (format!("the key could not be tested: {why}"), "--no-test stores it all the same")
            }
        };
    Err(Stop::no_credential(format!("{problem}; nothing was stored; {advice}")))
}

/// Where a provider is.
///
/// # Errors
/// When nothing says it.
pub(super) fn base_url(keyring: &Keyring, provider: &ProviderId) -> Result<String, Stop> {
    let stored = [(ProfileId::from("a:profile"), provider.clone())];
    let found = resolve_credentials(&keyring.config, &stored, &process_env).map_err(Stop::usage)?;
    let url = found.profiles.into_iter().find(|it| it.provider == *provider);
    url.map(|it| it.base_url).ok_or_else(|| {
        Stop::usage(format!("nothing says where provider {provider} is: set its baseUrl"))
    })
}

/// Says where a profile was stored.
///
/// # Errors
/// When nobody can be told.
pub(super) fn say_saved(file: &ProfileFile, id: &ProfileId) -> Result<(), Stop> {
    say(format_args!("Profile saved as: {id}"))?;
    let home = process_env("HOME").filter(|home| !home.is_empty());
    let below_home = home.and_then(|home| file.path().strip_prefix(home).ok().map(Path::to_owned));
    match below_home {
        Some(path) => say(format_args!("Stored in ~/{}", path.display())),
        None => say(format_args!("Stored in {}", file.path().display())),
    }
}

/// Warns if a key goes before the profile.
///
/// # Errors
/// When the keys there are cannot be read.
pub(super) fn warn_of_shadow(
    keyring: &Keyring,
    id: &ProfileId,
    provider: &ProviderId,
) -> Result<(), Stop> {
    if keyring.simulator.is_none() && !keyring.entries.contains_key(id) {
        let stored = [(id.clone(), provider.clone())];
        let found =
            resolve_credentials(&keyring.config, &stored, &process_env).map_err(Stop::usage)?;
        found.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    }
    Ok(())
}
