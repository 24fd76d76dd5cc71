//! What is remembered of a profile across restarts and between processes.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::id::{LimitClass, OrganizationId, WorkspaceId};
use crate::limits::Timestamp;

/// The health of a profile. `None` is "never"; a date that is past ended by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// When it was last granted.
    pub last_used: Option<Timestamp>,
    /// The organisation that answers for it.
    pub organization: Option<OrganizationId>,
    /// The workspace that keeps its prompt cache.
    pub workspace: Option<WorkspaceId>,
    /// Why it last failed: a [`crate::failure::Failure::label`].
    pub last_error: Option<String>,
    /// The end of its last window as a whole that is not about money.
    pub cooldown_until: Option<Timestamp>,
    /// Steps of the cooldown ladder that it has climbed as a whole.
    pub error_count: u32,
    /// The end of the window after its last billing failure.
    pub disabled_until: Option<Timestamp>,
    /// Steps of the billing ladder that it has climbed.
    pub billing_error_count: u32,
    /// When it last failed for want of money.
    pub last_billing_failure: Option<Timestamp>,
    /// When its credential was refused; until it is tested or replaced, that is, cleared.
    pub revoked_at: Option<Timestamp>,
    /// When its windows were last ended by hand: what was known before is forgotten.
    pub cleared_at: Option<Timestamp>,
    /// When an operator took it out of use.
    pub held_at: Option<Timestamp>,
    /// When an operator gave it back; the later of the two holds.
    pub released_at: Option<Timestamp>,
    /// What is known for each class of models.
    pub classes: BTreeMap<LimitClass, ClassHealth>,
}

/// The health of a profile for one class of models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassHealth {
    /// The end of its last window after a rate limit.
    pub cooldown_until: Option<Timestamp>,
    /// Steps of the cooldown ladder.
    pub error_count: u32,
    /// Since when the class is forbidden to it.
    pub blocked_at: Option<Timestamp>,
}

impl Health {
    /// Whether an operator has taken it out of use.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held_at.is_some() && self.held_at >= self.released_at
    }

    /// What two processes know together: deadlines by maximum, but nothing that the other has
    /// cleared since.
    #[must_use]
    pub fn merge(mut self, mut other: Self) -> Self {
        match self.cleared_at.cmp(&other.cleared_at) {
            Ordering::Less => self.forget_windows(),
            Ordering::Greater => other.forget_windows(),
            Ordering::Equal => {}
        }
        let other_is_newer =
            (other.last_used, &other.last_error, &other.organization, &other.workspace)
                > (self.last_used, &self.last_error, &self.organization, &self.workspace);
        let (newer, older) = if other_is_newer { (other, self) } else { (self, other) };
        let billing = |health: &Self| (health.last_billing_failure, health.billing_error_count);
        let (last_billing_failure, billing_error_count) = billing(&newer).max(billing(&older));
        let window = |health: &Self| (health.cooldown_until, health.error_count);
        let (cooldown_until, error_count) = later(window(&newer), window(&older));
        let mut classes = newer.classes;
        for (class, known) in older.classes {
            let own = classes.entry(class).or_insert(known);
            *own = own.merge(known);
        }
        Self {
            last_used: newer.last_used,
            organization: newer.organization.or(older.organization),
            workspace: newer.workspace.or(older.workspace),
            last_error: newer.last_error.or(older.last_error),
            cooldown_until,
            error_count,
            disabled_until: newer.disabled_until.max(older.disabled_until),
            billing_error_count,
            last_billing_failure,
            revoked_at: newer.revoked_at.max(older.revoked_at),
            cleared_at: newer.cleared_at.max(older.cleared_at),
            held_at: newer.held_at.max(older.held_at),
            released_at: newer.released_at.max(older.released_at),
            classes,
        }
    }

    /// Ends every window by hand.
    pub fn clear(&mut self, now: Timestamp) {
        self.forget_windows();
        self.cleared_at = self.cleared_at.max(Some(now));
    }

    fn forget_windows(&mut self) {
        self.last_error = None;
        self.cooldown_until = None;
        self.error_count = 0;
        self.disabled_until = None;
        self.billing_error_count = 0;
        self.last_billing_failure = None;
        self.revoked_at = None;
        self.classes.clear();
    }
}

impl ClassHealth {
    fn merge(self, other: Self) -> Self {
        let window = |health: Self| (health.cooldown_until, health.error_count);
        let (cooldown_until, error_count) = later(window(self), window(other));
        Self { cooldown_until, error_count, blocked_at: self.blocked_at.max(other.blocked_at) }
    }
}

/// The later window with its steps; of the same window the lower count, as a success since then
/// has set it back.
fn later(a: (Option<Timestamp>, u32), b: (Option<Timestamp>, u32)) -> (Option<Timestamp>, u32) {
    match a.0.cmp(&b.0) {
        Ordering::Greater => a,
        Ordering::Less => b,
        Ordering::Equal => (a.0, a.1.min(b.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn time() -> impl Strategy<Value = Option<Timestamp>> {
        prop::option::of((0..6_i64).prop_map(at))
    }

    fn class_health() -> impl Strategy<Value = ClassHealth> {
        (time(), 0..3_u32, time()).prop_map(|(cooldown_until, error_count, blocked_at)| {
            ClassHealth { cooldown_until, error_count, blocked_at }
        })
    }

    prop_compose! {
        fn health()(
            last_used in time(),
            names in (prop::option::of("[ab]"), prop::option::of("[ab]"), prop::option::of("[ab]")),
            whole in (time(), 0..3_u32, time(), 0..3_u32, time()),
            by_hand in (time(), time(), time(), time()),
            classes in prop::collection::btree_map("[ab]", class_health(), 0..3),
        ) -> Health {
            let (organization, workspace, last_error) = names;
            let (cooldown_until, error_count, disabled_until, billing_error_count, last_billing_failure) = whole;
            let (revoked_at, cleared_at, held_at, released_at) = by_hand;
            Health {
                last_used,
                organization: organization.map(Into::into),
                workspace: workspace.map(Into::into),
                last_error,
                cooldown_until,
                error_count,
                disabled_until,
                billing_error_count,
                last_billing_failure,
                revoked_at,
                cleared_at,
                held_at,
                released_at,
                classes: classes.into_iter().map(|(class, health)| (class.into(), health)).collect(),
            }
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_who_merges_with_whom_and_how_often(a in health(), b in health()) {
            let merged = a.clone().merge(b.clone());
            prop_assert_eq!(&merged, &b.clone().merge(a.clone()));
            prop_assert_eq!(&merged, &merged.clone().merge(a));
            prop_assert_eq!(&merged, &merged.clone().merge(b));
        }

        #[test]
        fn nothing_is_forgotten_but_what_was_cleared(a in health(), b in health()) {
            let merged = a.clone().merge(b.clone());
            for one in [a, b] {
                prop_assert!(merged.last_used >= one.last_used);
                prop_assert!(merged.held_at >= one.held_at);
                if one.cleared_at == merged.cleared_at {
                    prop_assert!(merged.cooldown_until >= one.cooldown_until);
                    prop_assert!(merged.disabled_until >= one.disabled_until);
                    prop_assert!(merged.revoked_at >= one.revoked_at);
                    for (class, known) in &one.classes {
                        prop_assert!(merged.classes[class].cooldown_until >= known.cooldown_until);
                    }
                }
            }
        }

        #[test]
        fn what_was_cleared_stays_cleared_whoever_still_remembers_it(known in health()) {
            let mut cleared = known.clone();
            cleared.clear(at(9));
            let merged = cleared.merge(known);
            prop_assert_eq!(merged.cooldown_until, None);
            prop_assert_eq!(merged.disabled_until, None);
            prop_assert_eq!(merged.revoked_at, None);
            prop_assert!(merged.classes.is_empty());
        }
    }

    #[test]
    fn the_later_word_of_the_operator_holds() {
        let mut health = Health::default();
        assert!(!health.is_held());
        health.held_at = Some(at(1));
        assert!(health.is_held());
        health.released_at = Some(at(2));
        assert!(!health.is_held());
        health.held_at = Some(at(3));
        assert!(health.is_held());
    }
}
