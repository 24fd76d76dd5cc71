//! Notices client keys that are added, revoked or changed while the gateway runs.

use std::sync::Arc;
use std::time::Duration;

use polpo_policy::id::KeyName;
use polpo_policy::limits::Timestamp;
use polpo_policy::quota::Spent;
use polpo_store::disk::Stamp;
use polpo_store::keys::KeyFile;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::{ClientKeys, KeySet};
use crate::config::{Accounts, Config, load};
use crate::exit::Stop;

/// How often it is looked: whoever has typed a command tries the key after about as long, and
/// reading two small files costs nothing beside one call.
const EVERY: Duration = Duration::from_secs(2);

/// Where client keys are written down.
#[derive(Clone, Debug)]
pub struct Source {
    /// The configuration.
    pub config: Config,
    /// Whose accounts it was read for.
    pub accounts: Accounts,
    /// The environment.
    pub env: fn(&str) -> Option<String>,
    /// The key file.
    pub file: KeyFile,
}

/// Watches polpo.json, the files of keys that it names, and the key file.
#[derive(Debug)]
pub struct Watch {
    source: Source,
    keys: Arc<ClientKeys>,
    /// The state of the key file when it was last read.
    stamp: Option<Stamp>,
    /// What was odd about the keys then.
    warnings: Vec<String>,
    /// What was wrong the last time.
    pub(super) complaint: Option<String>,
}

impl Watch {
    /// Reads the keys, which have `spent` so much by `now`, and what watches them. What is odd about
    /// them is logged.
    ///
    /// # Errors
    /// When the key file cannot be read.
    pub fn begin(
        source: Source,
        spent: impl IntoIterator<Item = (KeyName, Spent)>,
        now: Timestamp,
    ) -> Result<(Arc<ClientKeys>, Self), Stop> {
        // Before the file is read: what changes meanwhile is noticed.
        let stamp = source.file.stamp();
        let set = KeySet::gather(&source.config.gateway, &source.file).map_err(Stop::usage)?;
        set.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let warnings = set.warnings.clone();
        let keys = Arc::new(ClientKeys::new(set, spent, now));
        Ok((keys.clone(), Self { source, keys, stamp, warnings, complaint: None }))
    }

    /// Replaces the keys at every change, for as long as it is polled.
    pub async fn keep(mut self) {
        loop {
            sleep(EVERY).await;
            let looking = spawn_blocking(move || {
                self.look();
                self
            });
            // It only ever fails if it panics, or the program ends.
            let Ok(this) = looking.await else { return std::future::pending().await };
            self = this;
        }
    }

    /// Looks once.
    pub(super) fn look(&mut self) {
        match self.changed() {
            Ok(set) => {
                self.complaint = None;
                if let Some(set) = set {
                    self.follow(set);
                }
            }
            Err(stop) => self.complain(stop.message),
        }
    }

    /// The keys there are now, if anything may have changed.
    fn changed(&mut self) -> Result<Option<KeySet>, Stop> {
        let Source { config, accounts, env, file } = &self.source;
        let config = match &config.origin {
            Some(path) => load(Some(path), *accounts, env).map_err(Stop::usage)?,
            None => config.clone(),
        };
        let stamp = file.stamp();
        if stamp == self.stamp && config.gateway == self.source.config.gateway {
            return Ok(None);
        }
        let set = KeySet::gather(&config.gateway, file).map_err(Stop::usage)?;
        (self.source.config, self.stamp) = (config, stamp);
        Ok(Some(set))
    }

    fn follow(&mut self, set: KeySet) {
        for warning in set.warnings.iter().filter(|warning| !self.warnings.contains(warning)) {
            tracing::warn!("{warning}");
        }
        self.warnings.clone_from(&set.warnings);
        self.keys.replace(set);
        tracing::info!("client keys changed");
    }

    fn complain(&mut self, complaint: String) {
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::warn!("client keys stay as they were: {complaint}");
        }
        self.complaint = Some(complaint);
    }
}
