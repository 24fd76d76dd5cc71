//! Whom the gateway serves: the client keys of polpo.json and of the key file, and what they use.

mod set;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::{Arc, PoisonError, RwLock};

use chrono::NaiveTime;
use dashmap::DashMap;
use polpo_policy::id::KeyName;
use polpo_policy::limits::Timestamp;
use polpo_policy::price::Nanodollars;
use polpo_policy::quota::{
    Admission, Allowance, Breach, Demand, Limits, Money, Quota, Spent, Used,
};
use polpo_store::journal::{Journal, KeySpent};

use crate::config::Allowlist;
use crate::exit::Stop;

pub use set::KeySet;
pub(crate) use set::hash;
pub use watch::{Source, Watch};

/// A client of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKey {
    /// Its name.
    pub name: KeyName,
    /// What it may use.
    pub limits: Limits,
    /// The models it may ask for; `None` = all.
    pub models: Option<Allowlist>,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// Why a key is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Nobody has it.
    Unknown,
    /// It has ended.
    Expired,
    /// It was taken back.
    Revoked,
}

/// The client keys that are good now, and what each has used. What was used stays with the name,
/// whatever becomes of the key.
#[derive(Debug)]
pub struct ClientKeys {
    set: RwLock<Arc<KeySet>>,
    quotas: DashMap<KeyName, Quota>,
}

impl ClientKeys {
    /// These keys, which have `spent` so much by `now`.
    #[must_use]
    pub fn new(
        set: KeySet,
        spent: impl IntoIterator<Item = (KeyName, Spent)>,
        now: Timestamp,
    ) -> Self {
        let quotas = spent.into_iter().map(|(name, spent)| (name, Quota::new(spent, now)));
        Self { set: RwLock::new(Arc::new(set)), quotas: quotas.collect() }
    }

    /// The client that shows this key.
    ///
    /// # Errors
    /// When the key is not good at `now`.
    pub fn find(&self, presented: &[u8], now: Timestamp) -> Result<Arc<ClientKey>, Denied> {
        self.set().find(presented, now)
    }

    /// Whether this is the admin key.
    #[must_use]
    pub fn is_admin(&self, presented: &[u8]) -> bool {
        self.set().is_admin(presented)
    }

    /// Whether there is an admin key.
    #[must_use]
    pub fn has_admin(&self) -> bool {
        self.set().has_admin()
    }

    /// Whether no key was ever configured while this process ran, so that any is taken. Keys that
    /// have ended or were revoked count.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.set().is_open()
    }

    /// Lets a request in, as [`Quota::admit`] does.
    ///
    /// # Errors
    /// When it does not fit in one of the key's limits.
    pub fn admit(
        &self,
        key: &ClientKey,
        now: Timestamp,
        demand: &Demand,
    ) -> Result<Admission, Breach> {
        self.with(&key.name, now, |quota| quota.admit(now, &key.limits, demand))
    }

    /// Lets in a request that costs nothing, as [`Quota::count`] does.
    ///
    /// # Errors
    /// When it is one too many in a minute.
    pub fn count(&self, key: &ClientKey, now: Timestamp) -> Result<(), Breach> {
        self.with(&key.name, now, |quota| quota.count(now, &key.limits))
    }

    /// Lets in a request whose money is held, as [`Quota::hold`] does.
    ///
    /// # Errors
    /// When it does not fit in one of the key's limits.
    pub fn hold(
        &self,
        key: &ClientKey,
        now: Timestamp,
        cost: Option<Nanodollars>,
    ) -> Result<Nanodollars, Breach> {
        self.with(&key.name, now, |quota| quota.hold(now, &key.limits, cost))
    }

    /// Ends what was held, as [`Quota::release`] does.
    pub fn release(&self, name: &KeyName, now: Timestamp, held: Nanodollars, cost: Nanodollars) {
        self.with(name, now, |quota| quota.release(now, held, cost));
    }

    /// Ends a request that was admitted, as [`Quota::settle`] does.
    pub fn settle(&self, name: &KeyName, now: Timestamp, admission: Admission, used: Used) {
        self.with(name, now, |quota| quota.settle(now, admission, used));
    }

    /// How many requests a key may make.
    #[must_use]
    pub fn allowance(&self, key: &ClientKey, now: Timestamp) -> Allowance {
        self.with(&key.name, now, |quota| quota.allowance(now, &key.limits))
    }

    /// What a key has spent and reserved.
    #[must_use]
    pub fn money(&self, name: &KeyName, now: Timestamp) -> Money {
        self.with(name, now, |quota| quota.money(now))
    }

    /// The keys that are good now, in order of their names.
    #[must_use]
    pub fn listed(&self, now: Timestamp) -> Vec<Arc<ClientKey>> {
        self.set().listed(now)
    }

    fn set(&self) -> Arc<KeySet> {
        self.set.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the keys. A gateway that has had keys is not opened by their loss.
    fn replace(&self, set: KeySet) {
        let mut current = self.set.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(set.after(&current));
    }

    fn with<T>(&self, name: &KeyName, now: Timestamp, act: impl FnOnce(&mut Quota) -> T) -> T {
        let quota = self.quotas.entry(name.clone());
        act(&mut quota.or_insert_with(|| Quota::new(Spent::default(), now)))
    }
}

/// What each client key has spent, as the journal knows it.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn spent(
    journal: &dyn Journal,
    is_simulated: bool,
    now: Timestamp,
) -> Result<Vec<(KeyName, Spent)>, Stop> {
    let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    let spent = journal.spent(is_simulated, midnight).await.map_err(Stop::not_written)?;
    let of = |it: &KeySpent| Spent { today: it.today, total: it.total, held: it.reserved };
    let each = spent.into_iter().map(|it| (it.key.clone(), of(&it)));
    Ok(each.collect())
}
