//! Which profiles there are: the keys of polpo.json and of the environment, and what is stored.

mod mark;
mod supplied;
mod supply;
mod watch;

use std::collections::BTreeMap;

use polpo_policy::health::Health;
use polpo_policy::id::{ProfileId, ProviderId};
use polpo_policy::limits::Timestamp;
use polpo_store::profiles::{Kind, ProfileFile, Stored};
use polpo_upstream::oauth::OAuthSettings;

use crate::config::{Config, Env, Found, FoundSecret, Secret, resolve_credentials};
use crate::exit::Stop;

pub use mark::Mark;
pub use supplied::Supplied;
pub use supply::{Connect, Supply, over_http, over_http_of_workers};
pub use watch::Watch;

/// The profiles there are, and what is remembered of them.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// The profiles that can be used, those of a provider together.
    pub members: Vec<Member>,
    /// What is remembered, also of others.
    pub health: BTreeMap<ProfileId, Health>,
    /// What the user should know, a sentence each.
    pub warnings: Vec<String>,
    /// The stored credentials of members.
    stored: BTreeMap<ProfileId, Stored>,
    /// When the first of them can no longer be used.
    next_end: Option<Timestamp>,
}

/// A profile that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub id: ProfileId,
    /// Its provider.
    pub provider: ProviderId,
    /// Where the provider is reached.
    pub base_url: String,
    /// How many requests it may serve at once; `None` = as many as run.
    pub slots: Option<u32>,
    /// What it signs with.
    pub means: Means,
}

/// What a profile signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// A key.
    Key(Secret),
    /// The stored token, and how it is renewed, if polpo.json says so. Which token is no part of
    /// it, as each renewal brings another one.
    Login(Option<OAuthSettings>),
}

impl Roster {
    /// Finds the profiles that can be used at `now`.
    ///
    /// # Errors
    /// When the profile file cannot be read, or a variable is not what it should be.
    pub fn find(
        config: &Config,
        file: &ProfileFile,
        env: Env<'_>,
        now: Timestamp,
    ) -> Result<Self, Stop> {
        let contents = file.read().map_err(Stop::usage)?;
        let stored = contents.profiles.iter();
        let ids: Vec<_> = stored.map(|it| (it.id.clone(), it.provider.clone())).collect();
        let found = resolve_credentials(config, &ids, env).map_err(Stop::usage)?;
        let mut roster = Self {
            health: contents.health,
            warnings: [contents.warnings, found.warnings].concat(),
            ..Self::default()
        };
        let mut stored: BTreeMap<_, _> =
            contents.profiles.into_iter().map(|it| (it.id.clone(), it)).collect();
        for Found { id, provider, secret, base_url, max_concurrency: slots } in found.profiles {
            let means = match (secret, stored.remove(&id)) {
                (FoundSecret::Key(key), _) => Some(Means::Key(key)),
                (FoundSecret::Stored, Some(stored)) => {
                    roster.means(stored, config.oauth(&provider), now)
                }
                (FoundSecret::Stored, None) => None, // Every stored one comes from this file.
            };
            if let Some(means) = means {
                roster.members.push(Member { id, provider, base_url, slots, means });
            }
        }
        Ok(roster)
    }

    /// What a stored profile signs with, if it can.
    fn means(
        &mut self,
        stored: Stored,
        oauth: Option<&OAuthSettings>,
        now: Timestamp,
    ) -> Option<Means> {
        if stored.kind == Kind::ApiKey {
            return Some(Means::Key(Secret::new(stored.access)));
        }
        let Stored { id, provider, expires, .. } = &stored;
        let advice = if stored.refresh.is_none() {
            format!("cannot be renewed; log in again with `polpo auth login {provider}`")
        } else if oauth.is_none() {
            format!("polpo.json does not say how to renew it; add providers.{provider}.oauth")
        } else {
            String::new()
        };
        if let Some(end) = expires.filter(|_| !advice.is_empty()) {
            if end <= now {
                self.warnings
                    .push(format!("profile {id} is not used: it has expired and {advice}"));
                return None;
            }
            self.next_end = Some(self.next_end.map_or(end, |next| next.min(end)));
        }
        self.stored.insert(id.clone(), stored);
        Some(Means::Login(oauth.cloned()))
    }

    /// The profile of this name.
    fn member(&self, id: &ProfileId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == *id)
    }
}
