//! The journal of tests in virtual time, where a database pool's time-outs would misfire.

mod books;

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use self::books::Books;
use super::{
    Answer, Appended, CallEnd, CallId, CallStart, Carried, CostQuery, CostReport, FinishedLine,
    FinishedTask, Holder, Journal, JournalError, LostCall, NewRun, Run, RunId,
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

    fn costs(&self, query: CostQuery) -> Answer<'_, CostReport> {
        self.answer(move |books| Ok(books.costs(query)))
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
