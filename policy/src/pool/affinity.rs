//! Which profile has a conversation's prompt cache warm.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::id::{LimitClass, ProfileId, SessionId, WorkspaceId};
use crate::limits::Timestamp;

/// How long a prompt cache stays warm after the start of the request that wrote or read it, unless
/// the request paid for longer.
const WARM: TimeDelta = TimeDelta::minutes(5);

/// How long a turn waits for the profile that has its cache, a fifth of the cache's life: reading a
/// long prompt anew takes seconds, costs ten times as much, and is counted by the rate limit.
const PATIENCE: TimeDelta = TimeDelta::minutes(1);

/// Until when a turn that waits since `since`, and is refused at `deadline`, waits for the profile
/// that has its cache: half of its time is left to find another.
pub(super) fn patience(since: Timestamp, deadline: Option<Timestamp>) -> Timestamp {
    since + deadline.map_or(PATIENCE, |deadline| PATIENCE.min((deadline - since) / 2))
}

/// Conversations that are remembered: more than any pool has under way within five minutes.
const MOST: usize = 100_000;

/// Where the conversations are at home. A cache is of one model, so a conversation has a home for
/// each class that it uses.
///
/// A conversation has one turn at a time; what comes beside it is a fan-out. A cache can be read
/// only once the answer that writes it has begun, so that a fan-out would crowd the home for little:
/// it goes anywhere, and leaves the home where it is.
#[derive(Debug, Default)]
pub(super) struct Homes {
    homes: BTreeMap<(SessionId, LimitClass), Turns>,
    ends: BTreeSet<(Timestamp, SessionId, LimitClass)>,
    workspaces: BTreeMap<WorkspaceId, BTreeSet<ProfileId>>,
}

/// The turns of a conversation that decide where it is at home.
#[derive(Debug, Default)]
struct Turns {
    answered: Option<Home>,
    under_way: Option<Home>,
}

/// Whom a turn was granted to, and when.
#[derive(Debug)]
struct Home {
    profile: ProfileId,
    since: Timestamp,
}

impl Home {
    fn is_warm(&self, now: Timestamp) -> bool {
        self.since + WARM > now
    }
}

impl Homes {
    /// The profile that served the last turn, while its cache is warm; none for what comes beside
    /// a turn that is under way.
    pub(super) fn of(
        &self,
        now: Timestamp,
        session: &SessionId,
        class: &LimitClass,
    ) -> Option<&ProfileId> {
        let turns = self.homes.get(&(session.clone(), class.clone()))?;
        let home = turns.answered.as_ref().filter(|_| turns.under_way.is_none())?;
        home.is_warm(now).then_some(&home.profile)
    }

    /// A profile serves a turn; `false` if that is one beside the conversation's own, and of no
    /// consequence.
    pub(super) fn settle_in(
        &mut self,
        now: Timestamp,
        session: &SessionId,
        class: &LimitClass,
        profile: &ProfileId,
    ) -> bool {
        let turns = self.homes.get(&(session.clone(), class.clone()));
        let own = turns.and_then(|turns| turns.under_way.as_ref());
        if own.is_some_and(|own| own.is_warm(now)) {
            return false;
        }
        let home = Home { profile: profile.clone(), since: now };
        self.edit(session, class, |turns| turns.under_way = Some(home));
        while let Some((end, session, class)) = self.ends.first().cloned()
            && (end <= now || self.homes.len() > MOST)
        {
            self.ends.pop_first();
            self.homes.remove(&(session, class));
        }
        true
    }

    /// The turn that was granted at `since` has ended. One that failed has neither read nor written
    /// a cache, so that the conversation is at home where it was before.
    pub(super) fn settle(
        &mut self,
        session: &SessionId,
        class: &LimitClass,
        since: Timestamp,
        has_failed: bool,
    ) {
        self.edit(session, class, |turns| {
            if let Some(own) = turns.under_way.take_if(|own| own.since == since)
                && !has_failed
            {
                turns.answered = Some(own);
            }
        });
    }

    fn edit(&mut self, session: &SessionId, class: &LimitClass, edit: impl FnOnce(&mut Turns)) {
        let end = |turns: &Turns| {
            let last = turns.under_way.as_ref().or(turns.answered.as_ref())?;
            Some((last.since + WARM, session.clone(), class.clone()))
        };
        let key = (session.clone(), class.clone());
        let turns = self.homes.entry(key.clone()).or_default();
        let before = end(turns);
        edit(turns);
        let after = end(turns);
        if after.is_none() {
            self.homes.remove(&key);
        }
        if before != after {
            if let Some(before) = before {
                self.ends.remove(&before);
            }
            self.ends.extend(after);
        }
    }

    /// A profile turns out to be of a workspace, whose cache it shares.
    pub(super) fn affiliate(
        &mut self,
        profile: &ProfileId,
        left: Option<&WorkspaceId>,
        workspace: &WorkspaceId,
    ) {
        if let Some(left) = left {
            self.leave(profile, left);
        }
        self.workspaces.entry(workspace.clone()).or_default().insert(profile.clone());
    }

    pub(super) fn leave(&mut self, profile: &ProfileId, workspace: &WorkspaceId) {
        if let Some(members) = self.workspaces.get_mut(workspace) {
            members.remove(profile);
            if members.is_empty() {
                self.workspaces.remove(workspace);
            }
        }
    }

    /// The profiles that share a workspace's cache.
    pub(super) fn sharing(&self, workspace: &WorkspaceId) -> impl Iterator<Item = &ProfileId> {
        self.workspaces.get(workspace).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_fails_leaves_the_home_where_the_last_one_that_did_not_has_it() {
        let mut homes = Homes::default();
        let at = |seconds| Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let (session, class) = (SessionId::from("one"), LimitClass::from("opus-4"));
        let home =
            |homes: &Homes, now| homes.of(at(now), &session, &class).map(ToString::to_string);
        for (since, profile, has_failed) in [(1, "a", false), (2, "b", true), (3, "c", true)] {
            assert!(homes.settle_in(at(since), &session, &class, &profile.into()));
            assert_eq!(home(&homes, since), None, "it is under way");
            homes.settle(&session, &class, at(since), has_failed);
        }
        assert_eq!(home(&homes, 4).as_deref(), Some("a"));
        assert_eq!(home(&homes, 301), None, "its cache is cold");
        homes.settle_in(at(302), &session, &class, &"b".into());
        homes.settle(&session, &class, at(302), true);
        homes.settle_in(at(303), &SessionId::from("two"), &class, &"b".into());
        assert_eq!((homes.homes.len(), homes.ends.len()), (1, 1), "the cold one is forgotten");
    }

    #[test]
    fn what_comes_beside_a_turn_under_way_changes_nothing_until_that_is_as_good_as_forgotten() {
        let mut homes = Homes::default();
        let at = |seconds| Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let (session, class) = (SessionId::from("one"), LimitClass::from("opus-4"));
        assert!(homes.settle_in(at(1), &session, &class, &"a".into()));
        assert!(!homes.settle_in(at(300), &session, &class, &"b".into()));
        homes.settle(&session, &class, at(300), false);
        assert!(homes.settle_in(at(301), &session, &class, &"c".into()), "the first is cold");
        homes.settle(&session, &class, at(1), true);
        homes.settle(&session, &class, at(301), false);
        assert_eq!(homes.of(at(302), &session, &class), Some(&"c".into()));
    }
}
