//! The journal of tests in virtual time, where a database pool's time-outs would misfire.

mod booked;
mod books;
mod message_batches;

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use self::books::Books;
use super::{
    Answer, Appended, BatchPage, BatchQuery, BatchRecord, BookedCall, CallEnd, CallId, CallStart,
    Carried, CostQuery, CostReport, FinishedLine, FinishedTask, Holder, Journal, JournalError,
    KeySpent, LostCall, NewRun, Run, RunId,
};

/// A journal that lives as long as its process. It answers at once, and never waits.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    books: Mutex<Books>,
}

impl MemoryJournal {
    fn answer<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&mut Books) -> Result<T, JournalError> + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(async move {
            let mut books = self.books();
            if books.closed { Err(JournalError::Closed) } else { ask(&mut books) }
        })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Every change is made after its checks, so a panic in between leaves whole books.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn open_run(&self, new: NewRun) -> Answer<'_, Run> {
        self.answer(move |books| books.open_run(new))
    }

    fn holder<'a>(&'a self, results_path: &'a str) -> Answer<'a, Option<Holder>> {
        self.answer(move |books| Ok(books.find_run(results_path).map(|run| run.holder)))
    }

    fn find_run<'a>(&'a self, results_path: &'a str) -> Answer<'a, Option<Run>> {
        self.answer(move |books| Ok(books.find_run(results_path)))
    }

    fn settle_lost(&self, run: RunId, now: DateTime<Utc>) -> Answer<'_, Vec<LostCall>> {
        // Nobody can ask when a call of this process's own memory was given up.
        let _ = now;
        self.answer(move |books| Ok(books.settle_lost(run)))
    }

    fn finished(&self, run: RunId, ids: Vec<String>) -> Answer<'_, Vec<FinishedTask>> {
        self.answer(move |books| Ok(books.finished(run, ids)))
    }

    fn carried(&self, run: RunId, ids: Vec<String>) -> Answer<'_, Vec<Carried>> {
        self.answer(move |books| Ok(books.carried(run, ids)))
    }

    fn begin_call(&self, call: CallStart) -> Answer<'_, CallId> {
        self.answer(move |books| books.begin_call(call))
    }

    fn end_call(&self, end: CallEnd) -> Answer<'_, ()> {
        self.answer(move |books| books.end_call(end))
    }

    fn finish(&self, lines: Vec<FinishedLine>) -> Answer<'_, Vec<i64>> {
        self.answer(move |books| books.finish(lines))
    }

    fn lines(&self, run: RunId, after_seq: i64, limit: u32) -> Answer<'_, Vec<(i64, String)>> {
        self.answer(move |books| Ok(books.lines(run, after_seq, limit)))
    }

    fn record_appended(&self, run: RunId, appended: Appended) -> Answer<'_, ()> {
        self.answer(move |books| books.record_appended(run, appended))
    }

    fn record_rewritten(&self, run: RunId, appended: Appended) -> Answer<'_, ()> {
        self.answer(move |books| books.record_rewritten(run, appended))
    }

    fn book(&self, calls: Vec<BookedCall>) -> Answer<'_, ()> {
        self.answer(move |books| {
            books.booked.book(calls);
            Ok(())
        })
    }

    fn spent(&self, simulated: bool, day_start: DateTime<Utc>) -> Answer<'_, Vec<KeySpent>> {
        self.answer(move |books| Ok(books.spent(simulated, day_start)))
    }

    fn keep_batch(&self, batch: BatchRecord) -> Answer<'_, ()> {
        self.answer(move |books| books.batches.keep(batch))
    }

    fn batch<'a>(&'a self, id: &'a str) -> Answer<'a, Option<BatchRecord>> {
        self.answer(move |books| Ok(books.batches.find(id).cloned()))
    }

    fn batches(&self, query: BatchQuery) -> Answer<'_, BatchPage> {
        self.answer(move |books| books.batches.list(&query))
    }

    fn unsettled_batches(&self, simulated: bool) -> Answer<'_, Vec<BatchRecord>> {
        self.answer(move |books| Ok(books.batches.unsettled(simulated).cloned().collect()))
    }

    fn update_batch(&self, id: String, object: String) -> Answer<'_, ()> {
        self.answer(move |books| books.batches.update(&id, object))
    }

    fn settle_batch(&self, id: String, calls: Vec<BookedCall>) -> Answer<'_, bool> {
        self.answer(move |books| books.settle_batch(&id, calls))
    }

    fn drop_batch(&self, id: String) -> Answer<'_, ()> {
        self.answer(move |books| books.batches.remove(&id))
    }

    fn costs(&self, query: CostQuery) -> Answer<'_, CostReport> {
        self.answer(move |books| Ok(books.costs(&query)))
    }

    fn flush(&self) -> Answer<'_, ()> {
        self.answer(|_| Ok(()))
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.books().closed = true;
            Ok(())
        })
    }
}
