//! Signing in, as the scenario writes it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::Account;
use super::file::{Misplaced, within};
use crate::oauth::{Config, Terms};

/// How signing in works.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct OAuthEntry {
    client_id: String,
    redirect_uris: Vec<String>,
    access_token_seconds: u64,
    refresh_token_seconds: u64,
    rotates_refresh_tokens: bool,
    /// By rule, the account whose token a workload gets.
    federation_rules: BTreeMap<String, String>,
}

impl Default for OAuthEntry {
    fn default() -> Self {
        let Config { client_id, redirect_uris, terms, .. } = Config::default();
        Self {
            client_id,
            redirect_uris,
            access_token_seconds: terms.access_lifetime.as_secs(),
            refresh_token_seconds: terms.refresh_lifetime.as_secs(),
            rotates_refresh_tokens: terms.rotates,
            federation_rules: BTreeMap::new(),
        }
    }
}

/// No token lives longer than ten years.
const MAX_SECONDS: f64 = 315_360_000.0;

impl OAuthEntry {
    pub(super) fn check(self, accounts: &[Account]) -> Result<Config, Misplaced> {
        let lifetime = |name: &str, seconds: u64| {
            #[expect(clippy::cast_precision_loss, reason = "compared with a small number")]
            within(&format!("oauth.{name}"), seconds as f64, 1.0, MAX_SECONDS)?;
            Ok::<_, Misplaced>(Duration::from_secs(seconds))
        };
        let terms = Terms {
            access_lifetime: lifetime("accessTokenSeconds", self.access_token_seconds)?,
            refresh_lifetime: lifetime("refreshTokenSeconds", self.refresh_token_seconds)?,
            rotates: self.rotates_refresh_tokens,
        };
        let rule = |(rule, name): (String, String)| -> Result<_, Misplaced> {
            let index = accounts.iter().position(|account| account.name == name);
            let misplaced =
                || (format!("oauth.federationRules.{rule}"), format!("`{name}` is no account"));
            Ok((rule.clone(), index.ok_or_else(misplaced)?))
        };
        Ok(Config {
            client_id: self.client_id,
            redirect_uris: self.redirect_uris,
            federation_rules: self
                .federation_rules
                .into_iter()
                .map(rule)
                .collect::<Result<_, _>>()?,
            terms,
        })
    }
}
