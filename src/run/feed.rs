//! From the task file to the agents: what has ended is passed over, the rest runs.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::Recipient;
use polpo_agents::job::{Job, Question, Spent};
use polpo_agents::messages::RunTask;
use polpo_policy::expect::Expectation;
use polpo_policy::id::AgentId;
use polpo_store::journal::{Journal, RunId};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::count::{Counts, bump};
use super::halt::{Halt, Phase};
use super::line::Label;
use super::sink::Ended;
use crate::config::Config;
use crate::exit::Stop;
use crate::tasks::{Effective, Shape, TaskReader};

/// Tasks looked up in the journal together: as many as one look-up takes.
const CHUNK: usize = 256;

/// Chunks read ahead: one in hand, one coming.
const CHUNKS_AHEAD: usize = 1;

/// What the feed needs to know.
pub(super) struct Feed {
    /// The run.
    pub(super) run: RunId,
    /// The task file.
    pub(super) tasks: PathBuf,
    /// The configuration.
    pub(super) config: Arc<Config>,
    /// The agent of tasks that name none.
    pub(super) agent: AgentId,
    /// Tasks to take from the file; the rest is left alone.
    pub(super) limit: u64,
    /// Whether failed tasks run again.
    pub(super) retry_failed: bool,
    /// Whether it is a simulated run.
    pub(super) simulated: bool,
    /// Tasks running at once.
    pub(super) concurrency: u32,
    /// The agents.
    pub(super) agents: BTreeMap<AgentId, Recipient<RunTask>>,
    /// The journal.
    pub(super) journal: Arc<dyn Journal>,
    /// What is counted.
    pub(super) counts: Arc<Counts>,
    /// The brake.
    pub(super) halt: Halt,
}

impl Feed {
    /// Runs every task that has not ended, and returns when all have, or at a halt.
    pub(super) async fn work(self, ended: mpsc::Sender<Ended>) {
        let (send, mut chunks) = mpsc::channel(CHUNKS_AHEAD);
        let reader = Reader {
            tasks: self.tasks.clone(),
            config: self.config.clone(),
            agent: self.agent.clone(),
            limit: self.limit,
        };
        let reading = tokio::task::spawn_blocking(move || reader.read(&send));
        let mut places = Places::new(&self);
        let mut running = JoinSet::new();
        // Twice as many tasks as run are at hand, so that an agent with few places holds up
        // another's tasks later, in bounded memory.
        let ahead = self.concurrency.saturating_mul(2) as usize;
        'feeding: loop {
            let chunk = tokio::select! {
                chunk = chunks.recv() => chunk,
                () = self.halt.reached(Phase::Draining) => None,
            };
            let Some(chunk) = chunk else { break };
            let jobs = match self.select(chunk).await {
                Ok(jobs) => jobs,
                Err(stop) => {
                    self.halt.brake(Phase::Now, stop);
                    break;
                }
            };
            for (label, job) in jobs {
                while running.len() >= ahead {
                    tokio::select! {
                        _ = running.join_next() => {}
                        () = self.halt.reached(Phase::Draining) => break 'feeding,
                    }
                }
                running.spawn(places.task(&self, label, job, ended.clone()));
            }
        }
        drop(chunks); // Ends the reader, too.
        loop {
            tokio::select! {
                over = running.join_next() => if over.is_none() { break },
                () = self.halt.reached(Phase::Now) => break,
            }
        }
        running.shutdown().await;
        match reading.await {
            Ok(Ok(())) => {}
            Ok(Err(stop)) => self.halt.brake(Phase::Draining, stop),
            Err(_) => self.halt.brake(Phase::Now, Stop::usage("the task file could not be read")),
        }
    }

    /// Leaves out what has ended, and adds what was spent on the rest before.
    async fn select(&self, chunk: Vec<Effective>) -> Result<Vec<(Label, Job)>, Stop> {
        let ids = |chunk: &[Effective]| -> Vec<String> {
            chunk.iter().map(|task| task.id.to_string()).collect()
        };
        let finished = self.journal.finished(self.run, ids(&chunk)).await;
        let finished: HashMap<_, _> = finished
            .map_err(Stop::not_written)?
            .into_iter()
            .map(|task| (task.custom_id.clone(), task))
            .collect();
        let mut open = Vec::with_capacity(chunk.len());
        for task in chunk {
            match finished.get(task.id.as_str()).filter(|it| it.request_sha256 == task.sha256) {
                Some(known) if known.succeeded => bump(&self.counts.succeeded_before),
                // One that was begun again has costs that its old result does not tell.
                Some(known) if !self.retry_failed && !known.begun_again => {
                    bump(&self.counts.failed_before);
                }
                Some(_) | None => open.push(task),
            }
        }
        let carried = self.journal.carried(self.run, ids(&open)).await;
        let carried: HashMap<_, _> = carried
            .map_err(Stop::not_written)?
            .into_iter()
            .map(|it| (it.custom_id, Spent { calls: it.calls, usage: it.usage, cost: it.cost }))
            .collect();
        open.into_iter()
            .map(|task| {
                let spent = carried.get(task.id.as_str()).copied().unwrap_or_default();
                self.job(task, spent)
            })
            .collect()
    }

    fn job(&self, task: Effective, carried: Spent) -> Result<(Label, Job), Stop> {
        let expectation = task.expect.as_ref().map(Expectation::compile).transpose();
        let expectation =
            expectation.map_err(|error| Stop::usage(format!("{}: {error}", task.id)))?;
        let mut model = task.model;
        if self.simulated {
            model.pin = None; // It names a profile of the real world.
        }
        let job = Job {
            run: self.run,
            id: task.id.to_string(),
            model,
            question: Question {
                fields: task.body,
                max_tokens: u64::from(task.max_tokens),
                is_ours: task.shape == Shape::Prompt,
            },
            expectation,
            carried,
        };
        let label = Label {
            run: self.run,
            id: task.id.to_string(),
            sha256: task.sha256,
            agent: task.agent,
            metadata: task.metadata.map(|raw| raw.get().to_owned()),
            simulated: self.simulated,
        };
        Ok((label, job))
    }
}

/// The places where tasks run: so many in all, and so many for each agent that says so.
struct Places {
    all: Arc<Semaphore>,
    agents: HashMap<AgentId, Arc<Semaphore>>,
}

impl Places {
    fn new(feed: &Feed) -> Self {
        let limited = feed.config.agents.iter().filter_map(|agent| {
            let places = agent.max_concurrency? as usize;
            Some((agent.name.clone(), Arc::new(Semaphore::new(places))))
        });
        Self { all: Arc::new(Semaphore::new(feed.concurrency as usize)), agents: limited.collect() }
    }

    /// A task that waits for its places, runs, and hands its outcome in.
    fn task(
        &mut self,
        feed: &Feed,
        label: Label,
        job: Job,
        ended: mpsc::Sender<Ended>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (all, own) = (self.all.clone(), self.agents.get(&label.agent).cloned());
        let agent = feed.agents.get(&label.agent).cloned();
        let (halt, counts) = (feed.halt.clone(), feed.counts.clone());
        async move {
            let Some(agent) = agent else { return };
            let places = async {
                let own = match &own {
                    Some(own) => own.acquire().await.ok(),
                    None => None,
                };
                (own, all.acquire().await)
            };
            let _places = tokio::select! {
                biased;
                () = halt.reached(Phase::Draining) => return,
                places = places => places,
            };
            let running = Running::new(counts);
            // An agent only goes away with the whole program.
            let Ok(task) = agent.send(RunTask(job)).await else { return };
            let outcome = task.outcome().await;
            drop(running);
            let _ = ended.send(Ended { label, outcome }).await;
        }
    }
}

/// Counts a running task, even if it is cut off.
struct Running(Arc<Counts>);

impl Running {
    fn new(counts: Arc<Counts>) -> Self {
        counts.running.fetch_add(1, Ordering::Relaxed);
        Self(counts)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads tasks on a thread of its own, a chunk at a time.
struct Reader {
    tasks: PathBuf,
    config: Arc<Config>,
    agent: AgentId,
    limit: u64,
}

impl Reader {
    fn read(&self, send: &mpsc::Sender<Vec<Effective>>) -> Result<(), Stop> {
        let Some(agent) = self.config.agent(self.agent.as_str()) else { return Ok(()) };
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut left = self.limit;
        for task in TaskReader::open(&self.tasks).map_err(Stop::usage)? {
            if left == 0 {
                break;
            }
            left -= 1;
            let (line, task) = task.map_err(Stop::usage)?;
            let task = Effective::of(task, &self.config, agent).map_err(|problem| {
                Stop::usage(format!("{}:{line}: {problem}", self.tasks.display()))
            })?;
            chunk.push(task);
            if chunk.len() == CHUNK && send.blocking_send(std::mem::take(&mut chunk)).is_err() {
                return Ok(()); // The run has been halted.
            }
        }
        if !chunk.is_empty() {
            let _ = send.blocking_send(chunk); // Likewise.
        }
        Ok(())
    }
}
