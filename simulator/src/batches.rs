//! The message batches API. There is no background task: a batch is a function of time, and
//! whatever has come due by now is answered when somebody looks.

mod batch;
mod creation;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use http::{HeaderMap, Method};
use polpo_upstream::transport::Call;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::clock::{Clock, SimTime};
use crate::draw::{Digest, Draws, sha256};
use crate::page::{Wanted, parameters};
use crate::problem::{Kind, Problem};
use batch::Batch;
use creation::Item;

/// Most bytes of requests and results that are kept: four of the largest batches the API takes.
const MAX_BYTES: usize = 4 * 256 * 1024 * 1024;

/// Contents whose submissions are counted, before those whose batches are gone are forgotten: a
/// few megabytes.
const MAX_CONTENTS: usize = 1 << 16;

/// Spread of the logarithm of how long a batch takes.
const SPREAD: f64 = 0.35;

/// Shortest time a batch takes, so that it is in progress when it is created.
const LEAST: Duration = Duration::from_millis(1);

/// How fast batches are processed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Median time until a batch is processed.
    pub(crate) median: Duration,
    /// Share of the requests that expire though there was time for them: so that what a client
    /// does about it can be seen within minutes.
    pub(crate) expired_rate: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { median: Duration::from_secs(60), expired_rate: 0.0 }
    }
}

/// Who calls, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) now: SimTime,
    pub(crate) account: usize,
    /// Whose batches the caller sees.
    pub(crate) workspace: &'a str,
}

/// A body and its content type.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

/// All batches of all workspaces, oldest first.
#[derive(Debug)]
pub(crate) struct Batches {
    seed: u64,
    clock: Clock,
    pace: Pace,
    batches: Vec<Batch>,
    /// How often the same contents were submitted: a second time is another draw.
    submissions: HashMap<Digest, u64>,
}

impl Batches {
    pub(crate) fn new(seed: u64, clock: Clock, pace: Pace) -> Self {
        Self { seed, clock, pace, batches: Vec::new(), submissions: HashMap::new() }
    }

    /// Answers what has come due, in the order of its time whenever somebody looks, each request
    /// once. `answer` gets the account, the headers the batch was created with, and the `params`.
    pub(crate) fn advance(
        &mut self,
        now: SimTime,
        mut answer: impl FnMut(usize, &HeaderMap, &Value) -> Result<Box<RawValue>, Problem>,
    ) {
        let times = |(index, batch): (usize, &Batch)| {
            batch.due(now).map(move |at| (at, index)).collect::<Vec<_>>()
        };
        let mut due: Vec<_> = self.batches.iter().enumerate().flat_map(times).collect();
        due.sort_unstable();
        for (_, index) in due {
            if let Some(batch) = self.batches.get_mut(index) {
                batch.run_next(&mut answer);
            }
        }
        for batch in &mut self.batches {
            batch.close(now);
        }
    }

    /// Answers a call below `/v1/messages/batches`, everything being [advanced](Self::advance)
    /// to its time.
    pub(crate) fn serve(&mut self, call: &Call, caller: Caller<'_>) -> Result<Reply, Problem> {
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let host = call.headers.get("host").and_then(|host| host.to_str().ok());
        let segments: Vec<_> = path.split('/').collect();
        let ["", "v1", "messages", "batches", rest @ ..] = segments.as_slice() else {
            return Err(Problem::new(Kind::NotFound, "Not Found"));
        };
        match (&call.method, rest) {
            (&Method::POST, []) => self.create(call, caller),
            (&Method::GET, []) => self.list(query, caller, host),
            (&Method::GET, [id]) => self.get(id, caller, host),
            (&Method::DELETE, [id]) => self.delete(id, caller),
            (&Method::POST, [id, "cancel"]) => self.cancel(id, caller, host),
            (&Method::GET, [id, "results"]) => self.results(id, caller),
            _ => Err(Problem::new(Kind::NotFound, "Not Found")),
        }
    }

    fn create(&mut self, call: &Call, caller: Caller<'_>) -> Result<Reply, Problem> {
        let items = creation::read(&call.body)?;
        self.make_room(caller.now, items.iter().map(Item::bytes).sum())?;
        let contents = sha256(&[&sha256(&call.body), caller.workspace.as_bytes()].concat());
        let nth = self.submissions.entry(contents).or_default();
        let draw = |name: &str| Draws::new(self.seed, &contents, name, *nth);
        let drawn = items.into_iter().map(|mut item| {
            let draws = draw(&item.custom_id);
            item.expires = draws.uniform("expired") < self.pace.expired_rate;
            (draws.bits("order", 0), item)
        });
        let mut drawn: Vec<_> = drawn.collect();
        drawn.sort_by_key(|(order, _)| *order);
        let draws = draw("");
        *nth += 1;
        let takes = draws.lognormal("batch", self.pace.median.as_secs_f64(), SPREAD);
        let batch = Batch {
            id: format!("msgbatch_01{}", draws.id("batch", 22)),
            account: caller.account,
            workspace: caller.workspace.to_owned(),
            headers: spoken(&call.headers),
            contents,
            created: caller.now,
            takes: Duration::from_secs_f64(takes).max(LEAST),
            canceled: None,
            total: drawn.len(),
            waiting: drawn.into_iter().map(|(_, item)| item).collect(),
            lines: Vec::new(),
            counts: batch::Counts::default(),
        };
        let reply = json(&batch.wire(caller.now, &self.clock, None));
        self.batches.push(batch);
        self.forget_contents();
        Ok(reply)
    }

    fn list(&self, query: &str, caller: Caller<'_>, host: Option<&str>) -> Result<Reply, Problem> {
        let parameters = parameters(query)?;
        let own = self.batches.iter().rev().filter(|batch| batch.workspace == caller.workspace);
        let page = Wanted::read(&parameters)?.of(own.collect(), |batch| &batch.id)?;
        Ok(json(&page.map(|batch| batch.wire(caller.now, &self.clock, host))))
    }

    fn get(&self, id: &str, caller: Caller<'_>, host: Option<&str>) -> Result<Reply, Problem> {
        let batch = self.batches.get(self.find(id, caller)?).ok_or_else(|| unknown(id))?;
        Ok(json(&batch.wire(caller.now, &self.clock, host)))
    }

    fn cancel(
        &mut self,
        id: &str,
        caller: Caller<'_>,
        host: Option<&str>,
    ) -> Result<Reply, Problem> {
        let index = self.find(id, caller)?;
        let batch = self.batches.get_mut(index).ok_or_else(|| unknown(id))?;
        if batch.has_ended(caller.now) {
            return Err(Problem::invalid(format!(
                "Message Batch {id} cannot be canceled because it has already ended."
            )));
        }
        batch.canceled.get_or_insert(caller.now);
        Ok(json(&batch.wire(caller.now, &self.clock, host)))
    }

    fn delete(&mut self, id: &str, caller: Caller<'_>) -> Result<Reply, Problem> {
        let index = self.find(id, caller)?;
        if self.batches.get(index).is_some_and(|batch| !batch.has_ended(caller.now)) {
            return Err(Problem::invalid(
                "In progress batches cannot be deleted. Consider canceling the batch instead.",
            ));
        }
        self.batches.remove(index);
        Ok(json(&Deleted { id, r#type: "message_batch_deleted" }))
    }

    fn results(&self, id: &str, caller: Caller<'_>) -> Result<Reply, Problem> {
        let batch = self.batches.get(self.find(id, caller)?).ok_or_else(|| unknown(id))?;
        if batch.has_results(caller.now) {
            return Ok(Reply { content_type: "application/x-jsonl", body: batch.lines.clone() });
        }
        let message = format!("Message Batch {id} has no available results.");
        Err(Problem::new(Kind::NotFound, message))
    }

    /// Where a batch of the caller's workspace is.
    fn find(&self, id: &str, caller: Caller<'_>) -> Result<usize, Problem> {
        let is_it = |batch: &Batch| batch.id == id && batch.workspace == caller.workspace;
        self.batches.iter().position(is_it).ok_or_else(|| unknown(id))
    }

    /// Forgets ended batches, the oldest first, until so many more bytes may be kept.
    fn make_room(&mut self, now: SimTime, bytes: usize) -> Result<(), Problem> {
        let mut kept: usize = self.batches.iter().map(Batch::bytes).sum();
        while kept + bytes > MAX_BYTES {
            let Some(oldest) = self.batches.iter().position(|batch| batch.has_ended(now)) else {
                let message = "Too many batch requests are in processing. Please try again later.";
                return Err(Problem::new(Kind::RateLimit, message));
            };
            kept -= self.batches.remove(oldest).bytes();
        }
        Ok(())
    }

    fn forget_contents(&mut self) {
        if self.submissions.len() > MAX_CONTENTS {
            let kept: HashSet<_> = self.batches.iter().map(|batch| batch.contents).collect();
            self.submissions.retain(|contents, _| kept.contains(contents));
        }
    }
}

/// The headers that say how `params` are to be read.
fn spoken(headers: &HeaderMap) -> HeaderMap {
    let is_spoken = |name: &str| matches!(name, "anthropic-version" | "anthropic-beta");
    let spoken = headers.iter().filter(|(name, _)| is_spoken(name.as_str()));
    spoken.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn unknown(id: &str) -> Problem {
    Problem::new(Kind::NotFound, format!("Message Batch {id} not found."))
}

fn json(value: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(value).unwrap_or_default();
    Reply { content_type: "application/json", body }
}

#[derive(Serialize)]
struct Deleted<'a> {
    id: &'a str,
    r#type: &'static str,
}

#[cfg(test)]
mod tests;
