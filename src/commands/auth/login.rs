//! `polpo auth login`: from a link to a stored token.

use std::io::{BufRead as _, IsTerminal as _, Read as _, stdin};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use polpo_policy::id::{ProfileId, ProviderId};
use polpo_policy::provider::supports_count_tokens;
use polpo_simulator::{Scenario, Simulator, server};
use polpo_store::profiles::{Kind, Stored, profile_id};
use polpo_upstream::credential::Credential;
use polpo_upstream::oauth::{Code, Grant, Login, OAuthClient, OAuthSettings, PasteError};

use super::add::{base_url, known_provider, say_saved, warn_of_shadow};
use super::check::{Finding, check, login_advice};
use super::oauth::{client, simulated};
use crate::cli::{Global, LoginArgs, Simulation};
use crate::commands::keyring::Keyring;
use crate::config::looks_like_key;
use crate::exit::{Exit, Stop};
use crate::out::{ask, say, tell};

/// Tries that a person at a terminal has to paste a code.
const TRIES: u32 = 3;

/// Ten seconds in all: a renewal takes one, and a code that is spent must not be lost to a process
/// that hangs.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of a line that is pasted; more than any code or address has.
const LONGEST_LINE: u64 = 64 * 1024;

/// Who can sign in where no scenario says it.
const USERS: &str = r#"{"accounts": [
    {"name": "user", "apiKey": "sk-ant-api03-simulated-a"},
    {"name": "b", "apiKey": "sk-ant-api03-simulated-b"}
]}"#;

/// Runs the command.
///
/// # Errors
/// When it cannot begin, or what came of it cannot be stored.
pub(super) async fn login(global: &Global, args: &LoginArgs) -> Result<Exit, Stop> {
    let mut keyring = Keyring::open(global, &Simulation { simulate: args.simulate.clone() })?;
    if args.simulate == Some(None) && !Path::new("scenario.json").is_file() {
        let scenario = Scenario::from_json(USERS, "the built-in scenario").map_err(Stop::usage)?;
        keyring.simulator = Some(Simulator::forgetful(scenario));
    }
    let provider = provider(&keyring, args.provider.as_deref()).await?;
    let Some(simulator) = keyring.simulator.clone() else {
        let config = keyring.config.oauth(&provider).ok_or_else(|| unconfigured(&provider))?;
        return log_in(&keyring, &provider, config.clone()).await;
    };
    let fault = |error| Stop::usage(format!("the simulator cannot listen on 127.0.0.1: {error}"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(fault)?;
    let origin = format!("http://{}", listener.local_addr().map_err(fault)?);
    let settings = simulated(&origin, simulator.scenario());
    let server = server(simulator, listener).map_err(fault)?;
    tokio::select! {
        outcome = log_in(&keyring, &provider, settings) => outcome,
        ended = server => Err(match ended {
            Ok(()) => Stop::usage("the simulator has ended before the login"),
            Err(error) => fault(error),
        }),
    }
}

/// The provider to log in at: the one named, or picked from a list.
async fn provider(keyring: &Keyring, named: Option<&str>) -> Result<ProviderId, Stop> {
    if let Some(name) = named {
        let is_known = keyring.config.providers.contains_key(&ProviderId::from(name));
        if is_known || looks_like_key(name) || ["anthropic", "poe"].contains(&name) {
            return known_provider(keyring, name);
        }
        return Err(Stop::usage(format!(
            "there is no provider `{name}`: known are anthropic, poe and those of polpo.json; to \
             log in at another, add providers.{name}.baseUrl and providers.{name}.oauth there"
        )));
    }
    if keyring.simulator.is_some() {
        return Ok("anthropic".into());
    }
    let configured = keyring.config.providers.iter().filter(|(_, config)| config.oauth.is_some());
    let choices: Vec<&ProviderId> = configured.map(|(id, _)| id).collect();
    if choices.is_empty() {
        return Err(unconfigured(&"anthropic".into()));
    }
    if !stdin().is_terminal() {
        let names: Vec<_> = choices.iter().map(|id| id.as_str()).collect();
        return Err(Stop::usage(format!(
            "name the provider to log in at: polpo auth login {}",
            names.join("|")
        )));
    }
    for (number, id) in (1..).zip(&choices) {
        say(format_args!("  {number}. {}", name(id)))?;
    }
    ask(format_args!("Log in where (1-{})? ", choices.len()))?;
    let picked = read_line().await?.trim().parse::<usize>().ok();
    let picked = picked.and_then(|number| choices.get(number.checked_sub(1)?).copied());
    picked.cloned().ok_or_else(|| Stop::usage("that is no number of the list"))
}

/// A provider as people know it.
fn name(provider: &ProviderId) -> &str {
    match provider.as_str() {
        "anthropic" => "Anthropic (Claude Pro/Max)",
        other => other,
    }
}

fn unconfigured(provider: &ProviderId) -> Stop {
    let terms = match provider.as_str() {
        "anthropic" => {
            "Anthropic does not permit other programs to offer logins with Claude Free, Pro or Max \
             accounts, or to send requests with them on behalf of their users.\n"
        }
        _ => "",
    };
    Stop::usage(format!(
        r#"polpo.json does not say how to log in at {provider}, and polpo has no client id of its own.
For most people an API key is the way: polpo auth add {provider}
{terms}If you have been given a client id, put what came with it into polpo.json:

{{
  "providers": {{
    "{provider}": {{
      "oauth": {{
        "clientId": "YOUR-CLIENT-ID",
        "authorizeUrl": "https://login.example.com/oauth/authorize",
        "tokenUrl": "https://login.example.com/oauth/token",
        "redirectUri": "https://login.example.com/oauth/code/callback",
        "scopes": [],
        "tokenHeaders": {{}},
        "callHeaders": {{"x-example": "what the provider asks for with each call"}},
        "profileUrl": "https://login.example.com/oauth/profile"
      }}
    }}
  }}
}}

callHeaders, tokenHeaders and profileUrl can be left out, unless the provider asks for them.
At Anthropic callHeaders are {{"anthropic-beta": "…what the provider asks for"}}.
To try it without an account: polpo auth login {provider} --simulate"#
    ))
}

/// Leads a person through the login.
async fn log_in(
    keyring: &Keyring,
    provider: &ProviderId,
    settings: OAuthSettings,
) -> Result<Exit, Stop> {
    let client = client(keyring, settings.clone())?;
    let login = Login::begin(&settings);
    say(format_args!("Logging in to {}...\n", name(provider)))?;
    say("Open this URL in your browser and paste the authorization code")?;
    say(format_args!("{}\n", login.url(&settings)))?;
    let grant = match code(&login, provider).await? {
        Ok(code) => client.exchange(&login, &code, Utc::now()).await.map_err(|it| it.to_string()),
        Err(problem) => Err(problem),
    };
    match grant {
        Ok(grant) => {
            let token = Credential::oauth(&grant.access, &settings.call_headers);
            let id = store(keyring, provider, &client, grant).await?;
            say("\nLogin successful!")?;
            say_saved(&keyring.file, &id)?;
            warn_of_shadow(keyring, &id, provider)?;
            try_out(keyring, provider, &token.map_err(Stop::usage)?).await?;
            Ok(Exit::Success)
        }
        Err(why) => {
            tell(format_args!("Login failed: {why}"));
            Ok(Exit::Failed)
        }
    }
}

/// Says if the provider does not take the token that it has given.
async fn try_out(keyring: &Keyring, provider: &ProviderId, token: &Credential) -> Result<(), Stop> {
    let base_url = match keyring.simulator {
        Some(_) => String::new(), // Nothing is sent anywhere.
        None => base_url(keyring, provider)?,
    };
    let transport = keyring.transport(&base_url)?;
    let counts = keyring.simulator.is_some() || supports_count_tokens(provider);
    match check(keyring, provider, (token, counts), &*transport).await {
        Finding::Works | Finding::Limited(_) => {}
        Finding::Refused(why) => tell(format_args!(
            "The login is stored, but a call with it was refused: {why}; {}",
            login_advice(&why, provider)
        )),
        Finding::LoggedOut(why)
        | Finding::Unconfigured(why)
        | Finding::Forbidden(why)
        | Finding::Unreachable(why)
        | Finding::Unclear(why) => tell(format_args!(
            "The login is stored, but it could not be tested: {why}; try again: polpo auth test"
        )),
    }
    Ok(())
}

/// The code that is pasted.
async fn code(login: &Login, provider: &ProviderId) -> Result<Result<Code, String>, Stop> {
    let is_terminal = stdin().is_terminal();
    let mut left = if is_terminal { TRIES } else { 1 };
    loop {
        ask("Paste the authorization code from the browser (format: code#state): ")?;
        let line = read_line().await?;
        if !is_terminal {
            say("")?; // A terminal has shown the end of the line.
        }
        left -= 1;
        if looks_like_key(&line) {
            let advice = format!("this is a key: store it with `polpo auth add {provider}`");
            return Ok(Err(advice));
        }
        match login.code(&line) {
            Ok(code) => return Ok(Ok(code)),
            Err(problem @ PasteError::Denied(_)) => return Ok(Err(problem.to_string())),
            Err(problem) if left == 0 => return Ok(Err(problem.to_string())),
            Err(problem) => tell(problem),
        }
    }
}

/// A line of standard input. On a thread of its own, so that a simulator goes on to serve its page.
async fn read_line() -> Result<String, Stop> {
    let read = || {
        let mut line = Vec::new();
        stdin().lock().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&line).into_owned())
    };
    let fault = |error: &dyn std::error::Error| {
        Stop::usage(format!("standard input cannot be read: {error}"))
    };
    let line = tokio::task::spawn_blocking(read).await.map_err(|error| fault(&error))?;
    line.map_err(|error| fault(&error))
}

/// Stores what the login brought, under the name of the account.
async fn store(
    keyring: &Keyring,
    provider: &ProviderId,
    client: &OAuthClient,
    grant: Grant,
) -> Result<ProfileId, Stop> {
    let email = match grant.email {
        Some(email) => Some(email),
        None => client.email(&grant.access).await.unwrap_or_else(|error| {
            tracing::warn!("whose login it is could not be asked: {error}");
            None
        }),
    };
    let account = email.clone().or(grant.account).unwrap_or_default();
    let id = profile_id(provider, &account);
    let now = Utc::now();
    let stored = Stored {
        id: id.clone(),
        provider: provider.clone(),
        kind: Kind::OAuth,
        access: grant.access,
        refresh: grant.refresh,
        expires: Some(grant.expires),
        email,
        created_at: now,
    };
    // A process that renews the token of the same profile would write over this one.
    let mut lock = keyring.file.try_lock_refresh(&id).map_err(Stop::not_written)?;
    for _ in 0..LOCK_TRIES {
        if lock.is_some() {
            break;
        }
        tokio::time::sleep(LOCK_PAUSE).await;
        lock = keyring.file.try_lock_refresh(&id).map_err(Stop::not_written)?;
    }
    if lock.is_none() {
        tracing::warn!(
            "another process is renewing the token of {id}, and may write over this one"
        );
    }
    let warnings = keyring.file.put(&stored, now).map_err(Stop::not_written)?;
    drop(lock);
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(id)
}
