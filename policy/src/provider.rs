//! What sets Poe apart from Anthropic.

use crate::id::ProviderId;

/// Whether a provider counts the tokens of a request beforehand (`/v1/messages/count_tokens`); Poe
/// has no such endpoint.
#[must_use]
pub fn supports_count_tokens(provider: &ProviderId) -> bool {
    !is_poe(provider)
}

/// Whether a provider has message batches (`/v1/messages/batches`); Poe has not.
#[must_use]
pub fn supports_batches(provider: &ProviderId) -> bool {
    !is_poe(provider)
}

/// Whether a provider bills points, so that the cost of a call, by the models' list prices, is an
/// estimate.
#[must_use]
pub fn bills_points(provider: &ProviderId) -> bool {
    is_poe(provider)
}

pub(crate) fn is_poe(provider: &ProviderId) -> bool {
    provider.as_str() == "poe"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelSpec;

    #[test]
    fn poe_bills_points_and_has_neither_counts_nor_batches_and_nobody_else() {
        for (name, is_poe) in [("poe", true), ("anthropic", false), ("team", false)] {
            let provider = name.into();
            assert_eq!(bills_points(&provider), is_poe, "{name}");
            assert_eq!(supports_count_tokens(&provider), !is_poe, "{name}");
            assert_eq!(supports_batches(&provider), !is_poe, "{name}");
        }
    }

    #[test]
    fn both_names_of_every_model_at_poe_are_sent_as_anthropic_s_id() {
        let sent = |text: &str| ModelSpec::parse(text).unwrap().model.to_string();
        for (poe, id) in [
            ("claude-sonnet-4.5", "claude-sonnet-4-5-20250929"),
            ("claude-opus-4.5", "claude-opus-4-5-20251101"),
            ("claude-haiku-4.5", "claude-haiku-4-5-20251001"),
            ("claude-opus-4.1", "claude-opus-4-1-20250805"),
            ("claude-sonnet-4", "claude-sonnet-4-20250514"),
            ("claude-opus-4", "claude-opus-4-20250514"),
            ("claude-sonnet-3.7", "claude-3-7-sonnet-20250219"),
            ("claude-haiku-3.5", "claude-3-5-haiku-20241022"),
            ("claude-3-5-haiku", "claude-3-5-haiku-20241022"),
            ("claude-haiku-3", "claude-3-haiku-20240307"),
        ] {
            assert_eq!(sent(&format!("poe:{poe}")), id);
            assert_eq!(sent(&format!("poe:{id}")), id);
            assert_eq!(sent(poe), id, "at Anthropic too");
        }
        assert_eq!(sent("poe:claude-next-9.1"), "claude-next-9.1", "unknown names pass through");
    }
}
