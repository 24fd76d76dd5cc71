//! `polpo run`: a file of tasks, to its end.

mod count;
mod estimate;
mod feed;
mod halt;
mod line;
mod open;
mod plan;
pub(crate) mod points;
mod progress;
mod results;
mod sink;
mod summary;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use polpo_metrics::{Metrics, Surface};
use tokio::sync::mpsc;

use crate::cli::{Global, RunArgs};
use crate::config::process_env;
use crate::control::{self, Handles};
use crate::ending::ignore_file_size_signal;
use crate::exit::{Exit, Stop};
use crate::roster::Supplied;
use crate::state::StateDir;
use crate::wiring::{self, Actors, Shared};
use count::{Counts, get};
use feed::Feed;
use halt::Halt;
use open::{Opened, open};
pub(crate) use open::{journal_path, open_journal};
pub use plan::read_scenario;
use plan::{Plan, plan, results_path, supplied};
pub(crate) use plan::{no_credential, no_profile, pick_agent, unpin};
use progress::Progress;
use results::ResultsFile;
use sink::Sink;

/// Outcomes on their way to the sink; when it is this far behind, tasks wait to hand theirs in.
const OUTCOMES_WAITING: usize = 1024;

/// Runs the command.
///
/// # Errors
/// When the run cannot begin or cannot go on.
pub async fn run(global: &Global, args: &RunArgs) -> Result<Exit, Stop> {
    ignore_file_size_signal();
    let plan = plan(global, args)?;
    if args.dry_run {
        return estimate::show(&plan.config, &plan.scan, args.json);
    }
    let results = results_path(args)?;
    let simulated = plan.simulator.is_some();
    let state = StateDir::open(global.state_dir.as_deref(), simulated, &process_env)?;
    let supplied = supplied(&plan, &state)?;
    let opened = open(&state, &plan, &results).await?;
    let journal = opened.journal.clone();
    let outcome = execute(global, args, plan, (supplied, opened)).await;
    let closed = journal.close().await.map_err(Stop::not_written);
    let exit = outcome?;
    closed?;
    Ok(exit)
}

/// Runs what is planned, on what is opened.
async fn execute(
    global: &Global,
    args: &RunArgs,
    plan: Plan,
    (supplied, opened): (Supplied, Opened),
) -> Result<Exit, Stop> {
    let metrics = Metrics::new(plan.config.settings.show_profile_names).map_err(Stop::usage)?;
    let Supplied { outlets, clock, file, vault, watch } = supplied;
    let shared = Shared {
        journal: opened.journal.clone(),
        metrics: metrics.clone(),
        clock,
        surface: Surface::Batch,
        seed: fastrand::u64(..),
        profiles: file,
    };
    let actors = wiring::start(&plan.config, outlets, shared, plan.concurrency);
    let _control = control::serve(&opened.state, Handles::of(&actors.scheduler));
    let counts = Arc::new(Counts::default());
    let tasks = plan.scan.tasks;
    counts.total.store(tasks.min(args.limit.unwrap_or(u64::MAX)), Ordering::Relaxed);
    let shown = (counts.clone(), metrics.clone(), actors.observe.clone());
    let progress = Progress::new(global, &opened.run, shown);
    progress.begin(&opened.lost);
    let server = args.metrics_addr.map(|address| progress.serve(address)).transpose()?;

    let (journal, run, lost) = (opened.journal.clone(), opened.run.clone(), opened.lost.clone());
    let halt = Halt::default();
    let watch = wiring::watching(watch, actors.clone());
    let results = tokio::select! {
        results = work(args, &plan, opened, (&actors, &counts, &halt, &progress)) => results,
        () = watch => Err(early()),
    };
    vault.settled().await;
    actors.flush().await;
    let results = results?;
    progress.end().await;
    if let Some(server) = server {
        server.stop(true).await;
    }
    let why = halt.why();
    if !why.as_ref().is_some_and(|why| why.exit == Exit::NotWritten) {
        results.tidy(&*journal).await.map_err(Stop::not_written)?;
        let written = args.metrics_file.as_deref().map(|path| write_metrics(path, &metrics));
        let (limit, elapsed) = (args.limit, progress.elapsed());
        let summary = summary::Summary {
            journal: &*journal,
            run: &run,
            counts: &counts,
            tasks_in_file: tasks,
            limit,
            elapsed,
            lost: &lost,
        };
        summary.show(args.json).await?;
        written.transpose()?;
    }
    match why {
        Some(stop) => Err(stop),
        // Nothing is left over unless something was halted; if it is, that is no success.
        None if counts.done() < get(&counts.total) => Ok(Exit::TasksFailed),
        None if counts.gauges().failed > 0 => Ok(Exit::TasksFailed),
        None => Ok(Exit::Success),
    }
}

fn early() -> Stop {
    Stop::usage("the run ended before its work did; please report it")
}

/// Feeds the agents and keeps what comes of it, until all is done or halted.
async fn work(
    args: &RunArgs,
    plan: &Plan,
    opened: Opened,
    (actors, counts, halt, progress): (&Actors, &Arc<Counts>, &Halt, &Progress),
) -> Result<ResultsFile, Stop> {
    let Opened { journal, run, results, .. } = opened;
    let feed = Feed {
        run: run.id,
        tasks: plan.tasks.path().to_owned(),
        config: plan.config.clone(),
        agent: plan.agent.name.clone(),
        limit: args.limit.unwrap_or(u64::MAX),
        retry_failed: args.retry_failed,
        simulated: plan.simulator.is_some(),
        concurrency: plan.concurrency,
        agents: actors.agents.clone(),
        journal: journal.clone(),
        counts: counts.clone(),
        halt: halt.clone(),
    };
    let (counts, halt) = (counts.clone(), halt.clone());
    let brake = halt.clone();
    let sink = Sink { journal, run, results, counts, halt, is_torn: false };
    let (send, ended) = mpsc::channel(OUTCOMES_WAITING);
    let work = async { tokio::join!(feed.work(send), sink.work(ended)).1 };
    tokio::select! {
        results = work => Ok(results),
        () = progress.show() => Err(early()),
        () = brake.listen() => Err(early()),
    }
}

fn write_metrics(path: &Path, metrics: &Metrics) -> Result<(), Stop> {
    let fault = |error: &dyn std::fmt::Display| {
        Stop::not_written(format!("--metrics-file: {} cannot be written: {error}", path.display()))
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(readable())
        .tempfile_in(directory)
        .map_err(|e| fault(&e))?;
    std::io::Write::write_all(&mut file, metrics.render().as_bytes()).map_err(|e| fault(&e))?;
    file.persist(path).map(drop).map_err(|error| fault(&error.error))
}

/// The collector that reads the file is another user's.
fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}
