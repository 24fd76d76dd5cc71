//! What is asked over a control socket, and what is answered.

use std::collections::BTreeMap;

use polpo_policy::id::{LimitClass, OrganizationId, ProfileId, ProviderId, SessionId};
use polpo_policy::limits::Timestamp;
use polpo_policy::model::ModelSpec;
use polpo_policy::pool::{
    Alternative, Explanation, LimitReport, Obstacle, Outcome, ProfileReport, Ranked, Refusal,
    Request, Size,
};
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub(crate) enum Ask {
    /// How do the profiles stand?
    Status,
    /// How would a request be served?
    Explain { models: Vec<Wanted>, session: Option<SessionId> },
    /// End the windows of profiles.
    Clear { profiles: Vec<ProfileId> },
    /// Take profiles out of use.
    Disable { profiles: Vec<ProfileId> },
    /// Give profiles back.
    Enable { profiles: Vec<ProfileId> },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    /// How the profiles stand.
    Status(Vec<ProfileStatus>),
    /// How the request would be served.
    Explained(Explained),
    /// The profiles that this process has, and that were tended.
    Tended(Vec<ProfileId>),
    /// Why there is no answer.
    Refused(String),
}

/// A model that would do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wanted {
    provider: ProviderId,
    class: LimitClass,
    pin: Option<ProfileId>,
}

impl Wanted {
    /// Any profile of a provider, for a class of models.
    pub(crate) const fn of(provider: ProviderId, class: LimitClass) -> Self {
        Self { provider, class, pin: None }
    }
}

/// How a profile stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProfileStatus {
    pub(crate) id: ProfileId,
    /// A [`polpo_policy::pool::seat::ProfileState::label`].
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
    pub(crate) last_used: Option<Timestamp>,
    pub(crate) in_flight: u32,
    pub(crate) organization_id: Option<OrganizationId>,
    pub(crate) headroom: Vec<Headroom>,
    pub(crate) classes: BTreeMap<LimitClass, ClassStatus>,
}

/// What is left of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Headroom {
    pub(crate) class: LimitClass,
    /// A [`polpo_policy::limits::Dimension::label`].
    pub(crate) dimension: String,
    /// How much a minute.
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
}

/// How a profile stands for the models that share a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClassStatus {
    pub(crate) until: Option<Timestamp>,
}

/// How a request would be served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explained {
    #[serde(flatten)]
    pub(crate) fate: Fate,
    pub(crate) ranking: Vec<RankedStatus>,
}

/// What would become of a request. Its models are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Fate {
    Granted {
        profile: ProfileId,
        model: usize,
    },
    Waits {
        model: Option<usize>,
        until: Option<Timestamp>,
        /// Whether for the profile that has the conversation's prompt cache.
        for_cache: bool,
    },
    Refused {
        /// Whether as too many wait; else no profile can serve it.
        queue_full: bool,
    },
}

/// How a profile stands for one of the models of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RankedStatus {
    pub(crate) model: usize,
    pub(crate) profile: ProfileId,
    /// Why it is not eligible.
    pub(crate) obstacle: Option<String>,
    /// Which limit has no room, if that is why.
    pub(crate) limit: Option<String>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) has_cache: bool,
    pub(crate) last_used: Option<Timestamp>,
}

impl Fate {
    /// The model that would be served or waited for.
    pub(crate) const fn model(&self) -> Option<usize> {
        match self {
            Self::Granted { model, .. } => Some(*model),
            Self::Waits { model, .. } => *model,
            Self::Refused { .. } => None,
        }
    }
}

impl Wanted {
    /// A model as the pool needs to know it.
    pub(crate) fn new(spec: &ModelSpec) -> Self {
        let (provider, class) = (spec.provider.clone(), spec.limit_class());
        Self { provider, class, pin: spec.pin.clone() }
    }
}

/// A request that is only asked about.
pub(crate) fn request(models: Vec<Wanted>, session: Option<SessionId>) -> Request {
    let alternatives = models.into_iter().map(|Wanted { provider, class, pin }| Alternative {
        provider,
        class,
        pin,
    });
    Request {
        agent: "explain".into(),
        alternatives: alternatives.collect(),
        avoid: BTreeMap::new(),
        rather: None,
        not_before: None,
        deadline: None,
        session,
        size: Size::default(),
    }
}

impl From<ProfileReport> for ProfileStatus {
    fn from(report: ProfileReport) -> Self {
        let headroom = report.limits.iter().flat_map(|LimitReport { class, headroom, .. }| {
            headroom.iter().map(|reading| Headroom {
                class: class.clone(),
                dimension: reading.dimension.label().to_owned(),
                limit: reading.limit,
                remaining: reading.remaining,
            })
        });
        let headroom = headroom.collect();
        let classes = report.limits.into_iter();
        Self {
            headroom,
            id: report.profile,
            state: report.state.label().to_owned(),
            reason: report.cause.map(|cause| cause.label().to_owned()),
            until: report.until,
            last_error: report.last_error,
            last_used: report.last_used,
            in_flight: report.in_flight,
            organization_id: report.organization,
            classes: classes
                .map(|LimitReport { class, until, .. }| (class, ClassStatus { until }))
                .collect(),
        }
    }
}

impl From<Explanation> for Explained {
    fn from(explanation: Explanation) -> Self {
        let fate = match explanation.outcome {
            Outcome::Granted { profile, alternative } => {
                Fate::Granted { profile, model: alternative }
            }
            Outcome::Waits { alternative, until, for_home } => {
                Fate::Waits { model: alternative, until, for_cache: for_home }
            }
            Outcome::Refused(refusal) => {
                Fate::Refused { queue_full: refusal == Refusal::QueueFull }
            }
        };
        let ranking = explanation.ranking.into_iter().map(RankedStatus::from).collect();
        Self { fate, ranking }
    }
}

impl From<Ranked> for RankedStatus {
    fn from(ranked: Ranked) -> Self {
        let (obstacle, limit) = match ranked.obstacle {
            None => (None, None),
            Some(Obstacle::Busy) => (Some("busy"), None),
            Some(Obstacle::Shut(cause)) => (Some(cause.label()), None),
            Some(Obstacle::Avoided) => (Some("avoided"), None),
            Some(Obstacle::NoRoom(throttle)) => (Some("no_room"), Some(throttle.label())),
        };
        Self {
            model: ranked.alternative,
            profile: ranked.profile,
            obstacle: obstacle.map(str::to_owned),
            limit: limit.map(str::to_owned),
            until: ranked.until,
            has_cache: ranked.is_home,
            last_used: ranked.last_used,
        }
    }
}
