//! `polpo auth explain`: which profile a request would get now, and why no other.

use chrono::Utc;
use polpo_policy::id::ProfileId;
use polpo_policy::limits::Timestamp;
use polpo_policy::model::ModelSpec;
use polpo_policy::pool::Event;
use serde::Serialize;

use crate::cli::{ExplainArgs, Global};
use crate::commands::keyring::{Entry, Keyring, unknown};
use crate::commands::standing::EXPIRED;
use crate::commands::when::{distance, told};
use crate::control::{Answer, Ask, Explained, Fate, RankedStatus, Wanted, ask_all, request};
use crate::exit::{Exit, Stop};
use crate::out::say;

/// How a process would serve the request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    /// The process; none: one that would start now.
    pid: Option<u32>,
    models: &'a [String],
    #[serde(flatten)]
    explained: Explained,
}

/// Runs the command.
///
/// # Errors
/// When the model is none, or the profiles cannot be read.
pub(super) async fn explain(global: &Global, args: &ExplainArgs) -> Result<Exit, Stop> {
    let keyring = Keyring::open(global, &args.simulation)?;
    let specs = models(&keyring, args.model.as_deref())?;
    let names: Vec<_> = specs.iter().map(ToString::to_string).collect();
    let now = Utc::now();
    let mut explanations = explanations(&keyring, &specs, args.session.as_deref(), now).await;
    for (_, explained) in &mut explanations {
        add_expired(explained, &keyring, &specs, now);
    }
    for pin in specs.iter().filter_map(|spec| spec.pin.as_ref()) {
        let mut ranked = explanations.iter().flat_map(|(_, explained)| &explained.ranking);
        if !keyring.entries.contains_key(pin) && !ranked.any(|it| it.profile == *pin) {
            return Err(unknown(pin.as_str(), keyring.entries.keys().map(ProfileId::as_str)));
        }
    }
    let view = |(pid, explained)| View { pid, models: &names, explained };
    let views: Vec<_> = explanations.into_iter().map(view).collect();
    if args.json {
        say(serde_json::to_string_pretty(&views).map_err(Stop::usage)?)?;
        return Ok(Exit::Success);
    }
    for view in &views {
        match view.pid {
            Some(pid) => say(format_args!("In the running process {pid}: {}", verdict(view, now)))?,
            None => say(verdict(view, now))?,
        }
        for (rank, ranked) in (1..).zip(&view.explained.ranking) {
            say(line(rank, view, ranked, now))?;
        }
    }
    Ok(Exit::Success)
}

/// The model that is asked about, else the first agent's with its fallbacks.
fn models(keyring: &Keyring, named: Option<&str>) -> Result<Vec<ModelSpec>, Stop> {
    let mut specs = match (named, keyring.config.agents.first()) {
        (Some(name), _) => {
            let spec = ModelSpec::parse(name);
            vec![spec.map_err(|error| Stop::usage(format!("--model: {error}")))?]
        }
        (None, Some(agent)) => {
            [&agent.model].into_iter().chain(&agent.fallbacks).cloned().collect()
        }
        (None, None) => Vec::new(), // A configuration always has an agent.
    };
    if keyring.simulator.is_some() {
        specs.iter_mut().for_each(|spec| spec.pin = None); // Pins name profiles of the real world.
    }
    Ok(specs)
}

/// What the running processes say, else what one would say that starts now.
async fn explanations(
    keyring: &Keyring,
    specs: &[ModelSpec],
    session: Option<&str>,
    now: Timestamp,
) -> Vec<(Option<u32>, Explained)> {
    let models: Vec<_> = specs.iter().map(Wanted::new).collect();
    let session = session.map(Into::into);
    let ask = Ask::Explain { models: models.clone(), session: session.clone() };
    let heard = ask_all(&keyring.state, &ask).await.into_iter();
    let live = heard.filter_map(|heard| match heard.answer {
        Answer::Explained(explained) => Some((Some(heard.pid), explained)),
        Answer::Status(_) | Answer::Tended(_) | Answer::Refused(_) => None,
    });
    let live: Vec<_> = live.collect();
    if !live.is_empty() {
        return live;
    }
    let usable = |entry: &&Entry| entry.is_used() && !entry.is_over(now);
    let mut pool = keyring.pool(now, keyring.entries.values().filter(usable));
    drop(pool.apply(now, Event::Woke));
    vec![(None, pool.explain(&request(models, session)).into())]
}

/// Adds the logins that are over, which no process has.
fn add_expired(explained: &mut Explained, keyring: &Keyring, specs: &[ModelSpec], now: Timestamp) {
    let over = keyring.entries.values().filter(|entry| entry.is_used() && entry.is_over(now));
    for Entry { id, provider, .. } in over {
        let is_meant = |spec: &ModelSpec| {
            spec.provider == *provider && spec.pin.as_ref().is_none_or(|pin| pin == id)
        };
        let models = specs.iter().enumerate().filter(|(_, spec)| is_meant(spec));
        explained.ranking.extend(models.map(|(model, _)| RankedStatus {
            model,
            profile: id.clone(),
            obstacle: Some(EXPIRED.to_owned()),
            limit: None,
            until: None,
            has_cache: false,
            last_used: keyring.health.get(id).and_then(|health| health.last_used),
        }));
    }
    explained.ranking.sort_by_key(|ranked| ranked.model);
}

/// What would be done with the request, and why.
fn verdict(view: &View<'_>, now: Timestamp) -> String {
    let View { models, explained: Explained { fate, ranking }, .. } = view;
    let name = |at: usize| models.get(at).map_or("", String::as_str);
    let first = name(0);
    match fate {
        Fate::Granted { profile, model } => {
            let chosen = ranking.iter().find(|it| it.profile == *profile && it.model == *model);
            let why = match chosen {
                Some(it) if it.has_cache => "it has the cache of this conversation",
                Some(it) if it.last_used.is_none() => "it is eligible and was never used",
                Some(_) | None => "of the eligible ones it was used least recently",
            };
            let fallback = match model {
                0 => String::new(),
                _ => format!(", as no profile is eligible for {first}"),
            };
            format!("{} would be served by {profile}: {why}{fallback}", name(*model))
        }
        Fate::Waits { model, until, for_cache } => {
            let for_what = match (for_cache, until) {
                (true, Some(at)) => {
                    format!(" for the profile with this conversation's cache, {}", told(*at, now))
                }
                (true, None) => " for the profile with this conversation's cache".to_owned(),
                (false, Some(at)) => format!(": the first profile returns {}", told(*at, now)),
                (false, None) => " until a place is free".to_owned(),
            };
            format!("{} would wait{for_what}", name(model.unwrap_or(0)))
        }
        Fate::Refused { queue_full: true } => {
            format!("{first} would be refused: too many requests wait")
        }
        Fate::Refused { .. } if ranking.is_empty() => {
            format!("no profile serves {first}: add one with `polpo auth add`")
        }
        Fate::Refused { .. } => {
            format!("{first} would be refused: no profile has a known return")
        }
    }
}

fn line(rank: usize, view: &View<'_>, ranked: &RankedStatus, now: Timestamp) -> String {
    let name = |at: usize| view.models.get(at).map_or("", String::as_str);
    let used = match ranked.last_used {
        Some(at) => format!("last used {}", distance(at, now)),
        None => "never used".to_owned(),
    };
    let cache = if ranked.has_cache { ", has this conversation's cache" } else { "" };
    let model = name(ranked.model);
    let standing = match (&ranked.obstacle, view.explained.fate.model()) {
        (None, Some(before)) if before < ranked.model => {
            format!("not asked while {} can still be served", name(before))
        }
        (None, _) => "eligible".to_owned(),
        (Some(why), _) => format!("not eligible: {}", obstacle(why, ranked, now)),
    };
    format!("{rank:>3}. {model} on {}: {standing}, {used}{cache}", ranked.profile)
}

/// Why a profile is not eligible, until when, and what to do about it.
fn obstacle(why: &str, ranked: &RankedStatus, now: Timestamp) -> String {
    let why = match (why, &ranked.limit) {
        (EXPIRED, _) => {
            let provider = ranked.profile.as_str().split_once(':').map_or("", |(it, _)| it);
            format!("{why} (log in again: polpo auth login {provider})")
        }
        (_, Some(limit)) => format!("no room in its limit ({})", limit.replace('_', " ")),
        (_, None) => why.to_owned(),
    };
    match ranked.until {
        Some(until) => format!("{why} until {}", told(until, now)),
        None => why,
    }
}
