//! The token of a profile that somebody logged in for: renewed once, however many ask and in
//! whichever process, and on disk before it is used.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use polpo_policy::failure::Failure;
use polpo_policy::id::{ProfileId, ProviderId};
use polpo_policy::limits::Timestamp;
use polpo_store::profiles::{ProfileFile, ProfileFileError, RefreshLock, Stored, Token};
use polpo_upstream::credential::{Credential, UnusableHeader};
use polpo_upstream::oauth::{OAuthClient, OAuthError};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::clock::Clock;

/// How long a call waits for a token: another process may take as long as a request to the login
/// server may, 30 seconds, and then we.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the tokens of a process are kept, and whether any is being renewed.
#[derive(Clone, Debug)]
pub struct Vault {
    file: ProfileFile,
    clock: Clock,
    renewing: Arc<watch::Sender<()>>,
    /// Where tokens are renewed: whoever asks for one may be on a runtime that ends sooner.
    runtime: Handle,
}

/// Holds the token of one profile.
pub struct TokenKeeper {
    profile: ProfileId,
    provider: ProviderId,
    client: Option<OAuthClient>,
    call_headers: Vec<(String, String)>,
    vault: Vault,
    state: Mutex<State>,
}

/// Why a call cannot be signed; it was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    /// What that means for the profile.
    pub failure: Failure,
    /// What is wrong and what to do, without secrets.
    pub message: String,
}

type Signature = Result<Arc<Credential>, Unsigned>;

struct State {
    access: String,
    expires: Option<Timestamp>,
    credential: Arc<Credential>,
    /// A token that could not be written, and the refresh token that it was got for.
    unsaved: Option<(String, Token)>,
    renewal: Option<Shared<BoxFuture<'static, Signature>>>,
}

/// What the file says once nobody else renews the token.
struct Found {
    stored: Stored,
    _lock: RefreshLock,
}

impl Vault {
    /// The tokens of `file`, which are renewed on the runtime that this is called on.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[must_use]
    pub fn new(file: ProfileFile, clock: Clock) -> Self {
        let runtime = Handle::current();
        Self { file, clock, renewing: Arc::new(watch::Sender::new(())), runtime }
    }

    /// Waits until no token is being renewed, as far as there is patience: one that was issued and
    /// not written is lost.
    pub async fn settled(&self) {
        let _ = timeout(PATIENCE, self.renewing.closed()).await;
    }
}

impl TokenKeeper {
    /// Keeps a stored token, which `client`, if there is one, renews; `call_headers` go with it.
    ///
    /// # Errors
    /// When the token or one of the headers cannot be sent.
    pub fn new(
        stored: Stored,
        client: Option<OAuthClient>,
        call_headers: Vec<(String, String)>,
        vault: Vault,
    ) -> Result<Self, UnusableHeader> {
        let credential = Arc::new(Credential::oauth(&stored.access, &call_headers)?);
        let (access, expires) = (stored.access, stored.expires);
        let state = State { access, expires, credential, unsaved: None, renewal: None };
        let (profile, provider) = (stored.id, stored.provider);
        Ok(Self { profile, provider, client, call_headers, vault, state: Mutex::new(state) })
    }

    /// What is signed with now, fresh or not.
    pub(crate) fn held(&self) -> Arc<Credential> {
        self.lock().credential.clone()
    }

    /// What to sign a call with; a token that has expired is renewed first.
    ///
    /// # Errors
    /// When there is no token to be had.
    pub async fn credential(self: &Arc<Self>) -> Signature {
        self.obtain(None).await
    }

    /// What to sign a call with after upstream has refused `used`: a newer token.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn rejected(self: &Arc<Self>, used: &Arc<Credential>) -> Signature {
        self.obtain(Some(used)).await
    }

    async fn obtain(self: &Arc<Self>, refused: Option<&Arc<Credential>>) -> Signature {
        let renewal = {
            let mut state = self.lock();
            let is_refused = refused.is_some_and(|used| Arc::ptr_eq(used, &state.credential));
            if !is_refused && is_fresh(state.expires, self.vault.clock.now()) {
                return Ok(state.credential.clone());
            }
            state.renewal.get_or_insert_with(|| self.begin(is_refused)).clone()
        };
        let late = || self.not_now("another process has not finished renewing it");
        timeout(PATIENCE, renewal).await.unwrap_or_else(|_| Err(late()))
    }

    /// Begins to renew the token, in a task of its own: whoever waits for it may go away.
    fn begin(self: &Arc<Self>, is_refused: bool) -> Shared<BoxFuture<'static, Signature>> {
        let (this, under_way) = (self.clone(), self.vault.renewing.subscribe());
        let work = async move {
            let renewed = AssertUnwindSafe(this.renew(is_refused)).catch_unwind().await;
            let renewed = renewed.unwrap_or_else(|_| Err(this.not_now("polpo failed")));
            if let Err(unsigned) = &renewed {
                tracing::warn!("{}", unsigned.message);
            }
            this.lock().renewal = None;
            drop(under_way);
            renewed
        };
        let task = self.vault.runtime.spawn(work); // The vault is waited for at the end.
        let ended = self.not_now("the program ends");
        task.map(|joined| joined.unwrap_or(Err(ended))).boxed().shared()
    }

    async fn renew(self: &Arc<Self>, is_refused: bool) -> Signature {
        let found = self.on_disk(Self::look).await?;
        let stored = &found.as_ref().ok_or_else(|| self.gone())?.stored;
        let now = self.vault.clock.now();
        let known = self.lock().access.clone();
        if is_fresh(stored.expires, now) && (!is_refused || stored.access != known) {
            tracing::info!(profile = %self.profile, "token taken over from another process");
            return self.adopt(&stored.access, stored.expires);
        }
        let refresh = stored.refresh.clone().ok_or_else(|| {
            self.login_over(if is_refused { "it was refused" } else { "it has expired" })
        })?;
        let unsaved = self.lock().unsaved.take();
        let token = match unsaved.filter(|(used, _)| *used == refresh) {
            Some((_, token)) => token,
            None => self.ask(&refresh, now).await?,
        };
        self.lock().unsaved = Some((refresh, token.clone()));
        let (access, expires) = (token.access.clone(), token.expires);
        let was_there =
            self.on_disk(move |this| this.vault.file.update_token(&this.profile, &token)).await?;
        self.lock().unsaved = None;
        if !was_there {
            return Err(self.gone());
        }
        tracing::info!(profile = %self.profile, "token renewed");
        self.adopt(&access, expires)
    }

    /// Waits for other processes, and reads what they left.
    fn look(&self) -> Result<Option<Found>, ProfileFileError> {
        let lock = self.vault.file.lock_refresh(&self.profile)?;
        let stored = self.vault.file.read()?.profiles.into_iter();
        let own = stored.into_iter().find(|stored| stored.id == self.profile);
        Ok(own.map(|stored| Found { stored, _lock: lock }))
    }

    async fn ask(&self, refresh: &str, now: Timestamp) -> Result<Token, Unsigned> {
        let missing = || {
            let provider = &self.provider;
            self.not_now(&format!("polpo.json says nothing under providers.{provider}.oauth"))
        };
        let client = self.client.as_ref().ok_or_else(missing)?;
        let grant = client.refresh(refresh, now).await.map_err(|error| self.refused(&error))?;
        let expires = Some(grant.expires);
        Ok(Token { access: grant.access, refresh: grant.refresh, expires })
    }

    fn adopt(&self, access: &str, expires: Option<Timestamp>) -> Signature {
        let credential = Credential::oauth(access, &self.call_headers);
        let credential = credential.map_err(|error| self.not_now(&error.to_string()))?;
        let credential = Arc::new(credential);
        let mut state = self.lock();
        (state.access, state.expires) = (access.to_owned(), expires);
        state.credential = credential.clone();
        Ok(credential)
    }

    /// Does what blocks where it may.
    async fn on_disk<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ProfileFileError> + Send + 'static,
    ) -> Result<T, Unsigned> {
        let this = self.clone();
        let done = spawn_blocking(move || work(&this)).await;
        let done = done.map_err(|_| self.not_now("polpo failed at the profile file"))?;
        done.map_err(|error| self.not_now(&error.to_string()))
    }

    fn refused(&self, error: &OAuthError) -> Unsigned {
        if error.is_final() {
            return self.login_over(&error.to_string());
        }
        let now = self.vault.clock.now();
        let until = match error {
            // A date that is past promises nothing.
            OAuthError::Limited { until } => until.filter(|until| *until > now),
            OAuthError::Refused { .. }
            | OAuthError::Unreachable(_)
            | OAuthError::Faulty { .. }
            | OAuthError::NotBearer
            | OAuthError::Url(_)
            | OAuthError::Header(_) => None,
        };
        let failure = Failure::Unrefreshed { until };
        Unsigned { failure, ..self.not_now(&error.to_string()) }
    }

    fn not_now(&self, why: &str) -> Unsigned {
        let message = format!("the token of profile {} could not be renewed: {why}", self.profile);
        Unsigned { failure: Failure::Unrefreshed { until: None }, message }
    }

    fn login_over(&self, why: &str) -> Unsigned {
        let Self { profile, provider, .. } = self;
        let message = format!(
            "the login of profile {profile} is over: {why}; log in again with \
             `polpo auth login {provider}`"
        );
        Unsigned { failure: Failure::Revoked, message }
    }

    fn gone(&self) -> Unsigned {
        self.login_over("it was removed")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_fresh(expires: Option<Timestamp>, now: Timestamp) -> bool {
    expires.is_none_or(|expires| now < expires)
}

impl fmt::Debug for TokenKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeeper").field("profile", &self.profile).finish_non_exhaustive()
    }
}
