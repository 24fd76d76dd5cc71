//! The message batches API. There is no background task: a batch is a function of time, and
//! whatever has come due by now is answered when somebody looks.

mod batch;
mod creation;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use polpo_upstream::transport::Call;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::clock::{Clock, SimTime};
use crate::draw::{Digest, Draws};
use crate::page::{Wanted, parameters};
use crate::problem::{Kind, Problem};
use batch::Batch;
pub(crate) use batch::Due;
pub(crate) use creation::Submission;

/// Most bytes of requests and results that are kept: two of the largest batches the API takes,
/// with what becomes of them.
const MAX_BYTES: usize = 1024 * 1024 * 1024;

/// Most batches that are kept: a list and a look-up go through all of them, in well below a
/// millisecond.
const MAX_BATCHES: usize = 10_000;

/// Contents whose submissions are counted, before those whose batches are gone are forgotten: a
/// few megabytes.
const MAX_CONTENTS: usize = 1 << 16;

/// Most requests that are answered in one go: a few milliseconds, in which everybody else waits.
const MAX_STEPS: usize = 50;

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

/// A body and its content type.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

/// All batches of all workspaces.
#[derive(Debug)]
pub(crate) struct Batches {
    seed: u64,
    clock: Clock,
    pace: Pace,
    /// By number, so the oldest first.
    batches: BTreeMap<u64, Batch>,
    /// When something happens to which of them next.
    agenda: BTreeSet<(SimTime, u64)>,
    /// Batches so far.
    created: u64,
    /// About what it takes to keep them.
    bytes: usize,
    /// How often the same contents were submitted: a second time is another draw.
    submissions: HashMap<Digest, u64>,
}

impl Batches {
    pub(crate) fn new(seed: u64, clock: Clock, pace: Pace) -> Self {
        Self {
            seed,
            clock,
            pace,
            batches: BTreeMap::new(),
            agenda: BTreeSet::new(),
            created: 0,
            bytes: 0,
            submissions: HashMap::new(),
        }
    }

    /// Answers what has come due, in the order of its time whenever somebody looks, each request
    /// once. Stops after a while for the sake of others who wait: then there may be more, and it
    /// returns true.
    pub(crate) fn advance(
        &mut self,
        now: SimTime,
        mut answer: impl FnMut(Due) -> Result<Box<RawValue>, Problem>,
    ) -> bool {
        for _ in 0..MAX_STEPS {
            let Some(&(_, number)) = self.agenda.first().filter(|(at, _)| *at <= now) else {
                return false;
            };
            self.agenda.pop_first();
            if self.bytes > MAX_BYTES {
                self.forget_oldest();
            }
            if let Some(batch) = self.batches.get_mut(&number) {
                self.bytes -= batch.bytes;
                batch.step(&mut answer);
                self.bytes += batch.bytes;
                self.agenda.extend(batch.next().map(|at| (at, number)));
            }
        }
        true
    }

    /// Creates a batch.
    ///
    /// # Errors
    /// If too many are being processed to keep another.
    pub(crate) fn create(&mut self, of: Submission, now: SimTime) -> Result<Reply, Problem> {
        let nth = self.submissions.get(&of.contents).copied().unwrap_or(0);
        let draws = Draws::new(self.seed, &of.contents, "", nth);
        let batch = Batch::new(of, draws, self.pace, now);
        self.make_room(batch.bytes)?;
        self.submissions.insert(batch.contents, nth + 1);
        let reply = json(&batch.wire(&self.clock, None));
        self.created += 1;
        self.bytes += batch.bytes;
        self.agenda.extend(batch.next().map(|at| (at, self.created)));
        self.batches.insert(self.created, batch);
        self.forget_contents();
        Ok(reply)
    }

    /// Answers any other call below `/v1/messages/batches`, everything being
    /// [advanced](Self::advance) to its time.
    pub(crate) fn serve(
        &mut self,
        call: &Call,
        workspace: usize,
        now: SimTime,
    ) -> Result<Reply, Problem> {
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let host = call.headers.get("host").and_then(|host| host.to_str().ok());
        let segments: Vec<_> = path.split('/').collect();
        let ["", "v1", "messages", "batches", rest @ ..] = segments.as_slice() else {
            return Err(Problem::new(Kind::NotFound, "Not Found"));
        };
        match (&call.method, rest) {
            (&Method::GET, []) => self.list(query, workspace, host),
            (&Method::GET, [id]) => {
                let (_, batch) = self.find(id, workspace)?;
                Ok(json(&batch.wire(&self.clock, host)))
            }
            (&Method::DELETE, [id]) => self.delete(id, workspace),
            (&Method::POST, [id, "cancel"]) => {
                self.cancel(id, workspace, now)?;
                let (_, batch) = self.find(id, workspace)?;
                Ok(json(&batch.wire(&self.clock, host)))
            }
            (&Method::GET, [id, "results"]) => {
                let (_, batch) = self.find(id, workspace)?;
                results(batch)
            }
            _ => Err(Problem::new(Kind::NotFound, "Not Found")),
        }
    }

    fn list(&self, query: &str, workspace: usize, host: Option<&str>) -> Result<Reply, Problem> {
        let parameters = parameters(query)?;
        let newest = self.batches.values().rev();
        let own = newest.filter(|batch| batch.caller.workspace == workspace);
        let page = Wanted::read(&parameters)?.of(own.collect(), |batch| &batch.id)?;
        Ok(json(&page.map(|batch| batch.wire(&self.clock, host))))
    }

    fn cancel(&mut self, id: &str, workspace: usize, now: SimTime) -> Result<(), Problem> {
        let (number, batch) = self.find(id, workspace)?;
        if batch.has_ended() {
            return Err(Problem::invalid(format!(
                "Message Batch {id} cannot be canceled because it has already ended."
            )));
        }
        if let Some(batch) = self.batches.get_mut(&number) {
            let before = batch.next();
            batch.cancel(now);
            let after = batch.next();
            before.map(|at| self.agenda.remove(&(at, number)));
            self.agenda.extend(after.map(|at| (at, number)));
        }
        Ok(())
    }

    fn delete(&mut self, id: &str, workspace: usize) -> Result<Reply, Problem> {
        let (number, batch) = self.find(id, workspace)?;
        if !batch.has_ended() {
            return Err(Problem::invalid(
                "In progress batches cannot be deleted. Consider canceling the batch instead.",
            ));
        }
        self.remove(number);
        Ok(json(&Deleted { id, r#type: "message_batch_deleted" }))
    }

    /// A batch of the workspace, and its number.
    fn find(&self, id: &str, workspace: usize) -> Result<(u64, &Batch), Problem> {
        let own = self.batches.iter().filter(|(_, batch)| batch.caller.workspace == workspace);
        let found = own.map(|(number, batch)| (*number, batch)).find(|(_, batch)| batch.id == id);
        let message = || format!("Message Batch {id} not found.");
        found.ok_or_else(|| Problem::new(Kind::NotFound, message()))
    }

    fn remove(&mut self, number: u64) {
        if let Some(batch) = self.batches.remove(&number) {
            self.bytes -= batch.bytes;
            batch.next().map(|at| self.agenda.remove(&(at, number)));
        }
    }

    /// Forgets ended batches, the oldest first, until another of so many bytes may be kept.
    fn make_room(&mut self, bytes: usize) -> Result<(), Problem> {
        while self.bytes + bytes > MAX_BYTES || self.batches.len() >= MAX_BATCHES {
            if !self.forget_oldest() {
                let message = "Too many batch requests are in processing. Please try again later.";
                return Err(Problem::new(Kind::RateLimit, message));
            }
        }
        Ok(())
    }

    /// Forgets the oldest batch that has ended; false if none has.
    fn forget_oldest(&mut self) -> bool {
        let ended = self.batches.iter().find(|(_, batch)| batch.has_ended());
        let oldest = ended.map(|(number, _)| *number);
        oldest.inspect(|number| self.remove(*number)).is_some()
    }

    fn forget_contents(&mut self) {
        if self.submissions.len() > MAX_CONTENTS {
            let kept: HashSet<_> = self.batches.values().map(|batch| batch.contents).collect();
            self.submissions.retain(|contents, _| kept.contains(contents));
        }
    }
}

/// The results, if there are any: shared, not copied.
fn results(batch: &Batch) -> Result<Reply, Problem> {
    if batch.has_results() {
        return Ok(Reply { content_type: "application/x-jsonl", body: batch.results.clone() });
    }
    let message = format!("Message Batch {} has no available results.", batch.id);
    Err(Problem::new(Kind::NotFound, message))
}

fn json(value: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(value).unwrap_or_default();
    Reply { content_type: "application/json", body: body.into() }
}

#[derive(Serialize)]
struct Deleted<'a> {
    id: &'a str,
    r#type: &'static str,
}

#[cfg(test)]
mod tests;
