//! How to log in at a provider.

use std::sync::Arc;

use polpo_simulator::Scenario;
use polpo_upstream::oauth::{OAuthClient, OAuthSettings, split_url};

use crate::commands::keyring::Keyring;
use crate::exit::Stop;

/// How to log in at a simulator that listens at `origin`.
pub(super) fn simulated(origin: &str, scenario: &Scenario) -> OAuthSettings {
    OAuthSettings {
        client_id: scenario.client_id().to_owned(),
        authorize_url: format!("{origin}/oauth/authorize"),
        token_url: format!("{origin}/v1/oauth/token"),
        redirect_uri: format!("{origin}/oauth/code/callback"),
        scopes: Vec::new(),
        token_headers: Vec::new(),
        call_headers: vec![("anthropic-beta".to_owned(), "oauth-2025-04-20".to_owned())],
        profile_url: None,
    }
}

/// Who takes codes and refresh tokens to the provider.
///
/// # Errors
/// When a URL cannot be called, or TLS cannot be set up.
pub(super) fn client(keyring: &Keyring, settings: OAuthSettings) -> Result<OAuthClient, Stop> {
    let reach = |url: &str| {
        let (origin, _) = split_url(url).map_err(Stop::usage)?;
        keyring.transport(&origin)
    };
    let token = reach(&settings.token_url)?;
    let profile = match &settings.profile_url {
        Some(url) => reach(url)?,
        None => Arc::clone(&token),
    };
    Ok(OAuthClient::new(settings, token).with_profile(profile))
}
