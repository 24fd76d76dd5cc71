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
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// By conversation and class, the turns that decide it, in order: the last one that was
    /// answered, and those under way.
    homes: BTreeMap<(SessionId, LimitClass), Vec<Home>>,
    ends: BTreeSet<(Timestamp, SessionId, LimitClass)>,
    workspaces: BTreeMap<WorkspaceId, BTreeSet<ProfileId>>,
}

/// Whom a turn was granted to, and when.
#[derive(Debug)]
struct Home {
    profile: ProfileId,
    since: Timestamp,
}

impl Homes {
    /// The profile that served the last turn, while its cache is warm.
    pub(super) fn of(
        &self,
        now: Timestamp,
        session: &SessionId,
        class: &LimitClass,
    ) -> Option<&ProfileId> {
        let home = self.homes.get(&(session.clone(), class.clone()))?.last()?;
        (home.since + WARM > now).then_some(&home.profile)
    }

    /// A profile serves a turn.
    pub(super) fn settle_in(
        &mut self,
        now: Timestamp,
        session: &SessionId,
        class: &LimitClass,
        profile: &ProfileId,
    ) {
        let home = Home { profile: profile.clone(), since: now };
        self.edit(session, class, |turns| turns.push(home));
        while let Some((end, session, class)) = self.ends.first().cloned()
            && (end <= now || self.homes.len() > MOST)
        {
            self.ends.pop_first();
            self.homes.remove(&(session, class));
        }
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
            let Some(at) = turns.iter().position(|turn| turn.since == since) else { return };
            drop(turns.drain(if has_failed { at..at + 1 } else { 0..at }));
        });
    }

    fn edit(&mut self, session: &SessionId, class: &LimitClass, edit: impl FnOnce(&mut Vec<Home>)) {
        let end = |turns: &[Home]| {
            turns.last().map(|last| (last.since + WARM, session.clone(), class.clone()))
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
        for (since, profile) in [(1, "a"), (2, "b"), (3, "c")] {
            homes.settle_in(at(since), &session, &class, &profile.into());
        }
        assert_eq!(home(&homes, 4).as_deref(), Some("c"));
        homes.settle(&session, &class, at(2), true);
        homes.settle(&session, &class, at(3), true);
        assert_eq!(home(&homes, 4).as_deref(), Some("a"), "it is still under way");
        homes.settle(&session, &class, at(1), false);
        assert_eq!(home(&homes, 301), None, "its cache is cold");
        homes.settle_in(at(302), &session, &class, &"b".into());
        homes.settle(&session, &class, at(302), true);
        assert_eq!(home(&homes, 303), None);
        homes.settle_in(at(304), &SessionId::from("two"), &class, &"b".into());
        assert_eq!((homes.homes.len(), homes.ends.len()), (1, 1), "the cold one is forgotten");
    }
}
