//! What a chat tells of itself: model, profiles, costs.

use chrono::{NaiveTime, Utc};
use polpo_agents::talk::session;
use polpo_store::journal::{CostQuery, CostReport, Group};

use super::{Chat, words};
use crate::exit::Stop;
use crate::run::points::{NOTE, has_estimates};

impl Chat {
    /// `/model status`.
    pub(super) fn tell_model(&self) {
        let model = self.choice.effective();
        let by = if self.choice.is_chosen() { "user" } else { "agent" };
        let pin = match (&model.pin, &self.last) {
            (Some(pin), _) => format!("{pin} (by the {by})"),
            (None, Some((last, _))) => {
                format!("{} (auto: its prompt cache is warm while it is used)", last.profile)
            }
            (None, None) => "none".to_owned(),
        };
        let fallbacks = self.choice.fallbacks();
        let fallbacks: Vec<String> = fallbacks.iter().map(ToString::to_string).collect();
        let fallbacks = if fallbacks.is_empty() { "none".to_owned() } else { fallbacks.join(", ") };
        self.screen.tell(&format!(
            "model: {}:{} (by the {by})\nprofile: {pin}\nfallbacks: {fallbacks}\nlast served by: {}\nsession: {}",
            model.provider,
            model.model,
            self.last_served(),
            self.session()
        ));
    }

    /// `/status`.
    pub(super) async fn tell_status(&self) -> Result<(), Stop> {
        let profiles = self.setup.profiles().await?;
        let profiles: Vec<String> = profiles.iter().map(words::standing).collect();
        self.screen.tell(&format!(
            "last served by: {}\nsession: {}\nprofiles:\n  {}",
            self.last_served(),
            self.session(),
            profiles.join("\n  ")
        ));
        Ok(())
    }

    /// What `auth explain --session` takes.
    fn session(&self) -> String {
        match self.conversation.run() {
            Some(_) => session(&self.setup.agent.name, &self.conversation.session()).to_string(),
            None => "none yet".to_owned(),
        }
    }

    fn last_served(&self) -> String {
        let Some((last, wanted)) = &self.last else { return "nobody yet".to_owned() };
        let why = words::why(last, wanted);
        format!("{} at {} ({why})", last.model.model, last.profile)
    }

    /// `/cost`.
    pub(super) async fn tell_cost(&self) -> Result<(), Stop> {
        let journal = &*self.setup.journal;
        let query = |run, since| CostQuery {
            group: Group::Profile,
            since,
            simulated: self.setup.is_simulated,
            run,
        };
        let mut lines = Vec::new();
        let mut is_estimated = false;
        if let Some(run) = self.conversation.run() {
            let query = query(Some(run.id), None);
            let report = journal.costs(query.clone()).await.map_err(Stop::not_written)?;
            is_estimated |= has_estimates(journal, query, &report).await?;
            lines.push(line("this conversation", &report));
        } else {
            lines.push("this conversation: nothing yet".to_owned());
        }
        let midnight = Utc::now().date_naive().and_time(NaiveTime::MIN).and_utc();
        let query = query(None, Some(midnight));
        let report = journal.costs(query.clone()).await.map_err(Stop::not_written)?;
        is_estimated |= has_estimates(journal, query, &report).await?;
        lines.push(line("today (UTC), all of polpo", &report));
        lines.extend(is_estimated.then(|| NOTE.to_owned()));
        self.screen.tell(&lines.join("\n"));
        Ok(())
    }
}

fn line(what: &str, report: &CostReport) -> String {
    let total = &report.total;
    let calls = if total.calls == 1 { "call" } else { "calls" };
    let unpriced = match total.unpriced_calls {
        0 => String::new(),
        unpriced => format!(", without {unpriced} unpriced"),
    };
    format!(
        "{what}: {} {calls}, {}, ${}{unpriced}",
        total.calls,
        words::tokens(&total.usage),
        total.cost
    )
}
