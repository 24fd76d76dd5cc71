//! How profiles stand: as the running processes say, else as the profile file remembers.

use std::collections::BTreeMap;

use polpo_policy::id::{LimitClass, ProfileId};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::gate::Cause;

use super::keyring::Keyring;
use crate::control::{Answer, Ask, Heard, ProfileStatus, ask_all};

/// The state of a profile whose token is over and cannot be renewed.
pub(crate) const EXPIRED: &str = "expired";

/// The reason of a profile that a limit has, of at least one class of models.
const RATE_LIMIT: &str = Cause::Limit(None).label();

/// The states, from good to bad.
const STATES: [&str; 5] = ["ready", "probing", "cooling", "disabled", "revoked"];

/// How a profile stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) status: ProfileStatus,
    /// The processes that say so; none: the file does.
    pub(crate) pids: Vec<u32>,
}

/// How each profile stands.
pub(crate) async fn standings(keyring: &Keyring, now: Timestamp) -> BTreeMap<ProfileId, Standing> {
    let mut standings = together(ask_all(&keyring.state, &Ask::Status).await);
    for report in keyring.pool(now, keyring.entries.values()).report() {
        let status = ProfileStatus::from(report);
        standings.entry(status.id.clone()).or_insert(Standing { status, pids: Vec::new() });
    }
    for (id, standing) in &mut standings {
        if keyring.entries.get(id).is_some_and(|entry| entry.is_over(now)) {
            standing.status.expire();
        }
    }
    standings
}

/// What several processes say of the same profiles, as one.
fn together(heard: Vec<Heard>) -> BTreeMap<ProfileId, Standing> {
    let mut standings: BTreeMap<ProfileId, Standing> = BTreeMap::new();
    for Heard { pid, answer } in heard {
        let Answer::Status(statuses) = answer else { continue };
        for status in statuses {
            match standings.get_mut(&status.id) {
                Some(known) => {
                    known.status.merge(status);
                    known.pids.push(pid);
                }
                None => {
                    let id = status.id.clone();
                    standings.insert(id, Standing { status, pids: vec![pid] });
                }
            }
        }
    }
    standings
}

impl ProfileStatus {
    /// Takes over what another process knows beyond this: of the states the worse one.
    fn merge(&mut self, other: Self) {
        let in_flight = self.in_flight + other.in_flight;
        let last_used = self.last_used.max(other.last_used);
        let headroom = if self.headroom.is_empty() { &other.headroom } else { &self.headroom };
        let headroom = headroom.clone();
        let badness = |it: &Self| (STATES.iter().position(|state| *state == it.state), it.until);
        if badness(&other) > badness(self) {
            *self = other;
        }
        self.in_flight = in_flight;
        self.last_used = last_used;
        self.headroom = headroom;
    }

    /// The state for one class of models, and until when: a limit of another class is none of its.
    pub(crate) fn for_class(&self, class: &LimitClass) -> (&str, Option<Timestamp>) {
        if self.reason.as_deref() != Some(RATE_LIMIT) {
            return (&self.state, self.until);
        }
        match self.classes.get(class).and_then(|class| class.until) {
            Some(until) => (&self.state, Some(until)),
            None => ("ready", None),
        }
    }

    /// Says that the token is over, unless something worse has been found out.
    fn expire(&mut self) {
        if ["ready", "probing"].contains(&self.state.as_str()) {
            EXPIRED.clone_into(&mut self.state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ClassStatus;
    use chrono::TimeDelta;

    fn status(state: &str, until: i64, in_flight: u32) -> ProfileStatus {
        let at = |seconds| Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
        ProfileStatus {
            id: "anthropic:a".into(),
            state: state.to_owned(),
            reason: None,
            until: Some(at(until)),
            last_error: None,
            last_used: Some(at(in_flight.into())),
            in_flight,
            organization_id: None,
            headroom: Vec::new(),
            classes: BTreeMap::new(),
        }
    }

    fn heard(pid: u32, status: ProfileStatus) -> Heard {
        Heard { pid, answer: Answer::Status(vec![status]) }
    }

    #[test]
    fn of_two_processes_the_worse_news_is_told_and_the_work_is_added_up() {
        for (one, other, told) in [
            (("ready", 0), ("cooling", 5), ("cooling", 5)),
            (("cooling", 9), ("cooling", 5), ("cooling", 9)),
            (("revoked", 0), ("disabled", 5), ("revoked", 0)),
            (("probing", 0), ("ready", 0), ("probing", 0)),
        ] {
            let heard = [heard(1, status(one.0, one.1, 3)), heard(2, status(other.0, other.1, 4))];
            let standings = together(heard.into());
            let [standing] = standings.values().collect::<Vec<_>>()[..] else { panic!() };
            let expected = ProfileStatus {
                in_flight: 7,
                last_used: status("", 0, 4).last_used,
                ..status(told.0, told.1, 0)
            };
            assert_eq!((&standing.status, &standing.pids[..]), (&expected, &[1, 2][..]));
        }
    }

    #[test]
    fn a_limit_of_one_class_is_none_of_another() {
        let mut limited = status("cooling", 9, 0);
        limited.reason = Some("rate_limit".to_owned());
        limited.classes.insert("sonnet-4".into(), ClassStatus { until: limited.until });
        assert_eq!(limited.for_class(&"sonnet-4".into()), ("cooling", limited.until));
        assert_eq!(limited.for_class(&"opus-4".into()), ("ready", None));
        let unpaid = ProfileStatus { reason: Some("billing".to_owned()), ..limited.clone() };
        assert_eq!(unpaid.for_class(&"opus-4".into()), ("cooling", limited.until));
    }

    #[test]
    fn a_token_that_is_over_is_worse_than_nothing_but_no_excuse() {
        for (state, told) in [
            ("ready", EXPIRED),
            ("probing", EXPIRED),
            ("cooling", "cooling"),
            ("revoked", "revoked"),
        ] {
            let mut status = status(state, 0, 0);
            status.expire();
            assert_eq!(status.state, told);
        }
    }
}
