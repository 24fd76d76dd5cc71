//! From a profile on the roster to one that can be leased.

use std::collections::BTreeMap;
use std::sync::Arc;

use polpo_agents::signer::Signing;
use polpo_agents::token::{TokenKeeper, Vault};
use polpo_store::profiles::Stored;
use polpo_upstream::credential::Credential;
use polpo_upstream::http::HttpTransport;
use polpo_upstream::oauth::{OAuthClient, OAuthSettings, split_url};
use polpo_upstream::transport::Transport;

use super::{Mark, Means, Member, Roster};
use crate::exit::Stop;
use crate::wiring::Outlet;

/// Makes the way to a base URL.
pub type Connect = Arc<dyn Fn(&str) -> Result<Arc<dyn Transport>, Stop> + Send + Sync>;

/// What outlets are made with.
pub struct Supply {
    vault: Vault,
    connect: Connect,
    /// What calls are marked with.
    mark: Option<Mark>,
    /// The ways to the login servers, by origin.
    logins: BTreeMap<String, Arc<dyn Transport>>,
}

/// Makes ways over HTTP.
#[must_use]
pub fn over_http() -> Connect {
    Arc::new(|url| Ok(Arc::new(HttpTransport::new(url).map_err(Stop::usage)?)))
}

/// The same for calls from a server's workers, which are a runtime each.
#[must_use]
pub fn over_http_of_workers() -> Connect {
    Arc::new(|url| Ok(Arc::new(HttpTransport::of_threads(url).map_err(Stop::usage)?)))
}

impl Supply {
    /// Outlets whose tokens are in `vault`, and whose calls are marked if they are a gateway's.
    #[must_use]
    pub const fn new(vault: Vault, connect: Connect, mark: Option<Mark>) -> Self {
        Self { vault, connect, mark, logins: BTreeMap::new() }
    }

    /// Every profile of the roster.
    ///
    /// # Errors
    /// When a credential cannot be sent, or TLS cannot be set up.
    pub fn outlets(&mut self, roster: &Roster) -> Result<Vec<Outlet>, Stop> {
        roster.members.iter().map(|member| self.outlet(member, roster)).collect()
    }

    pub(super) fn outlet(&mut self, member: &Member, roster: &Roster) -> Result<Outlet, Stop> {
        let signing = match (&member.means, roster.stored.get(&member.id)) {
            (Means::Key(key), _) => Credential::api_key(key.expose())
                .map(Signing::Key)
                .map_err(|error| Stop::usage(format!("profile {}: {error}", member.id)))?,
            (Means::Login(oauth), Some(stored)) => self.login(stored, oauth.as_ref())?,
            (Means::Login(_), None) => {
                return Err(Stop::usage(format!("profile {} is not stored", member.id)));
            }
        };
        let way = (self.connect)(&member.base_url)?;
        Ok(Outlet {
            id: member.id.clone(),
            provider: member.provider.clone(),
            signing,
            transport: match &self.mark {
                Some(mark) => mark.on(&member.base_url, way),
                None => way,
            },
            slots: member.slots,
            health: roster.health.get(&member.id).cloned().unwrap_or_default(),
        })
    }

    fn login(&mut self, stored: &Stored, oauth: Option<&OAuthSettings>) -> Result<Signing, Stop> {
        let client = oauth.map(|oauth| self.client(oauth)).transpose()?;
        let headers = oauth.map(|oauth| oauth.call_headers.clone()).unwrap_or_default();
        let keeper = TokenKeeper::new(stored.clone(), client, headers, self.vault.clone())
            .map_err(|error| Stop::usage(format!("profile {}: {error}", stored.id)))?;
        Ok(Signing::Token(Arc::new(keeper)))
    }

    fn client(&mut self, oauth: &OAuthSettings) -> Result<OAuthClient, Stop> {
        let (origin, _) = split_url(&oauth.token_url).map_err(Stop::usage)?;
        let transport = match self.logins.get(&origin) {
            Some(transport) => transport.clone(),
            None => {
                let transport = (self.connect)(&origin)?;
                self.logins.insert(origin, transport.clone());
                transport
            }
        };
        Ok(OAuthClient::new(oauth.clone(), transport))
    }
}
