//! What another process may remember of a profile, as a value that shrinks.

use polpo_policy::health::{ClassHealth, Health};
use polpo_policy::limits::Timestamp;
use proptest::prelude::*;

use crate::transition::{CLASSES, ORGANIZATIONS, WORKSPACES, after};

/// Times are in seconds from then.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    last_used: Option<i64>,
    names: (Option<usize>, Option<usize>),
    token: Option<(i64, u32)>,
    money: Option<(i64, u32)>,
    limits: Vec<(usize, i64, u32)>,
    forbidden: Option<usize>,
    revoked: Option<i64>,
    /// When it was cleared, held and released.
    by_hand: (Option<i64>, Option<i64>, Option<i64>),
}

impl Memory {
    pub(crate) fn health(&self, now: Timestamp) -> Health {
        let at = |seconds: Option<i64>| seconds.map(|seconds| after(now, seconds));
        let mut health = Health {
            last_used: at(self.last_used),
            organization: self.names.0.map(|index| ORGANIZATIONS[index].into()),
            workspace: self.names.1.map(|index| WORKSPACES[index].into()),
            cooldown_until: at(self.token.map(|(end, _)| end)),
            error_count: self.token.map_or(0, |(_, rung)| rung),
            disabled_until: at(self.money.map(|(end, _)| end)),
            billing_error_count: self.money.map_or(0, |(_, failures)| failures),
            last_billing_failure: at(self.money.map(|(end, _)| end - 5 * 3600)),
            revoked_at: at(self.revoked),
            cleared_at: at(self.by_hand.0),
            held_at: at(self.by_hand.1),
            released_at: at(self.by_hand.2),
            ..Health::default()
        };
        for (class, end, rung) in &self.limits {
            let known = health.classes.entry(CLASSES[*class].into()).or_default();
            (known.cooldown_until, known.error_count) = (Some(after(now, *end)), *rung);
        }
        if let Some(class) = self.forbidden {
            let known = ClassHealth { blocked_at: Some(now), ..ClassHealth::default() };
            health.classes.entry(CLASSES[class].into()).or_insert(known);
        }
        health
    }
}

fn rarely(seconds: std::ops::Range<i64>) -> impl Strategy<Value = Option<i64>> {
    prop::option::weighted(0.15, seconds)
}

prop_compose! {
    pub(crate) fn memory()(
        last_used in prop::option::of(-200..20_i64),
        names in (
            prop::option::of(0..ORGANIZATIONS.len()),
            prop::option::of(0..WORKSPACES.len()),
        ),
        token in prop::option::weighted(0.2, (-90..300_i64, 0..3_u32)),
        money in prop::option::weighted(0.2, (-90..20_000_i64, 0..4_u32)),
        limits in prop::collection::vec((0..CLASSES.len(), -90..300_i64, 0..3_u32), 0..2),
        forbidden in prop::option::weighted(0.1, 0..CLASSES.len()),
        revoked in rarely(-90..1),
        by_hand in (rarely(-90..1), rarely(-90..1), rarely(-90..1)),
    ) -> Memory {
        Memory { last_used, names, token, money, limits, forbidden, revoked, by_hand }
    }
}
