//! Costs that are estimates: Poe bills points, whatever the list price of a model.

use polpo_policy::provider::bills_points;
use polpo_store::journal::{CostQuery, CostReport, Group, Journal};

use crate::exit::Stop;

/// What people are told where such costs are among others.
pub(crate) const NOTE: &str = "costs of poe profiles are list-price estimates: Poe bills points";

/// Whether what a profile's calls cost is an estimate.
pub(crate) fn is_estimate(profile: &str) -> bool {
    profile.split_once(':').is_some_and(|(provider, _)| bills_points(&provider.into()))
}

/// Whether an estimate is among the costs of a query, of which `report` came.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn has_estimates(
    journal: &dyn Journal,
    query: CostQuery,
    report: &CostReport,
) -> Result<bool, Stop> {
    let among = |report: &CostReport| report.rows.iter().any(|row| is_estimate(&row.key));
    if query.group == Group::Profile {
        return Ok(among(report));
    }
    let by_profile = CostQuery { group: Group::Profile, ..query };
    let report = journal.costs(by_profile).await.map_err(Stop::not_written)?;
    Ok(among(&report))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_profiles_of_poe_have_estimates() {
        assert!(is_estimate("poe:key-1f0c9a2b"));
        for exact in ["anthropic:poe", "poet:me", "poe", ""] {
            assert!(!is_estimate(exact), "{exact}");
        }
    }
}
