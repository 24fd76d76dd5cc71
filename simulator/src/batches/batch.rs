//! One batch: its requests run evenly over the time it takes, unless it is canceled or expires.

use std::collections::VecDeque;
use std::time::Duration;

use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::creation::Item;
use crate::clock::{Clock, SimTime};
use crate::draw::Digest;
use crate::problem::{Envelope, Problem};

/// After that, what has not run expires.
const EXPIRES_AFTER: Duration = Duration::from_hours(24);

/// After that, the results are gone.
const ARCHIVED_AFTER: Duration = Duration::from_hours(29 * 24);

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: String,
    pub(super) account: usize,
    pub(super) workspace: String,
    /// The headers that say how `params` are to be read.
    pub(super) headers: HeaderMap,
    /// SHA-256 of the body it was created from and the workspace.
    pub(super) contents: Digest,
    pub(super) created: SimTime,
    /// How long it takes if nothing comes between: not zero.
    pub(super) takes: Duration,
    pub(super) canceled: Option<SimTime>,
    pub(super) total: usize,
    /// Requests that have not run, the next one first.
    pub(super) waiting: VecDeque<Item>,
    /// Results so far, as they are served.
    pub(super) lines: Vec<u8>,
    pub(super) counts: Counts,
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
    /// When the requests ran, or will have run, that are due by now and have not run yet.
    pub(super) fn due(&self, now: SimTime) -> impl Iterator<Item = SimTime> {
        let last = [self.canceled.unwrap_or(now), self.created.after(EXPIRES_AFTER)];
        let last = last.into_iter().fold(now, SimTime::min);
        let elapsed = u128::from(last.0.saturating_sub(self.created.0));
        let (total, takes) = (self.total as u128, self.takes.as_nanos());
        let run = (self.total - self.waiting.len()) as u128;
        let due = (elapsed * total / takes).min(total);
        let offset = move |n: u128| u64::try_from((n + 1) * takes / total).unwrap_or(u64::MAX);
        let created = self.created;
        (run..due).map(move |n| created.after(Duration::from_nanos(offset(n))))
    }

    /// Runs the next request.
    pub(super) fn run_next(
        &mut self,
        answer: &mut impl FnMut(usize, &HeaderMap, &Value) -> Result<Box<RawValue>, Problem>,
    ) {
        let Some(item) = self.waiting.pop_front() else { return };
        if item.expires {
            return self.record(&item, &Outcome::Expired);
        }
        match item.params().and_then(|params| answer(self.account, &self.headers, &params)) {
            Ok(message) => self.record(&item, &Outcome::Succeeded { message }),
            Err(problem) => {
                self.record(&item, &Outcome::Errored { error: problem.envelope(None) });
            }
        }
    }

    /// At its end gives up on what has not run, and drops the results when they are archived.
    pub(super) fn close(&mut self, now: SimTime) {
        if self.has_ended(now) {
            let is_canceled = self.canceled.is_some();
            for item in std::mem::take(&mut self.waiting) {
                let given_up = if is_canceled { Outcome::Canceled } else { Outcome::Expired };
                self.record(&item, &given_up);
            }
        }
        if self.is_archived(now) {
            self.lines = Vec::new();
        }
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
        self.lines.extend(serde_json::to_vec(&line).unwrap_or_default());
        self.lines.push(b'\n');
    }

    /// A canceled batch goes on for a tenth of its time: what runs then cannot be interrupted.
    fn end(&self) -> SimTime {
        let end = self.created.after(self.takes.min(EXPIRES_AFTER));
        self.canceled.map_or(end, |canceled| canceled.after(self.takes / 10).min(end))
    }

    pub(super) fn has_ended(&self, now: SimTime) -> bool {
        now >= self.end()
    }

    pub(super) fn has_results(&self, now: SimTime) -> bool {
        self.has_ended(now) && !self.is_archived(now)
    }

    fn is_archived(&self, now: SimTime) -> bool {
        now >= self.created.after(ARCHIVED_AFTER)
    }

    /// About what it takes to keep it.
    pub(super) fn bytes(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(Item::bytes).sum();
        size_of::<Self>() + self.lines.len() + waiting
    }

    /// The batch as the API writes it. Its counts stay in `processing` until all have ended.
    pub(super) fn wire(&self, now: SimTime, clock: &Clock, host: Option<&str>) -> Wire<'_> {
        let has_ended = self.has_ended(now);
        let stamp = |time| clock.wall(time).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let processing = Counts { processing: self.total, ..Counts::default() };
        let archived = self.created.after(ARCHIVED_AFTER);
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
            archived_at: self.is_archived(now).then(|| stamp(archived)),
            cancel_initiated_at: self.canceled.map(stamp),
            results_url: self.has_results(now).then(|| results_url(&self.id, host)),
        }
    }
}

/// Where the results are: at the simulator the client spoke to, lest it turn to the real API.
fn results_url(id: &str, host: Option<&str>) -> String {
    let origin = match host {
        Some(host) => format!("http://{host}"),
        None => "https://api.anthropic.com".to_owned(),
    };
    format!("{origin}/v1/messages/batches/{id}/results")
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
