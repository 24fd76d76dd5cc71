//! One batch: its requests run evenly over the time it takes, unless it is canceled or expires.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Pace;
use super::creation::{Item, Submission};
use crate::clock::{Clock, SimTime};
use crate::draw::{Digest, Draws};
use crate::limiter::Caller;
use crate::problem::{Envelope, Problem};
use crate::request::Rules;

/// Spread of the logarithm of how long a batch takes.
const SPREAD: f64 = 0.35;

/// Shortest time a batch takes, so that it is in progress when it is created.
pub(super) const LEAST: Duration = Duration::from_millis(1);

/// After that, what has not run expires.
const EXPIRES_AFTER: Duration = Duration::from_hours(24);

/// After that, the results are gone.
const ARCHIVED_AFTER: Duration = Duration::from_hours(29 * 24);

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: String,
    pub(super) caller: Caller,
    /// How `params` are to be read.
    rules: Rules,
    /// SHA-256 of the body it was created from and the workspace.
    pub(super) contents: Digest,
    draws: Draws,
    expired_rate: f64,
    created: SimTime,
    /// How long it takes if nothing comes between: not zero.
    pub(super) takes: Duration,
    canceled: Option<SimTime>,
    total: usize,
    /// Requests of which nothing has become yet, the next one first.
    waiting: VecDeque<Item>,
    /// Results so far.
    lines: Vec<u8>,
    /// All of them, once there are no more to come: to be read by many without a copy.
    pub(super) results: Bytes,
    is_archived: bool,
    pub(super) counts: Counts,
    /// About what it takes to keep it.
    pub(super) bytes: usize,
}

/// A request whose time has come.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) at: SimTime,
    pub(crate) caller: Caller,
    pub(crate) rules: Rules,
    pub(crate) params: Value,
}

/// Requests by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    processing: usize,
    succeeded: usize,
    errored: usize,
    canceled: usize,
    expired: usize,
}

impl Batch {
    pub(super) fn new(submitted: Submission, draws: Draws, pace: Pace, created: SimTime) -> Self {
        let Submission { caller, rules, contents, items } = submitted;
        let takes = draws.lognormal("batch", pace.median.as_secs_f64(), SPREAD);
        Self {
            id: format!("msgbatch_01{}", draws.id("batch", 22)),
            caller,
            rules,
            contents,
            draws,
            expired_rate: pace.expired_rate,
            created,
            takes: Duration::from_secs_f64(takes).max(LEAST),
            canceled: None,
            total: items.len(),
            bytes: size_of::<Self>() + items.iter().map(Item::bytes).sum::<usize>(),
            waiting: items.into(),
            lines: Vec::new(),
            results: Bytes::new(),
            is_archived: false,
            counts: Counts::default(),
        }
    }

    /// When something happens to it next, if ever: a request is done with, or the results go.
    pub(super) fn next(&self) -> Option<SimTime> {
        match self.waiting.len() {
            0 => (!self.is_archived).then(|| self.archived()),
            _ => Some(self.due().unwrap_or_else(|| self.end())),
        }
    }

    /// When the next request runs, if nothing comes before that.
    fn due(&self) -> Option<SimTime> {
        let nth = (self.total - self.waiting.len() + 1) as u128;
        let after = nth * self.takes.as_nanos() / self.total as u128;
        let after = u64::try_from(after).unwrap_or(u64::MAX);
        let due = self.created.after(Duration::from_nanos(after));
        let expires = self.created.after(EXPIRES_AFTER);
        let last = self.canceled.map_or(expires, |canceled| canceled.min(expires));
        (due <= last).then_some(due)
    }

    /// Lets happen what happens [next](Self::next).
    pub(super) fn step(&mut self, answer: &mut impl FnMut(Due) -> Result<Box<RawValue>, Problem>) {
        let (due, nth) = (self.due(), self.total - self.waiting.len());
        let Some(item) = self.waiting.pop_front() else { return self.archive() };
        let expires = self.draws.again(nth as u64).uniform("expired") < self.expired_rate;
        match due {
            Some(at) if !expires => {
                let Self { caller, rules, .. } = *self;
                let params = item.params();
                match params.and_then(|params| answer(Due { at, caller, rules, params })) {
                    Ok(message) => self.record(&item, &Outcome::Succeeded { message }),
                    Err(problem) => {
                        self.record(&item, &Outcome::Errored { error: problem.envelope(None) });
                    }
                }
            }
            None if self.canceled.is_some() => self.record(&item, &Outcome::Canceled),
            _ => self.record(&item, &Outcome::Expired),
        }
        if self.has_ended() {
            self.waiting = VecDeque::new();
            self.lines.shrink_to_fit();
            self.results = std::mem::take(&mut self.lines).into();
        }
    }

    fn archive(&mut self) {
        self.bytes -= self.results.len();
        self.results = Bytes::new();
        self.is_archived = true;
    }

    /// What has not run by now does not run any more.
    pub(super) fn cancel(&mut self, now: SimTime) {
        self.canceled.get_or_insert(now);
    }

    fn record(&mut self, item: &Item, outcome: &Outcome<'_>) {
        let count = match outcome {
            Outcome::Succeeded { .. } => &mut self.counts.succeeded,
            Outcome::Errored { .. } => &mut self.counts.errored,
            Outcome::Canceled => &mut self.counts.canceled,
            Outcome::Expired => &mut self.counts.expired,
        };
        *count += 1;
        let line = Line { custom_id: &item.custom_id, result: outcome };
        let mut line = serde_json::to_vec(&line).unwrap_or_default();
        line.push(b'\n');
        self.bytes = self.bytes - item.bytes() + line.len();
        self.lines.extend(line);
    }

    /// A canceled batch goes on for a tenth of its time: what runs then cannot be interrupted.
    fn end(&self) -> SimTime {
        let end = self.created.after(self.takes.min(EXPIRES_AFTER));
        self.canceled.map_or(end, |canceled| canceled.after(self.takes / 10).min(end))
    }

    fn archived(&self) -> SimTime {
        self.created.after(ARCHIVED_AFTER)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn has_results(&self) -> bool {
        self.has_ended() && !self.is_archived
    }

    /// The batch as the API writes it. Its counts stay in `processing` until all have ended.
    pub(super) fn wire(&self, clock: &Clock, host: Option<&str>) -> Wire<'_> {
        let has_ended = self.has_ended();
        let stamp = |time| clock.wall(time).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let processing = Counts { processing: self.total, ..Counts::default() };
        Wire {
            id: &self.id,
            r#type: "message_batch",
            processing_status: match (has_ended, self.canceled) {
                (true, _) => "ended",
                (false, Some(_)) => "canceling",
                (false, None) => "in_progress",
            },
            request_counts: if has_ended { self.counts } else { processing },
            ended_at: has_ended.then(|| stamp(self.end())),
            created_at: stamp(self.created),
            expires_at: stamp(self.created.after(EXPIRES_AFTER)),
            archived_at: self.is_archived.then(|| stamp(self.archived())),
            cancel_initiated_at: self.canceled.map(stamp),
            results_url: self.has_results().then(|| results_url(&self.id, host)),
        }
    }
}

/// Where the results are: at the simulator the client spoke to, lest it turn to the real API. Who
/// named no host gets a name that no host has.
fn results_url(id: &str, host: Option<&str>) -> String {
    let host = host.unwrap_or("simulator.invalid");
    format!("http://{host}/v1/messages/batches/{id}/results")
}

#[derive(Serialize)]
pub(super) struct Wire<'a> {
    id: &'a str,
    r#type: &'static str,
    processing_status: &'static str,
    request_counts: Counts,
    ended_at: Option<String>,
    created_at: String,
    expires_at: String,
    archived_at: Option<String>,
    cancel_initiated_at: Option<String>,
    results_url: Option<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    custom_id: &'a str,
    result: &'a Outcome<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Outcome<'a> {
    Succeeded { message: Box<RawValue> },
    Errored { error: Envelope<'a> },
    Canceled,
    Expired,
}
