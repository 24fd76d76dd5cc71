//! Everything that can happen to a pool, as values that shrink.
//!
//! Whom it happens to is an index modulo those who are there, so that a shortened run still means
//! something.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use polpo_policy::failure::Failure;
use polpo_policy::limits::{Dimension, Reading, Timestamp};
use polpo_policy::pool::{Alternative, Request, Size, Verdict};
use proptest::prelude::*;

use crate::memory::{Memory, memory};

/// The profiles there may be; the provider is the part before the colon.
pub(crate) const PROFILES: [&str; 5] = ["a:1", "a:2", "a:3", "b:1", "b:2"];
pub(crate) const CLASSES: [&str; 2] = ["opus", "sonnet"];
pub(crate) const ORGANIZATIONS: [&str; 2] = ["north", "south"];
pub(crate) const WORKSPACES: [&str; 2] = ["one", "two"];
pub(crate) const SESSIONS: [&str; 2] = ["plot", "proof"];
const AGENTS: [&str; 3] = ["amy", "ben", "cyd"];

/// Something that can happen.
#[derive(Clone, Debug)]
pub(crate) enum Transition {
    Join {
        profile: usize,
        slots: u32,
    },
    Leave {
        profile: usize,
    },
    Recall {
        profile: usize,
        memory: Memory,
    },
    Clear {
        profile: usize,
    },
    Hold {
        profile: usize,
        is_held: bool,
    },
    Ask(Ask),
    Withdraw {
        which: usize,
    },
    Answer {
        which: usize,
        organization: Option<usize>,
        workspace: Option<usize>,
    },
    Settle {
        which: usize,
        ending: Ending,
    },
    /// The clock moves, also backwards, and the pool is told.
    Wait {
        seconds: i64,
    },
    /// The clock moves to when the pool wants to be woken.
    Sleep,
    /// The process ends, and another remembers what is to be remembered.
    Restart,
}

/// A request, in seconds and indices.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    agent: usize,
    /// The profile stands for its provider; it is the pin too if the flag says so.
    alternatives: Vec<(usize, usize, bool)>,
    avoid: Vec<(usize, Option<i64>)>,
    rather: Option<i64>,
    not_before: Option<i64>,
    deadline: Option<i64>,
    session: Option<usize>,
}

/// How a call ends; dates in seconds from then.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    Success,
    Abandoned,
    Limited(Option<i64>),
    Unfunded(Option<i64>),
    Unrefreshed(Option<i64>),
    Failed(Failure),
}

pub(crate) fn after(now: Timestamp, seconds: i64) -> Timestamp {
    now + TimeDelta::seconds(seconds)
}

fn pick<'a>(names: &[&'a str], index: usize) -> &'a str {
    names[index % names.len()]
}

pub(crate) fn provider(profile: &str) -> &str {
    profile.split(':').next().unwrap_or_default()
}

impl Ask {
    pub(crate) fn request(&self, now: Timestamp) -> Request {
        let alternatives = self.alternatives.iter().map(|&(profile, class, pinned)| {
            let profile = pick(&PROFILES, profile);
            Alternative {
                provider: provider(profile).into(),
                class: pick(&CLASSES, class).into(),
                pin: pinned.then(|| profile.into()),
            }
        });
        let avoid = self.avoid.iter().map(|&(profile, until)| {
            (pick(&PROFILES, profile).into(), until.map(|seconds| after(now, seconds)))
        });
        Request {
            agent: pick(&AGENTS, self.agent).into(),
            alternatives: alternatives.collect(),
            avoid: avoid.collect::<BTreeMap<_, _>>(),
            rather: self.rather.map(|seconds| after(now, seconds)),
            not_before: self.not_before.map(|seconds| after(now, seconds)),
            deadline: self.deadline.map(|seconds| after(now, seconds)),
            session: self.session.map(|session| pick(&SESSIONS, session).into()),
            size: Size::default(),
        }
    }

    /// The same without a fallback, patient, and not of a conversation.
    pub(crate) fn single(mut self) -> Self {
        self.alternatives.truncate(1);
        (self.session, self.deadline) = (None, None);
        self
    }

    /// The same without a fallback, for any profile.
    pub(crate) fn plain(mut self) -> Self {
        self = self.single();
        self.alternatives[0].2 = false;
        self.avoid.clear();
        self
    }
}

pub(crate) fn reading(organization: Option<usize>, workspace: Option<usize>) -> Reading {
    Reading {
        organization: organization.map(|index| ORGANIZATIONS[index].into()),
        workspace: workspace.map(|index| WORKSPACES[index].into()),
        limits: Vec::new(),
    }
}

impl Ending {
    pub(crate) fn verdict(self, now: Timestamp) -> Verdict {
        let at = |seconds: Option<i64>| seconds.map(|seconds| after(now, seconds));
        Verdict::Failed(match self {
            Self::Success => return Verdict::Success,
            Self::Abandoned => return Verdict::Abandoned,
            Self::Limited(until) => {
                Failure::Limited { until: at(until), dimension: Some(Dimension::InputTokens) }
            }
            Self::Unfunded(until) => Failure::Unfunded { until: at(until) },
            Self::Unrefreshed(until) => Failure::Unrefreshed { until: at(until) },
            Self::Failed(failure) => failure,
        })
    }
}

fn ask() -> impl Strategy<Value = Ask> {
    let alternative = (0..PROFILES.len(), 0..CLASSES.len(), prop::bool::weighted(0.15));
    let avoided = (0..PROFILES.len(), prop::option::weighted(0.7, 1..60_i64));
    let few = prop_oneof![4 => 0..1_usize, 1 => 1..3_usize];
    (
        0..AGENTS.len(),
        prop::collection::vec(alternative, 1..4),
        few.prop_flat_map(move |n| prop::collection::vec(avoided.clone(), n)),
        prop::option::weighted(0.5, -5..120_i64),
        prop::option::weighted(0.1, -5..40_i64),
        prop::option::weighted(0.25, -5..200_i64),
        prop::option::of(0..SESSIONS.len()),
    )
        .prop_map(|(agent, alternatives, avoid, rather, not_before, deadline, session)| Ask {
            agent,
            alternatives,
            avoid,
            rather,
            not_before,
            deadline,
            session,
        })
}

/// In a storm the provider fails most of the time.
fn ending(is_storm: bool) -> impl Strategy<Value = Ending> {
    let faults = vec![Failure::Overloaded, Failure::Faulty];
    prop_oneof![
        if is_storm { 60 } else { 1 } => prop::sample::select(faults).prop_map(Ending::Failed),
        12 => Just(Ending::Success),
        2 => Just(Ending::Abandoned),
        // A date may be past for a pool whose clock was ahead.
        4 => (-5..90_i64).prop_map(|seconds| Ending::Limited(Some(seconds))),
        4 => Just(Ending::Limited(None)),
        2 => prop::option::of(-5..90_000_i64).prop_map(Ending::Unfunded),
        2 => prop::option::of(-5..300_i64).prop_map(Ending::Unrefreshed),
        1 => prop::sample::select(vec![Failure::Unsuited, Failure::Network, Failure::Rejected])
            .prop_map(Ending::Failed),
        1 => prop::sample::select(vec![Failure::Revoked, Failure::Forbidden])
            .prop_map(Ending::Failed),
    ]
}

fn transition(is_storm: bool) -> impl Strategy<Value = Transition> {
    let profile = || 0..PROFILES.len();
    let name = |names: usize| prop::option::weighted(0.8, 0..names);
    prop_oneof![
        2 => (profile(), 0..4_u32).prop_map(|(profile, slots)| Transition::Join { profile, slots }),
        1 => profile().prop_map(|profile| Transition::Leave { profile }),
        2 => (profile(), memory())
            .prop_map(|(profile, memory)| Transition::Recall { profile, memory }),
        2 => profile().prop_map(|profile| Transition::Clear { profile }),
        2 => (profile(), prop::bool::weighted(0.3))
            .prop_map(|(profile, is_held)| Transition::Hold { profile, is_held }),
        24 => ask().prop_map(Transition::Ask),
        4 => any::<usize>().prop_map(|which| Transition::Withdraw { which }),
        8 => (any::<usize>(), name(ORGANIZATIONS.len()), name(WORKSPACES.len())).prop_map(
            |(which, organization, workspace)| {
                Transition::Answer { which, organization, workspace }
            }
        ),
        18 => (any::<usize>(), ending(is_storm))
            .prop_map(|(which, ending)| Transition::Settle { which, ending }),
        4 => (-90..90_i64).prop_map(|seconds| Transition::Wait { seconds }),
        5 => Just(Transition::Sleep),
        1 => Just(Transition::Restart),
    ]
}

/// A run: first most of the profiles join, then anything happens.
pub(crate) fn run(length: usize) -> impl Strategy<Value = Vec<Transition>> {
    prop_oneof![3 => run_in(length, false), 1 => run_in(length, true)]
}

pub(crate) fn run_in_a_storm(length: usize) -> impl Strategy<Value = Vec<Transition>> {
    run_in(length, true)
}

fn run_in(length: usize, is_storm: bool) -> impl Strategy<Value = Vec<Transition>> {
    let slots = prop::collection::vec(prop::option::weighted(0.8, 1..4_u32), PROFILES.len());
    let rest = prop::collection::vec(transition(is_storm), 1..length);
    (slots, rest).prop_map(|(slots, rest)| {
        let joined = slots
            .into_iter()
            .enumerate()
            .filter_map(|(profile, slots)| slots.map(|slots| Transition::Join { profile, slots }));
        joined.chain(rest).collect()
    })
}

/// A plain request for a class of the first provider.
pub(crate) fn one(class: &str) -> Ask {
    let class = CLASSES.iter().position(|it| *it == class).unwrap_or_default();
    let (avoid, rather, not_before, deadline) = (Vec::new(), None, None, None);
    let alternatives = vec![(0, class, false)];
    Ask { agent: 0, alternatives, avoid, rather, not_before, deadline, session: None }
}
