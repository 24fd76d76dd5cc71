//! What a run shows while it goes on: a display on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Recipient;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use polpo_agents::messages::{Observe, Snapshot};
use polpo_metrics::Metrics;
use polpo_policy::pool::Throttle;
use polpo_policy::price::Nanodollars;
use polpo_store::journal::{LostCall, Run};

use super::count::{Counts, get};
use crate::cli::Global;
use crate::exit::Stop;
use crate::http::metrics::ServerHandle;
use crate::logs::is_coloured;
use crate::out::tell;

/// How often a terminal is drawn: as often as an eye follows.
const DRAW_EVERY: Duration = Duration::from_millis(250);

/// How often a line is written where nobody draws over it.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The display of a run.
pub(super) struct Progress {
    counts: Arc<Counts>,
    metrics: Metrics,
    observe: Recipient<Observe>,
    name: String,
    began: Instant,
    look: Look,
}

enum Look {
    Quiet,
    Lines,
    Terminal { bar: ProgressBar, money: ProgressBar, wait: ProgressBar },
}

impl Progress {
    /// A display of what is counted and observed.
    #[must_use]
    pub(super) fn new(
        global: &Global,
        run: &Run,
        (counts, metrics, observe): (Arc<Counts>, Metrics, Recipient<Observe>),
    ) -> Self {
        let look = if global.quiet {
            Look::Quiet
        } else if std::io::stderr().is_terminal() {
            terminal(is_coloured(global))
        } else {
            Look::Lines
        };
        let path = std::path::Path::new(&run.results_path);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        Self { counts, metrics, observe, name, began: Instant::now(), look }
    }

    /// Lists what an earlier process left in flight.
    pub(super) fn begin(&self, lost: &[LostCall]) {
        if lost.is_empty() || matches!(self.look, Look::Quiet) {
            return;
        }
        let charged: Nanodollars = lost.iter().map(|call| call.reserved).sum();
        self.line(&format!(
            "{} calls were in flight when an earlier run ended; they are charged at most: {}",
            lost.len(),
            dollars(charged)
        ));
        for call in lost {
            let (task, model, profile) = (&call.task, &call.model, &call.profile);
            self.line(&format!("  task {task}, attempt {}, {model} on {profile}", call.attempt));
        }
    }

    /// Serves `/metrics`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub(super) fn serve(&self, address: SocketAddr) -> Result<ServerHandle, Stop> {
        let (metrics, observe) = (self.metrics.clone(), self.observe.clone());
        let (bound, server) = crate::http::metrics::server(address, metrics, observe)?;
        let handle = server.handle();
        actix::spawn(async move {
            if let Err(error) = server.await {
                tracing::warn!(%error, "the metrics server ended");
            }
        });
        if !matches!(self.look, Look::Quiet) {
            self.line(&format!("metrics at http://{bound}/metrics"));
        }
        Ok(handle)
    }

    /// Shows how things stand, again and again, until it is dropped.
    pub(super) async fn show(&self) {
        let every = match &self.look {
            Look::Terminal { .. } => DRAW_EVERY,
            Look::Lines | Look::Quiet => LINE_EVERY,
        };
        let mut ticks = tokio::time::interval(every);
        ticks.tick().await; // The first is at once.
        loop {
            ticks.tick().await;
            self.draw().await;
        }
    }

    /// Brings the gauges up to date for the last time and clears the display.
    pub(super) async fn end(&self) {
        self.draw().await;
        if let Look::Terminal { bar, money, wait } = &self.look {
            bar.finish_and_clear();
            money.finish_and_clear();
            wait.finish_and_clear();
        }
    }

    /// How long the run has taken.
    #[must_use]
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    async fn draw(&self) {
        self.metrics.set_tasks(&self.name, self.counts.gauges());
        let snapshot = self.observe.send(Observe).await.unwrap_or_default();
        let (progress, money) = (self.progress(), self.money());
        let wait = waiting(&snapshot);
        match &self.look {
            Look::Quiet => {}
            Look::Lines => {
                let done = format!("{}/{}", self.counts.done(), get(&self.counts.total));
                let wait = wait.map(|wait| format!("; {wait}")).unwrap_or_default();
                self.line(&format!("{done} tasks, {progress}; {money}; {}{wait}", pool(&snapshot)));
            }
            Look::Terminal { bar, money: second, wait: third } => {
                bar.set_length(get(&self.counts.total));
                bar.set_position(self.counts.done());
                bar.set_message(progress);
                second.set_message(format!("{money}; {}", pool(&snapshot)));
                third.set_message(wait.unwrap_or_default());
            }
        }
    }

    fn progress(&self) -> String {
        let ended = self.counts.ended_now();
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = share(ended, seconds);
        let left = get(&self.counts.total).saturating_sub(self.counts.done());
        let eta = if ended == 0 {
            "eta unknown".to_owned()
        } else {
            format!("eta {}", clock_time(share(left, rate)))
        };
        format!("{rate:.1}/s, {eta}")
    }

    fn money(&self) -> String {
        let counts = &self.counts;
        let (ended, spent) = (counts.ended_now(), counts.cost());
        let left = get(&counts.total).saturating_sub(counts.done());
        let projected = projected(spent, ended, left);
        let projected =
            projected.map(|it| format!(" of about {}", dollars(it))).unwrap_or_default();
        let (running, retried) = (get(&counts.running), get(&counts.retried));
        let (escalated, failed) = (get(&counts.escalated), get(&counts.failed));
        format!(
            "{}{projected}; {running} running, {retried} retried, {escalated} escalated, {failed} failed",
            dollars(spent)
        )
    }

    fn line(&self, text: &str) {
        match &self.look {
            Look::Terminal { bar, .. } => bar.suspend(|| tell(text)),
            Look::Lines | Look::Quiet => tell(text),
        }
    }
}

fn terminal(is_coloured: bool) -> Look {
    let (bar, wait) = if is_coloured {
        ("{bar:32.cyan/dim}", "{wide_msg:.dim}")
    } else {
        ("{bar:32}", "{wide_msg}")
    };
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let styled = |template: &str| {
        let style = ProgressStyle::with_template(template);
        let bar = ProgressBar::no_length();
        all.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    };
    Look::Terminal {
        bar: styled(&format!("{bar} {{human_pos}}/{{human_len}} tasks, {{msg}}")),
        money: styled("{wide_msg}"),
        wait: styled(wait),
    }
}

/// The profiles by state.
fn pool(snapshot: &Snapshot) -> String {
    let states =
        snapshot.profiles.iter().map(|(state, count)| format!("{count} {}", state.label()));
    format!("profiles: {}", states.collect::<Vec<_>>().join(", "))
}

/// What most of the waiting requests wait for.
fn waiting(snapshot: &Snapshot) -> Option<String> {
    let wait = snapshot.waits.first()?;
    let whose = wait.organization.as_ref().map(|it| format!(" on org-{}", it.short()));
    let whose = whose.unwrap_or_default();
    let what = match wait.throttle {
        Throttle::Concurrency => "for a free place".to_owned(),
        Throttle::Limit(dimension) => {
            format!("limited by {}{whose}", dimension.label().replace('_', " "))
        }
        Throttle::Cooldown => format!("recovering from a limit or a fault{whose}"),
        Throttle::Outage => "while the provider fails".to_owned(),
    };
    let time = snapshot.first_ends_in;
    let time = time.map(|it| format!(", {:.1} s", it.as_secs_f64())).unwrap_or_default();
    Some(format!("{} waiting, {what}{time}", snapshot.queued))
}

/// What all will have cost if the rest costs what the ended ones did; unknown before any ended.
#[must_use]
pub(super) fn projected(spent: Nanodollars, ended: u64, left: u64) -> Option<Nanodollars> {
    let (ended, left) = (i128::from(ended), i128::from(left));
    let rest = (i128::from(spent.0) * left).checked_div(ended)?;
    Some(spent + Nanodollars(i64::try_from(rest).unwrap_or(i64::MAX)))
}

/// Money as people read it: to the cent from a dollar on, to a hundredth of a cent below.
#[must_use]
pub(super) fn dollars(money: Nanodollars) -> String {
    let amount = money.as_dollars();
    if amount.abs() >= 1.0 { format!("${amount:.2}") } else { format!("${amount:.4}") }
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn share(number: u64, of: f64) -> f64 {
    if of > 0.0 { number as f64 / of } else { 0.0 }
}

fn clock_time(seconds: f64) -> String {
    let whole = Duration::from_secs_f64(seconds.clamp(0.0, 1e9)).as_secs();
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_projected_at_the_mean_of_what_has_ended() {
        assert_eq!(projected(Nanodollars(30), 3, 7), Some(Nanodollars(100)));
        assert_eq!(projected(Nanodollars(0), 0, 7), None);
    }

    #[test]
    fn money_and_times_are_short() {
        assert_eq!(dollars(Nanodollars(4_217_000)), "$0.0042");
        assert_eq!(dollars(Nanodollars(12_345_000_000)), "$12.35");
        assert_eq!((clock_time(61.4), clock_time(3725.0)), ("1:01".into(), "1:02:05".into()));
    }
}
