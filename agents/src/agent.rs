//! An agent: runs tasks and takes turns of conversations, each as a future of its own.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, Context, Handler, MessageResult};
use futures_util::FutureExt;
use polpo_metrics::{Metrics, Surface};
use polpo_policy::id::{AgentId, ModelName};
use polpo_policy::ladder::RetryPolicy;
use polpo_policy::model::ModelSpec;
use polpo_policy::price::PriceList;
use polpo_store::journal::Journal;
use polpo_upstream::wire::problem::Problem;

use crate::attempt;
use crate::clock::Clock;
use crate::intake::Intake;
use crate::job::{Ending, Job, Outcome, Spent};
use crate::messages::{RunTask, Talk};
use crate::talk::{Why, talk};
use crate::working::Working;

/// How an agent is configured.
#[derive(Clone, Debug)]
pub struct AgentSpec {
    /// Its name.
    pub name: AgentId,
    /// Models to fall back to when no profile can serve the one wanted.
    pub fallbacks: Vec<ModelSpec>,
    /// When it tries again, and on which model.
    pub retry: RetryPolicy,
}

/// What every agent works with.
#[derive(Clone)]
pub struct Desk {
    /// Where profiles are asked for.
    pub intake: Arc<Intake>,
    /// Where calls are recorded.
    pub journal: Arc<dyn Journal>,
    /// Where they are counted.
    pub metrics: Metrics,
    /// What they cost.
    pub prices: Arc<PriceList>,
    /// What time it is.
    pub clock: Clock,
    /// Chance, for jitter; seeded by whoever starts the program.
    pub dice: Arc<Mutex<fastrand::Rng>>,
    /// Whom the work is for.
    pub surface: Surface,
}

impl Desk {
    /// A number from 0 to 1.
    pub(crate) fn roll(&self) -> f64 {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }
}

/// What is known of a task while it runs, kept outside its future so that a panic loses no cent.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) attempts: u32,
    pub(crate) spent: Spent,
    pub(crate) last_call: Option<(ModelSpec, polpo_policy::id::ProfileId)>,
    pub(crate) escalated_from: Option<ModelSpec>,
    /// The model that was wanted of the last call, and why it had its model and its profile.
    pub(crate) why: Option<(ModelName, Why)>,
}

/// One configured agent.
pub struct Agent {
    spec: Arc<AgentSpec>,
    desk: Arc<Desk>,
}

impl Agent {
    /// An agent at its desk.
    #[must_use]
    pub const fn new(spec: Arc<AgentSpec>, desk: Arc<Desk>) -> Self {
        Self { spec, desk }
    }
}

impl Actor for Agent {
    type Context = Context<Self>;
}

impl Handler<RunTask> for Agent {
    type Result = MessageResult<RunTask>;

    fn handle(&mut self, RunTask(job): RunTask, _: &mut Context<Self>) -> Self::Result {
        MessageResult(Working::on(run(self.spec.clone(), self.desk.clone(), job)))
    }
}

impl Handler<Talk> for Agent {
    type Result = MessageResult<Talk>;

    fn handle(&mut self, Talk(turn): Talk, _: &mut Context<Self>) -> Self::Result {
        let (spec, desk) = (self.spec.clone(), self.desk.clone());
        MessageResult(Working::on(async move {
            let _running = Running::new(&desk, &spec.name);
            talk(&spec, &desk, &turn).await
        }))
    }
}

async fn run(spec: Arc<AgentSpec>, desk: Arc<Desk>, job: Job) -> Outcome {
    let started_at = desk.clock.now();
    let _running = Running::new(&desk, &spec.name);
    let mut story = Story { spent: job.carried, ..Story::default() };
    let work = attempt::run(&spec, &desk, &job, &mut story);
    let ending = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        tracing::warn!(agent = %spec.name, task = job.id, "a task panicked");
        let problem =
            Problem::own("api_error", "polpo failed while it ran this task; please report it");
        Ending::Errored { problem, reason: "panic", last_message: None }
    });
    let (model, profile) = story.last_call.unzip();
    Outcome {
        ending,
        attempts: story.attempts,
        spent: story.spent,
        model: model.map(|spec| spec.model),
        profile,
        why: story.why,
        escalated_from: story.escalated_from.map(|spec| spec.model),
        started_at,
        ended_at: desk.clock.now(),
    }
}

/// Counts a running task or turn, however it ends.
struct Running<'a> {
    metrics: &'a Metrics,
    agent: &'a AgentId,
}

impl<'a> Running<'a> {
    fn new(desk: &'a Desk, agent: &'a AgentId) -> Self {
        desk.metrics.agent_running(agent, 1);
        Self { metrics: &desk.metrics, agent }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.metrics.agent_running(self.agent, -1);
    }
}
