//! The run journal: every call before it is sent, every result before it is shown.
//!
//! The journal is the truth and the results file a projection of it.

mod booked;
mod call;
mod cost;
mod error;
mod memory;
mod message_batch;
mod result;
mod run;
mod sqlite;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use polpo_policy::usage::Usage;

pub use self::booked::{BookedCall, KeySpent};
pub use self::call::{CallEnd, CallId, CallStart, Carried, LostCall};
pub use self::cost::{CostQuery, CostReport, CostRow, Group};
pub use self::error::{Cause, JournalError};
pub use self::memory::MemoryJournal;
pub use self::message_batch::{BatchPage, BatchQuery, BatchRecord, Cursor};
pub use self::result::{FinishedLine, FinishedTask, ResultKind};
pub use self::run::{Appended, Holder, NewRun, Run, RunId};
pub use self::sqlite::{JournalOptions, SqliteJournal, Synchronous};

/// What a method of [`Journal`] returns.
///
/// A writing one resolves after the commit of what it wrote. Dropped before, it may or may not
/// have written; a call begun that way is taken back, as nobody can have sent it.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, JournalError>>;

/// Where runs, calls and results are recorded.
pub trait Journal: Send + Sync {
    /// Opens the run of a results file, and creates it the first time; the opener becomes its
    /// holder. Who may hold it is decided elsewhere: the journal only remembers who does.
    fn open_run(&self, new: NewRun) -> Answer<'_, Run>;

    /// Who opened the run of a results file last.
    fn holder<'a>(&'a self, results_path: &'a str) -> Answer<'a, Option<Holder>>;

    /// The run of a results file.
    fn find_run<'a>(&'a self, results_path: &'a str) -> Answer<'a, Option<Run>>;

    /// Charges every call of the run that has no outcome at its reservation, and lists them.
    /// To be asked before the first call of this process, when they can only be an earlier one's.
    fn settle_lost(&self, run: RunId, now: DateTime<Utc>) -> Answer<'_, Vec<LostCall>>;

    /// Which of these tasks have a committed result; those without are left out.
    fn finished(&self, run: RunId, ids: Vec<String>) -> Answer<'_, Vec<FinishedTask>>;

    /// What the calls of these tasks that have an outcome, lost ones included, add up to so far;
    /// tasks without such a call are left out.
    fn carried(&self, run: RunId, ids: Vec<String>) -> Answer<'_, Vec<Carried>>;

    /// Records a call that is about to be sent, at its reservation.
    fn begin_call(&self, call: CallStart) -> Answer<'_, CallId>;

    /// Records how a call ended. A call ends once.
    fn end_call(&self, end: CallEnd) -> Answer<'_, ()>;

    /// Records results, all of them or none, and returns their places in the run's order.
    /// A result takes the place of the task's earlier one, goes to the end of the order, and
    /// leaves the results file to be rewritten.
    fn finish(&self, lines: Vec<FinishedLine>) -> Answer<'_, Vec<i64>>;

    /// At most `limit` result lines after `after_seq`, in order, each with its place.
    fn lines(&self, run: RunId, after_seq: i64, limit: u32) -> Answer<'_, Vec<(i64, String)>>;

    /// Records how far the results file is known to hold the lines.
    fn record_appended(&self, run: RunId, appended: Appended) -> Answer<'_, ()>;

    /// Records that the results file was rewritten, and how far it holds the lines now.
    fn record_rewritten(&self, run: RunId, appended: Appended) -> Answer<'_, ()>;

    /// Records calls of the gateway that have ended, all of them or none, and adds them to what
    /// their keys have spent. Cheapest by the hundred; other commits wait for thousands.
    fn book(&self, calls: Vec<BookedCall>) -> Answer<'_, ()>;

    /// What the client keys of the gateway have spent, by name: on the UTC day that `day_start` is
    /// on, and in all. Keys without a booked call or an unsettled batch are left out.
    fn spent(&self, simulated: bool, day_start: DateTime<Utc>) -> Answer<'_, Vec<KeySpent>>;

    /// Records a message batch that was made, as it is.
    fn keep_batch(&self, batch: BatchRecord) -> Answer<'_, ()>;

    /// A message batch, whoever made it.
    fn batch<'a>(&'a self, id: &'a str) -> Answer<'a, Option<BatchRecord>>;

    /// A page of a client key's message batches. A cursor that is none of them is a
    /// [`JournalError::UnknownBatch`].
    fn batches(&self, query: BatchQuery) -> Answer<'_, BatchPage>;

    /// The message batches that money is held for, the oldest first.
    fn unsettled_batches(&self, simulated: bool) -> Answer<'_, Vec<BatchRecord>>;

    /// Replaces the object of a message batch.
    fn update_batch(&self, id: String, object: String) -> Answer<'_, ()>;

    /// Books the calls of a message batch instead of what was held for it, and says whether it
    /// did: not if the batch was settled before.
    fn settle_batch(&self, id: String, calls: Vec<BookedCall>) -> Answer<'_, bool>;

    /// Forgets a message batch. One that is not settled stays, as its money would be forgotten
    /// too: that is a [`JournalError::UnsettledBatch`].
    fn drop_batch(&self, id: String) -> Answer<'_, ()>;

    /// What calls cost, by group.
    fn costs(&self, query: CostQuery) -> Answer<'_, CostReport>;

    /// Resolves when all that was asked before is committed.
    fn flush(&self) -> Answer<'_, ()>;

    /// Commits what is waiting and closes the journal; later requests answer
    /// [`JournalError::Closed`]. Closing twice is fine.
    fn close(&self) -> Answer<'_, ()>;
}

/// A time as it is kept: in milliseconds.
fn stored_time(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or_default()
}

/// Milliseconds of a UTC day.
const DAY: i64 = 86_400_000;

/// The UTC day of a time, as its number since 1970.
fn day_of(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis().div_euclid(DAY)
}

/// The most of one class that a call is recorded with: far above what any call can use, and low
/// enough that a million calls of which upstream claimed nonsense can still be summed.
const MOST: u64 = 1 << 43;

/// Usage as it is kept.
fn billed(usage: Usage) -> Usage {
    Usage {
        input: usage.input.min(MOST),
        output: usage.output.min(MOST),
        cache_read: usage.cache_read.min(MOST),
        cache_write_5m: usage.cache_write_5m.min(MOST),
        cache_write_1h: usage.cache_write_1h.min(MOST),
        web_searches: usage.web_searches.min(MOST),
    }
}
