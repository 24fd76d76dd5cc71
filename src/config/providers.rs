//! From `providers` to [`ProviderConfig`]: secrets resolved, URLs checked.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use polpo_policy::id::ProviderId;

use super::bounds::{CONCURRENCY, bounded};
use super::effective::ProviderConfig;
use super::error::{Fault, io_words};
use super::oauth::oauth;
use super::path::JsonPath;
use super::schema::{ProviderEntry, ProviderTable};
use super::secret::Secret;
use super::stray::looks_like_key;
use super::url::{URL_ADVICE, base_url};

/// The longest credential there is a use for; more would not fit into a header.
const SECRET_MAX: usize = 16_384;

/// Where a provider that we know is reached.
pub(super) fn built_in_url(provider: &str) -> Option<&'static str> {
    match provider {
        "anthropic" => Some("https://api.anthropic.com"),
        "poe" => Some("https://api.poe.com"),
        _ => None,
    }
}

/// Whether this is where a provider that we know is reached.
pub(crate) fn is_built_in(url: &str) -> bool {
    ["anthropic", "poe"].into_iter().any(|provider| built_in_url(provider) == Some(url))
}

/// Checks every provider. Relative `file:` paths start at `directory`.
pub(super) fn providers(
    entries: BTreeMap<String, ProviderEntry>,
    directory: &Path,
) -> Result<BTreeMap<ProviderId, ProviderConfig>, Fault> {
    let top = JsonPath::keys(&["providers"]);
    let each = entries.into_iter().map(|(name, entry)| {
        let path = top.key(&name);
        if !is_provider_id(&name) {
            let problem = "this is no name for a provider";
            return Err(Fault::at(&path, problem, "names match ^[a-z0-9][a-z0-9_-]{0,63}$"));
        }
        let config = match entry {
            ProviderEntry::Key(key) => ProviderConfig {
                keys: vec![secret(&key, &path, directory)?],
                ..ProviderConfig::default()
            },
            ProviderEntry::Table(table) => provider(*table, &path, directory)?,
        };
        if config.base_url.is_none() && built_in_url(&name).is_none() {
            let problem = "a provider other than anthropic and poe needs a `baseUrl`";
            return Err(Fault::at(&path, problem, "add it"));
        }
        Ok((ProviderId::from(name), config))
    });
    each.collect()
}

fn provider(
    table: ProviderTable,
    path: &JsonPath,
    directory: &Path,
) -> Result<ProviderConfig, Fault> {
    let many = path.key("apiKeys");
    let keys = match (table.api_key, table.api_keys) {
        (Some(_), Some(_)) => {
            return Err(Fault::at(path, "has both `apiKey` and `apiKeys`", "keep one of them"));
        }
        (Some(key), None) => vec![secret(&key, &path.key("apiKey"), directory)?],
        (None, Some(keys)) if keys.is_empty() => {
            return Err(Fault::at(&many, "there is no key in it", "add one, or remove it"));
        }
        (None, Some(keys)) => keys
            .iter()
            .enumerate()
            .map(|(index, key)| secret(key, &many.index(index), directory))
            .collect::<Result<_, _>>()?,
        (None, None) => Vec::new(),
    };
    let url_path = path.key("baseUrl");
    let base_url = table
        .base_url
        .map(|url| base_url(&url).map_err(|problem| Fault::at(&url_path, problem, URL_ADVICE)));
    let at_most = path.key("maxConcurrency");
    Ok(ProviderConfig {
        keys,
        base_url: base_url.transpose()?,
        max_concurrency: bounded(table.max_concurrency, &at_most, CONCURRENCY)?,
        oauth: table.oauth.map(|given| oauth(given, &path.key("oauth"))).transpose()?,
    })
}

fn is_provider_id(name: &str) -> bool {
    let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 64
        && name.starts_with(first)
        && name.chars().all(|c| first(c) || c == '_' || c == '-')
}

/// The secret behind a text of the file: the text, or what stands in the file it names.
pub(super) fn secret(text: &Secret, path: &JsonPath, directory: &Path) -> Result<Secret, Fault> {
    let Some(name) = text.expose().strip_prefix("file:") else {
        return usable_key(text.expose())
            .map_err(|problem| Fault::at(path, problem, "correct the key"));
    };
    let shown = if looks_like_key(name) { "…" } else { name };
    let mut content = String::new();
    // One byte too many is enough to see that it is too long.
    let limit = u64::try_from(SECRET_MAX).unwrap_or(u64::MAX) + 1024;
    std::fs::File::open(directory.join(name))
        .and_then(|file| file.take(limit).read_to_string(&mut content))
        .map_err(|error| {
            let problem = format!("the key file {shown} cannot be read: {}", io_words(&error));
            Fault::at(path, problem, "check the path and its permissions")
        })?;
    usable_key(content.trim()).map_err(|problem| {
        Fault::at(path, format!("in the key file {shown}: {problem}"), "correct the file")
    })
}

/// A key that can be sent in a header.
pub(crate) fn usable_key(key: &str) -> Result<Secret, &'static str> {
    if key.is_empty() {
        Err("the key is empty")
    } else if key.len() > SECRET_MAX {
        Err("the key is longer than 16384 characters")
    } else if !key.bytes().all(|b| b.is_ascii_graphic()) {
        Err("the key has a blank, a control character or a letter outside ASCII in it")
    } else {
        Ok(Secret::new(key))
    }
}
