//! `config show`: the configuration in force, as a polpo.json, without its secrets.

use std::time::Duration;

use chrono::SecondsFormat;
use polpo_policy::price::{Nanodollars, PriceOverride, Rate};
use polpo_policy::quota::Limits;
use serde_json::{Map, Value, json};

use polpo_upstream::oauth::OAuthSettings;

use super::effective::{AgentConfig, Config, ProviderConfig, Settings, Synchronous};
use super::gateway::{GatewayConfig, KeyConfig};

/// What stands in the place of a secret. It is too short for a client key: a gateway that took what
/// is shown here for its own would be open to everyone.
const MASK: &str = "********";

/// The configuration as pretty JSON, every default filled in and every secret masked.
#[must_use]
pub fn show(config: &Config) -> String {
    let providers: Map<String, Value> =
        config.providers.iter().map(|(id, shown)| (id.to_string(), provider(shown))).collect();
    let agents: Vec<Value> = config.agents.iter().map(agent).collect();
    let mut shown = json!({
        "providers": providers,
        "agents": agents,
        "settings": settings(&config.settings),
        "gateway": gateway(&config.gateway),
    });
    escape(&mut shown);
    format!("{shown:#}")
}

fn provider(provider: &ProviderConfig) -> Value {
    let mut shown = Map::new();
    if !provider.keys.is_empty() {
        shown.insert("apiKeys".into(), vec![MASK; provider.keys.len()].into());
    }
    put(&mut shown, "baseUrl", provider.base_url.clone());
    put(&mut shown, "maxConcurrency", provider.max_concurrency);
    put(&mut shown, "oauth", provider.oauth.as_ref().map(oauth));
    shown.into()
}

fn oauth(oauth: &OAuthSettings) -> Value {
    let mut shown = Map::new();
    shown.insert("clientId".into(), oauth.client_id.as_str().into());
    shown.insert("authorizeUrl".into(), oauth.authorize_url.as_str().into());
    shown.insert("tokenUrl".into(), oauth.token_url.as_str().into());
    shown.insert("redirectUri".into(), oauth.redirect_uri.as_str().into());
    shown.insert("scopes".into(), oauth.scopes.clone().into());
    shown.insert("tokenHeaders".into(), headers(&oauth.token_headers));
    shown.insert("callHeaders".into(), headers(&oauth.call_headers));
    put(&mut shown, "profileUrl", oauth.profile_url.clone());
    shown.into()
}

/// Headers whose values are no secret.
const PLAIN_HEADERS: [&str; 2] = ["anthropic-beta", "anthropic-version"];

fn headers(headers: &[(String, String)]) -> Value {
    let shown = headers.iter().map(|(name, value)| {
        let is_plain = PLAIN_HEADERS.contains(&name.as_str());
        (name.clone(), if is_plain { value.as_str() } else { MASK }.into())
    });
    Value::Object(shown.collect())
}

fn agent(agent: &AgentConfig) -> Value {
    let fallbacks: Vec<String> = agent.fallbacks.iter().map(ToString::to_string).collect();
    let mut shown = Map::new();
    shown.insert("name".into(), agent.name.as_str().into());
    shown.insert("model".into(), agent.model.to_string().into());
    put(&mut shown, "systemPrompt", agent.system_prompt.clone());
    shown.insert("maxTokens".into(), agent.max_tokens.into());
    put(&mut shown, "maxConcurrency", agent.max_concurrency);
    shown.insert("fallbacks".into(), fallbacks.into());
    let retry = json!({
        "maxRetries": agent.retry.max_retries,
        "escalateAfter": agent.retry.escalate_after,
        "escalateModel": agent.retry.escalate_model.to_string(),
    });
    shown.insert("retryPolicy".into(), retry);
    shown.into()
}

fn settings(settings: &Settings) -> Value {
    let steps: Vec<u64> = settings.cooldown_steps.iter().map(Duration::as_secs).collect();
    let prices: Map<String, Value> =
        settings.prices.iter().map(|(model, shown)| (model.clone(), price(shown))).collect();
    let mut journal = Map::new();
    let path = settings.journal.path.as_ref().map(|path| path.display().to_string());
    put(&mut journal, "path", path);
    let synchronous = match settings.journal.synchronous {
        Synchronous::Normal => "normal",
        Synchronous::Full => "full",
    };
    journal.insert("synchronous".into(), synchronous.into());
    let mut shown = Map::new();
    shown.insert("maxConcurrency".into(), settings.max_concurrency.into());
    shown.insert("maxQueueSeconds".into(), settings.max_queue.as_secs().into());
    put(&mut shown, "modelAllowlist", settings.allowlist.as_ref().map(|list| list.patterns()));
    shown.insert("cooldown".into(), json!({ "stepsSeconds": steps }));
    let billing = json!({
        "billingBackoffHours": hours(settings.billing.backoff),
        "billingMaxHours": hours(settings.billing.max),
        "failureWindowHours": hours(settings.billing.window),
    });
    shown.insert("billingDisable".into(), billing);
    shown.insert("prices".into(), prices.into());
    shown.insert("journal".into(), journal.into());
    let metrics = json!({ "showProfileNames": settings.show_profile_names });
    shown.insert("metrics".into(), metrics);
    shown.into()
}

fn gateway(gateway: &GatewayConfig) -> Value {
    let mut shown = Map::new();
    shown.insert("bind".into(), gateway.bind.to_string().into());
    put(&mut shown, "adminKey", gateway.admin_key.as_ref().map(|_| MASK));
    shown.insert("keys".into(), gateway.keys.iter().map(client_key).collect());
    shown.insert("maxHeldBytes".into(), gateway.max_held_bytes.into());
    shown.into()
}

fn client_key(key: &KeyConfig) -> Value {
    let mut shown = Map::new();
    shown.insert("name".into(), key.name.as_str().into());
    shown.insert("key".into(), MASK.into());
    let Limits { requests_per_minute, tokens_per_minute, cost_per_day, cost_total, concurrency } =
        key.limits;
    shown.insert("requestsPerMinute".into(), requests_per_minute.into());
    put(&mut shown, "tokensPerMinute", tokens_per_minute);
    put(&mut shown, "maxCostUsdPerDay", cost_per_day.map(Nanodollars::as_dollars));
    put(&mut shown, "maxCostUsd", cost_total.map(Nanodollars::as_dollars));
    put(&mut shown, "maxConcurrency", concurrency);
    put(&mut shown, "models", key.models.as_ref().map(|list| list.patterns()));
    put(
        &mut shown,
        "expires",
        key.expires.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
    );
    shown.into()
}

fn hours(duration: Duration) -> f64 {
    duration.as_secs_f64() / 3600.0
}

fn price(price: &PriceOverride) -> Value {
    // A rate is nanodollars for a million tokens, a price dollars for as many.
    let dollars = |rate: Rate| Nanodollars(rate.0).as_dollars();
    let mut shown = Map::new();
    shown.insert("input".into(), dollars(price.input).into());
    shown.insert("output".into(), dollars(price.output).into());
    put(&mut shown, "cacheRead", price.cache_read.map(dollars));
    put(&mut shown, "cacheWrite5m", price.cache_write_5m.map(dollars));
    put(&mut shown, "cacheWrite1h", price.cache_write_1h.map(dollars));
    shown.into()
}

fn put(object: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value.into());
    }
}

/// Writes `${` as it has to stand in a polpo.json.
fn escape(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("${", "$${"),
        Value::Array(values) => values.iter_mut().for_each(escape),
        Value::Object(fields) => fields.values_mut().for_each(escape),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
