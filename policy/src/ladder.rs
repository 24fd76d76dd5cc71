//! When a task is tried again, and when a stronger model steps in.

use crate::model::{ModelClass, ModelSpec};

/// How a task is retried when its result is no good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Retries after the first attempt.
    pub max_retries: u32,
    /// The retry, counted from 1, from which on [`Self::escalate_model`] is used.
    pub escalate_after: u32,
    /// The model that steps in.
    pub escalate_model: ModelSpec,
}

impl RetryPolicy {
    /// The model of an attempt, counted from 0: the `escalate_after`-th retry and every later
    /// one run on `escalate_model`, unless the agent's own model is of that class or above;
    /// `None` when the retries are used up.
    #[must_use]
    pub fn model<'a>(&'a self, own: &'a ModelSpec, attempt: u32) -> Option<&'a ModelSpec> {
        if attempt > self.max_retries {
            return None;
        }
        let is_due = attempt > 0 && attempt >= self.escalate_after;
        Some(if is_due && self.goes_up_from(own) { &self.escalate_model } else { own })
    }

    fn goes_up_from(&self, own: &ModelSpec) -> bool {
        let class = |spec: &ModelSpec| ModelClass::of(spec.model.as_str());
        class(&self.escalate_model).is_some_and(|up| class(own).is_some_and(|own| up > own))
    }
}

/// How often an attempt may be asked again with more room because its answer was cut off.
/// Each time has four times the room, so two make sixteen times what was thought enough.
pub const MAX_RAISES: u32 = 2;

/// The next `max_tokens` after a truncated answer, within what the model takes;
/// `None` when there is no more to give.
#[must_use]
pub fn raised_max_tokens(max_tokens: u64, model_limit: u64) -> Option<u64> {
    let raised = max_tokens.saturating_mul(4).min(model_limit);
    (raised > max_tokens).then_some(raised)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> ModelSpec {
        ModelSpec::parse(text).unwrap()
    }

    fn models(own: &str, policy: (u32, u32, &str)) -> Vec<String> {
        let (max_retries, escalate_after, up) = policy;
        let policy = RetryPolicy { max_retries, escalate_after, escalate_model: spec(up) };
        let own = spec(own);
        (0..).map_while(|n| policy.model(&own, n)).map(|spec| spec.model.to_string()).collect()
    }

    #[test]
    fn the_kth_retry_and_every_later_one_run_on_the_stronger_model() {
        let (sonnet, opus) = ("claude-sonnet-4-6", "claude-opus-4-6");
        assert_eq!(models(sonnet, (2, 1, opus)), [sonnet, opus, opus]);
        assert_eq!(models(sonnet, (3, 2, opus)), [sonnet, sonnet, opus, opus]);
        assert_eq!(models(sonnet, (0, 1, opus)), [sonnet]);
        assert_eq!(models(sonnet, (1, 5, opus)), [sonnet, sonnet]);
    }

    #[test]
    fn escalation_never_goes_down_or_sideways_or_into_the_unknown() {
        for (own, up) in [
            ("claude-opus-5-5", "claude-opus-4-6"),
            ("claude-fable-5-1", "claude-opus-4-6"),
            ("anthropic:mystery", "claude-opus-4-6"),
            ("claude-sonnet-4-6", "anthropic:mystery"),
        ] {
            let own_name = spec(own).model.to_string();
            assert!(models(own, (2, 1, up)).iter().all(|model| *model == own_name), "{own} {up}");
        }
    }

    #[test]
    fn room_grows_fourfold_up_to_what_the_model_takes() {
        assert_eq!(raised_max_tokens(512, 64_000), Some(2048));
        assert_eq!(raised_max_tokens(32_000, 64_000), Some(64_000));
        assert_eq!(raised_max_tokens(64_000, 64_000), None);
    }
}
