//! The client keys of one moment, found by their hashes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use polpo_policy::limits::Timestamp;
use polpo_store::keys::{KeyFile, KeyFileError, StoredKey};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{ClientKey, Denied};
use crate::config::{Allowlist, GatewayConfig, KeyConfig};

/// The client keys of polpo.json and of the key file.
#[derive(Debug)]
pub struct KeySet {
    /// By the first bytes of their hashes. Who measures how long a search takes can learn of them
    /// no more than these, which are no help in finding a key.
    entries: HashMap<[u8; 8], Vec<Entry>>,
    admin: Option<Hash>,
    is_open: bool,
    /// What the user should know, a sentence each.
    pub warnings: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    hash: Hash,
    key: Arc<ClientKey>,
    is_revoked: bool,
}

type Hash = [u8; 32];

impl KeySet {
    /// Reads the key file and puts its keys behind those of the configuration, which win.
    ///
    /// # Errors
    /// When the key file cannot be read.
    pub fn gather(config: &GatewayConfig, file: &KeyFile) -> Result<Self, KeyFileError> {
        let contents = file.read()?;
        let mut set = Self {
            entries: HashMap::new(),
            admin: config.admin_key.as_ref().map(|key| hash(key.expose().as_bytes())),
            is_open: config.keys.is_empty() && contents.entries == 0,
            warnings: contents.warnings,
        };
        let mut names = BTreeSet::new();
        for key in &config.keys {
            names.insert(key.name.clone());
            set.insert(hash(key.key.expose().as_bytes()), configured(key), false);
        }
        let (revoked, good): (Vec<_>, Vec<_>) =
            contents.keys.into_iter().partition(|key| key.revoked_at.is_some());
        // Before the good ones: whoever copied an entry has revoked the copy, too.
        for key in revoked {
            set.insert(key.sha256, stored(key), true);
        }
        for key in good {
            if names.insert(key.name.clone()) {
                set.insert(key.sha256, stored(key), false);
                continue;
            }
            let name = &key.name;
            let is_configured = config.keys.iter().any(|other| other.name == *name);
            let place = if is_configured { "polpo.json" } else { "the key file" };
            set.warnings.push(format!(
                "the stored client key {name} is not used: {place} has another one of that name; \
                 revoke one, or rename it"
            ));
        }
        Ok(set)
    }

    /// This set in the place of `before`, which may have closed the gateway.
    pub(super) fn after(mut self, before: &Self) -> Self {
        self.is_open &= before.is_open;
        self
    }

    pub(super) fn find(&self, presented: &[u8], now: Timestamp) -> Result<Arc<ClientKey>, Denied> {
        let hash = hash(presented);
        let near = self.entries.get(&prefix(&hash)).map_or(&[][..], Vec::as_slice);
        let found = near.iter().find(|entry| bool::from(entry.hash.ct_eq(&hash)));
        let Entry { key, is_revoked, .. } = found.ok_or(Denied::Unknown)?;
        if *is_revoked {
            return Err(Denied::Revoked);
        }
        if key.expires.is_some_and(|end| end <= now) {
            return Err(Denied::Expired);
        }
        Ok(key.clone())
    }

    pub(super) const fn has_admin(&self) -> bool {
        self.admin.is_some()
    }

    pub(super) fn is_admin(&self, presented: &[u8]) -> bool {
        self.admin.is_some_and(|admin| admin.ct_eq(&hash(presented)).into())
    }

    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// The keys that are good at `now`, in order of their names.
    pub(super) fn listed(&self, now: Timestamp) -> Vec<Arc<ClientKey>> {
        let good = self.entries.values().flatten().filter(|entry| !entry.is_revoked);
        let good = good.filter(|entry| entry.key.expires.is_none_or(|end| end > now));
        let mut listed: Vec<_> = good.map(|entry| entry.key.clone()).collect();
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        listed
    }

    fn insert(&mut self, hash: Hash, key: ClientKey, is_revoked: bool) {
        let entry = Entry { hash, key: Arc::new(key), is_revoked };
        self.entries.entry(prefix(&hash)).or_default().push(entry);
    }
}

fn configured(key: &KeyConfig) -> ClientKey {
    let KeyConfig { name, limits, models, expires, .. } = key.clone();
    ClientKey { name, limits, models, expires }
}

fn stored(key: StoredKey) -> ClientKey {
    let StoredKey { name, limits, models, expires, .. } = key;
    let models = (!models.is_empty()).then(|| Allowlist::new(models));
    ClientKey { name, limits, models, expires }
}

/// What is kept of a key.
pub(crate) fn hash(key: &[u8]) -> Hash {
    Sha256::digest(key).into()
}

fn prefix(hash: &Hash) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    [a, b, c, d, e, f, g, h]
}
