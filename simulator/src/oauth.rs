//! Signing in: the authorization code flow with PKCE, and the tokens it ends in.
//!
//! A page shows a code for each user, an endpoint takes the code for tokens, and tokens expire,
//! are renewed and revoked.

mod authorize;
mod grants;
mod page;
mod routes;
mod shelf;
mod token;

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use serde_json::json;

use crate::clock::SimTime;
use crate::problem::{Kind, Problem};
use grants::{Grants, Lapse};

/// How signing in works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// The one client there is.
    pub(crate) client_id: String,
    /// Addresses of pages that show a code to copy, beside `/oauth/code/callback` on loopback.
    pub(crate) redirect_uris: Vec<String>,
    /// By the id of a federation rule, the index of the user whose token a workload gets.
    pub(crate) federation_rules: BTreeMap<String, usize>,
    pub(crate) terms: Terms,
}

/// How long tokens hold, in simulated time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) access_lifetime: Duration,
    /// From its issue, used or not.
    pub(crate) refresh_lifetime: Duration,
    /// Whether a refresh token works once and brings the next, or goes on to work.
    pub(crate) rotates: bool,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Default for Config {
    /// A client of this simulator's own. Tokens hold for a working day, logins for a month.
    fn default() -> Self {
        let refresh_lifetime = 30 * 24 * HOUR;
        Self {
            client_id: "polpo-simulator".to_owned(),
            redirect_uris: Vec::new(),
            federation_rules: BTreeMap::new(),
            terms: Terms { access_lifetime: 8 * HOUR, refresh_lifetime, rotates: true },
        }
    }
}

/// Someone who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// The index of the account whose limits and books are used.
    pub(crate) account: usize,
    pub(crate) email: String,
    pub(crate) account_uuid: String,
    pub(crate) organization_uuid: String,
    pub(crate) organization_name: String,
}

/// What a call needs a token for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Inference,
    Profile,
}

/// Scopes that can be asked for; a client that names none gets all.
const SCOPES: [&str; 3] = ["org:create_api_key", "user:profile", "user:inference"];

/// The scope of a workload's token.
const WORKLOAD_SCOPE: &str = "org:service_key_inference";

/// The beta without which the API knows no OAuth token.
const BETA: &str = "oauth-2025-04-20";

/// Who can sign in, and what was issued to them.
#[derive(Debug)]
pub(crate) struct OAuth {
    config: Config,
    users: Vec<User>,
    grants: Grants,
    throttled_until: SimTime,
}

impl OAuth {
    pub(crate) fn new(config: Config, seed: u64, users: Vec<User>) -> Self {
        let grants = Grants::new(seed, config.terms);
        Self { config, users, grants, throttled_until: SimTime::default() }
    }

    /// Whose access token it is, if it holds and reaches as far as is needed.
    pub(crate) fn resolve(
        &self,
        now: SimTime,
        token: &str,
        has_beta: bool,
        need: Need,
    ) -> Result<&User, Problem> {
        let fail = |message: &str| Problem::new(Kind::Authentication, message);
        if !has_beta {
            return Err(fail("OAuth authentication is currently not supported."));
        }
        let token = self.grants.holding(now, token).map_err(|lapse| fail(lapse.message()))?;
        if !token.scope.split(' ').any(|scope| need.is_met_by(scope)) {
            let (message, details) = (need.complaint(), json!({"error_visibility": "user_facing"}));
            return Err(Problem::new(Kind::Permission, message).with_details(details));
        }
        // A token is only ever issued to a user of this list.
        self.users.get(token.user).ok_or_else(|| fail(Lapse::Unknown.message()))
    }

    /// The user of that e-mail address.
    fn user(&self, email: &str) -> Option<usize> {
        self.users.iter().position(|user| user.email.eq_ignore_ascii_case(email))
    }
}

/// Whether a request says that it carries an OAuth token.
pub(crate) fn has_beta(headers: &HeaderMap) -> bool {
    let values = headers.get_all("anthropic-beta").into_iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|beta| beta.trim() == BETA)
}

/// The bearer token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get("authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a credential is an OAuth access token by its looks.
pub(crate) fn is_access_token(credential: &str) -> bool {
    credential.starts_with(grants::ACCESS_PREFIX)
}

impl Need {
    fn is_met_by(self, scope: &str) -> bool {
        match self {
            Self::Inference => ["user:inference", WORKLOAD_SCOPE].contains(&scope),
            Self::Profile => scope == "user:profile",
        }
    }

    const fn complaint(self) -> &'static str {
        match self {
            Self::Inference => {
                "OAuth token does not meet scope requirement any_of(user:inference, \
                 user:ccr_inference, user:voice, org:service_key_inference)"
            }
            Self::Profile => "OAuth token does not meet scope requirement user:profile",
        }
    }
}

impl Lapse {
    const fn message(self) -> &'static str {
        match self {
            Self::Unknown => "Invalid authentication credentials",
            Self::Expired => {
                "OAuth token has expired. Please obtain a new token or refresh your existing token."
            }
            Self::Revoked => "OAuth token has been revoked. Please obtain a new token.",
        }
    }
}

/// The scope that is granted: all of `granted`, or the part of it that was asked for. Says which
/// word is not in it.
fn within(granted: &str, asked: Option<&str>) -> Result<String, String> {
    let Some(asked) = asked.filter(|asked| !asked.trim().is_empty()) else {
        return Ok(granted.to_owned());
    };
    match asked.split_whitespace().find(|word| !granted.split(' ').any(|scope| scope == *word)) {
        Some(word) => Err(format!("scope: `{word}` is not one of: {granted}")),
        None => Ok(asked.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

#[cfg(test)]
mod tests;
