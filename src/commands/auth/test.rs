//! `polpo auth test`: does the API take these credentials?

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;
use futures_util::{StreamExt as _, stream};
use polpo_agents::clock::Clock;
use polpo_agents::signer::Signing;
use polpo_agents::token::{TokenKeeper, Unsigned, Vault};
use polpo_policy::failure::Failure;
use polpo_policy::health::Health;
use polpo_policy::provider::supports_count_tokens;
use polpo_store::profiles::{Kind, Stored};
use polpo_upstream::credential::Credential;

use super::check::{Finding, check, login_advice};
use super::oauth::client;
use super::tend::{Care, apply};
use crate::cli::{Global, TestArgs};
use crate::commands::keyring::{Entry, EntrySecret, Keyring};
use crate::exit::{Exit, Stop};
use crate::out::say;

/// Tests under way at once: quick with many profiles, and no burst for any of them.
const AT_ONCE: usize = 8;

/// Runs the command.
///
/// # Errors
/// When there is no such profile, or what was found cannot be kept.
pub(super) async fn test(global: &Global, args: &TestArgs) -> Result<Exit, Stop> {
    let keyring = Keyring::open(global, &args.simulation)?;
    let named = keyring.named(args.name.as_deref())?.into_iter();
    let (used, unused): (Vec<_>, Vec<_>) = named.partition(|entry| entry.is_used());
    if used.is_empty() {
        let what = match unused.first() {
            Some(entry) => {
                format!("profile {} is not in use: {}", entry.id, keyring.why_unused(entry))
            }
            None => "there are no profiles: store a key with `polpo auth add anthropic`".to_owned(),
        };
        return Err(Stop::no_credential(what));
    }
    let found = async |entry| (entry, find(&keyring, entry).await);
    let mut findings = stream::iter(used.into_iter().map(found)).buffered(AT_ONCE);
    let mut exit = Exit::Success;
    while let Some((entry, finding)) = findings.next().await {
        let finding = finding?;
        say(format_args!("{}: {}", entry.id, words(entry, &finding)))?;
        if finding != Finding::Works {
            exit = Exit::NoCredential;
        }
        keep(&keyring, entry, &finding).await?;
    }
    Ok(exit)
}

async fn find(keyring: &Keyring, entry: &Entry) -> Result<Finding, Stop> {
    let Some(base_url) = &entry.base_url else {
        return Ok(Finding::Unclear("nothing says where its provider is".to_owned()));
    };
    let transport = keyring.transport(base_url)?;
    let check = async |credential: &Credential| {
        let tested = (credential, counts_tokens(keyring, entry));
        check(keyring, &entry.provider, tested, &*transport).await
    };
    if entry.is_over(Utc::now())
        && let Some(finding) = unconfigured(keyring, entry, "has expired")
    {
        return Ok(finding);
    }
    let keeper = match signing(keyring, entry)? {
        Signing::Key(credential) => return Ok(check(&credential).await),
        Signing::Token(keeper) => keeper,
    };
    let token = match keeper.credential().await {
        Ok(token) => token,
        Err(unsigned) => return Ok(of_login(unsigned)),
    };
    let finding = check(&token).await;
    if !matches!(finding, Finding::Refused(_)) {
        return Ok(finding);
    }
    if let Some(finding) = unconfigured(keyring, entry, "was refused") {
        return Ok(finding);
    }
    // The token may have been ended before its time; a newer one may work.
    Ok(match keeper.rejected(&token).await {
        Ok(newer) => check(&newer).await,
        Err(unsigned) => of_login(unsigned),
    })
}

/// Whether its account can count tokens.
fn counts_tokens(keyring: &Keyring, entry: &Entry) -> bool {
    let (EntrySecret::Simulated(key), Some(simulator)) = (&entry.secret, &keyring.simulator) else {
        return supports_count_tokens(&entry.provider);
    };
    let mut accounts = simulator.scenario().accounts().iter();
    let own = accounts.find(|it| it.api_keys.iter().any(|known| known == key.expose()));
    own.is_some_and(|account| !account.is_poe())
}

/// What is missing, if it is a login that could be renewed, had polpo.json said how.
fn unconfigured(keyring: &Keyring, entry: &Entry, what: &str) -> Option<Finding> {
    let provider = &entry.provider;
    let has_refresh = entry.stored().is_some_and(|stored| stored.refresh.is_some());
    (has_refresh && keyring.config.oauth(provider).is_none()).then(|| {
        Finding::Unconfigured(format!(
            "it {what} and polpo.json does not say how to renew it; add providers.{provider}.oauth"
        ))
    })
}

/// What the profile signs with, as a run would.
fn signing(keyring: &Keyring, entry: &Entry) -> Result<Signing, Stop> {
    let fault =
        |error: &dyn std::fmt::Display| Stop::usage(format!("profile {}: {error}", entry.id));
    let key = |key: &str| Credential::api_key(key).map(Signing::Key).map_err(|it| fault(&it));
    let stored = match &entry.secret {
        EntrySecret::Configured(secret)
        | EntrySecret::Environment(secret)
        | EntrySecret::Simulated(secret) => return key(secret.expose()),
        EntrySecret::Stored(Stored { kind: Kind::ApiKey, access, .. }) => return key(access),
        EntrySecret::Stored(stored) => stored.clone(),
    };
    let config = keyring.config.oauth(&entry.provider);
    let client = config.map(|config| client(keyring, config.clone())).transpose()?;
    let headers = config.map(|config| config.call_headers.clone()).unwrap_or_default();
    let vault = Vault::new(keyring.file.clone(), Clock::wall());
    let keeper = TokenKeeper::new(stored, client, headers, vault).map_err(|it| fault(&it))?;
    Ok(Signing::Token(Arc::new(keeper)))
}

/// What it says of a login that there is no token.
fn of_login(Unsigned { failure, message }: Unsigned) -> Finding {
    match failure {
        Failure::Revoked => Finding::LoggedOut(message),
        Failure::Limited { .. }
        | Failure::Unfunded { .. }
        | Failure::Unrefreshed { .. }
        | Failure::Forbidden
        | Failure::Unsuited
        | Failure::Overloaded
        | Failure::Faulty
        | Failure::Network
        | Failure::Rejected => Finding::Unreachable(message),
    }
}

fn words(entry: &Entry, finding: &Finding) -> String {
    let Entry { provider, .. } = entry;
    match finding {
        Finding::Works => "works".to_owned(),
        Finding::Refused(why) if entry.kind() == "oauth" => {
            format!("refused: {why}; {}", login_advice(why, provider))
        }
        Finding::Refused(why) if entry.stored().is_some() => {
            format!("refused: {why}; replace the key: polpo auth add {provider}")
        }
        Finding::Refused(why) => format!("refused: {why}; replace the key in {}", entry.place()),
        Finding::LoggedOut(why) => format!("refused: {why}"),
        Finding::Unconfigured(why) => format!("not used: {why}"),
        Finding::Forbidden(why) => {
            format!("refused: {why}; give it the permission at {provider}, or use another")
        }
        Finding::Limited(why) => format!("limited: {why}"),
        Finding::Unreachable(why) => {
            let place = entry.base_url.as_deref().unwrap_or_default();
            format!("unreachable: {why}; check the network and the base URL {place}")
        }
        Finding::Unclear(why) => {
            format!("unclear: {why}; check providers.{provider} and the models of the agents")
        }
    }
}

/// Remembers what a test says of a credential: that it is refused, or that it no longer is.
async fn keep(keyring: &Keyring, entry: &Entry, finding: &Finding) -> Result<(), Stop> {
    let known = keyring.health.get(&entry.id);
    match finding {
        Finding::Works if known.is_some_and(|health| health.revoked_at.is_some()) => {
            apply(keyring, std::slice::from_ref(&entry.id), Care::Clear).await.map(drop)
        }
        Finding::Refused(_) | Finding::LoggedOut(_) => {
            let refused = Health {
                revoked_at: Some(Utc::now()),
                last_error: Some(Failure::Revoked.label().to_owned()),
                ..known.cloned().unwrap_or_default()
            };
            let refused = BTreeMap::from([(entry.id.clone(), refused)]);
            keyring.file.remember(refused).map(drop).map_err(Stop::not_written)
        }
        Finding::Works
        | Finding::Unconfigured(_)
        | Finding::Forbidden(_)
        | Finding::Limited(_)
        | Finding::Unreachable(_)
        | Finding::Unclear(_) => Ok(()),
    }
}
