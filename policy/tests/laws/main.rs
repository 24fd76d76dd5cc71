//! The laws of the pure core, each a property, beside a naive model of what it should do.

#![expect(clippy::expect_used, reason = "helpers of tests")]

mod affinity;
mod answers;
mod books;
mod choice;
mod cooldown;
mod debt;
mod decisions;
mod driver;
mod explained;
mod fairness;
mod knowledge;
mod memory;
mod money;
mod outage;
mod quota;
mod record;
mod reference;
mod remembered;
mod transition;
mod usage;
mod waiter;

use proptest::prelude::ProptestConfig;

/// A quarter of the usual cases, as each is a run of a hundred events; `PROPTEST_CASES` raises it.
fn quick() -> ProptestConfig {
    let usual = ProptestConfig::default();
    // Shrinking is worth more than cases: it is paid for only by who breaks a law.
    ProptestConfig { cases: usual.cases.div_ceil(4), max_shrink_iters: 4096, ..usual }
}
