//! Profile ids as metrics show them: metrics travel further than the machine they are made on.

use std::sync::Arc;

use dashmap::DashMap;
use sha2::{Digest, Sha256};

/// The names under which profiles are shown, worked out once for each.
#[derive(Debug)]
pub(crate) struct Names {
    show_all: bool,
    shown: DashMap<Arc<str>, Arc<str>>,
}

impl Names {
    pub(crate) fn new(show_all: bool) -> Self {
        Self { show_all, shown: DashMap::new() }
    }

    /// The name to show for a profile id.
    pub(crate) fn shown(&self, id: &str) -> Arc<str> {
        if let Some(known) = self.shown.get(id) {
            return Arc::clone(&known);
        }
        let shown = if self.show_all { id.into() } else { masked(id) };
        self.shown.insert(id.into(), Arc::clone(&shown));
        shown
    }
}

/// Replaces the local part of an e-mail address by its first letter and four hash characters.
///
/// The hash is of the whole id, and there so that people of one domain stay apart, not for
/// secrecy: who can guess an address can check it.
fn masked(id: &str) -> Arc<str> {
    let (provider, identifier) = match id.split_once(':') {
        Some((provider, identifier)) => (Some(provider), identifier),
        None => (None, id),
    };
    let Some((local, domain)) = identifier.rsplit_once('@') else { return id.into() };
    let initial = local.chars().next().map(String::from).unwrap_or_default();
    let digest = Sha256::digest(id.as_bytes());
    let mask = format!("{initial}…{:02x}{:02x}@{domain}", digest[0], digest[1]);
    provider.map_or_else(|| mask.as_str().into(), |provider| format!("{provider}:{mask}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_part_of_an_address_is_masked_and_nothing_else_is() {
        for (id, shown) in [
            ("anthropic:user@work.com", "anthropic:u…534d@work.com"),
            ("user@work.com", "u…64eb@work.com"),
            ("anthropic:@work.com", "anthropic:…9ea2@work.com"),
            ("anthropic:élan@x@work.com", "anthropic:é…e2be@work.com"),
            ("anthropic:key-1f0c9a2b", "anthropic:key-1f0c9a2b"),
            ("", ""),
        ] {
            assert_eq!(&*masked(id), shown, "{id}");
        }
    }

    #[test]
    fn people_of_one_domain_with_one_initial_stay_apart() {
        assert_ne!(masked("anthropic:anna@work.com"), masked("anthropic:adam@work.com"));
    }

    #[test]
    fn names_are_shown_whole_only_when_asked_for() {
        let id = "anthropic:user@work.com";
        assert_eq!(&*Names::new(true).shown(id), id);
        let masking = Names::new(false);
        assert!(!masking.shown(id).contains("user"));
        assert!(Arc::ptr_eq(&masking.shown(id), &masking.shown(id)), "worked out once");
    }
}
