//! Learns how many tokens a request of an agent is going to count as.

use std::collections::BTreeMap;

use crate::id::{AgentId, LimitClass};

/// Tokens a byte as long as nothing is known: English has a quarter, code and JSON up to a third.
const USUAL: f64 = 1.0 / 3.0;

/// How much of the way down to a lower ratio one call goes; up it goes at once.
const DECAY: f64 = 1.0 / 8.0;

/// The most ratios that are kept; agents and classes of models are a few of each.
const MOST: usize = 4096;

/// The highest recent ratio of input tokens, without cache reads, to bytes of body, for each
/// agent and class of models, and apart for turns whose prompt cache is warm: most of their bytes
/// count as nothing.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    ratios: BTreeMap<AgentId, BTreeMap<(LimitClass, bool), f64>>,
    known: usize,
}

impl Forecast {
    /// What a body of so many bytes counts as, rather too much than too little.
    #[must_use]
    pub fn input(&self, agent: &AgentId, class: &LimitClass, (bytes, is_warm): (u64, bool)) -> u64 {
        let key = (class.clone(), is_warm);
        let known = self.ratios.get(agent).and_then(|classes| classes.get(&key));
        (bytes as f64 * known.unwrap_or(&USUAL)).ceil() as u64
    }

    /// Learns what a body did count as.
    pub fn learn(
        &mut self,
        agent: &AgentId,
        class: &LimitClass,
        (bytes, is_warm): (u64, bool),
        input: u64,
    ) {
        let ratio = input as f64 / bytes.max(1) as f64;
        let key = (class.clone(), is_warm);
        let known = self.ratios.get_mut(agent).and_then(|classes| classes.get_mut(&key));
        if let Some(known) = known {
            *known = ratio.max(*known + (ratio - *known) * DECAY);
        } else if self.known < MOST {
            self.known += 1;
            self.ratios.entry(agent.clone()).or_default().insert(key, ratio);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_ratio_is_believed_at_once_and_a_lower_one_by_and_by() {
        let mut forecast = Forecast::default();
        let (agent, class) = ("coder".into(), "opus-5".into());
        assert_eq!(forecast.input(&agent, &class, (3000, false)), 1000, "before anything is known");
        forecast.learn(&agent, &class, (1000, false), 200);
        assert_eq!(forecast.input(&agent, &class, (1000, false)), 200);
        forecast.learn(&agent, &class, (1000, false), 280);
        assert_eq!(forecast.input(&agent, &class, (1000, false)), 280);
        forecast.learn(&agent, &class, (1000, false), 200);
        assert_eq!(forecast.input(&agent, &class, (1000, false)), 270);
        assert_eq!(
            forecast.input(&agent, &"haiku-5".into(), (3000, false)),
            1000,
            "each class its own"
        );
        assert_eq!(forecast.input(&agent, &class, (3000, true)), 1000, "warm turns apart");
    }

    #[test]
    fn it_stays_within_bounds_and_takes_any_number() {
        let mut forecast = Forecast::default();
        let class = "opus-5".into();
        for agent in 0..2 * MOST as u64 {
            forecast.learn(&agent.to_string().into(), &class, (0, false), u64::MAX);
        }
        assert_eq!(forecast.ratios.len(), MOST);
        assert_eq!(forecast.input(&"0".into(), &class, (u64::MAX, false)), u64::MAX);
    }
}
