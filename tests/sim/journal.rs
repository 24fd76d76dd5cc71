//! The memory journal, with a diary of the calls that it was told of.

use std::sync::Mutex;

use chrono::{DateTime, Utc};
use polpo_store::journal::{
    Answer, Appended, BatchPage, BatchQuery, BatchRecord, BookedCall, CallEnd, CallId, CallStart,
    Carried, CostQuery, CostReport, FinishedLine, FinishedTask, Holder, Journal, KeySpent,
    LostCall, MemoryJournal, NewRun, Run, RunId,
};

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) start: CallStart,
    pub(crate) end: Option<CallEnd>,
}

/// A memory journal whose calls can be read one by one.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    inner: MemoryJournal,
    rows: Mutex<Vec<Row>>,
    booked: Mutex<Vec<BookedCall>>,
}

impl Diary {
    /// Every call in the order in which they began.
    pub(crate) fn rows(&self) -> Vec<Row> {
        self.rows.lock().unwrap().clone()
    }

    /// Every call of the gateway in the order in which they ended.
    pub(crate) fn booked(&self) -> Vec<BookedCall> {
        self.booked.lock().unwrap().clone()
    }
}

impl Journal for Diary {
    fn begin_call(&self, call: CallStart) -> Answer<'_, CallId> {
        self.rows.lock().unwrap().push(Row { start: call.clone(), end: None });
        self.inner.begin_call(call)
    }

    fn end_call(&self, end: CallEnd) -> Answer<'_, ()> {
        // The memory journal numbers calls from 1 in the order in which they begin.
        let place = usize::try_from(end.call.0 - 1).unwrap();
        self.rows.lock().unwrap()[place].end = Some(end.clone());
        self.inner.end_call(end)
    }

    fn open_run(&self, new: NewRun) -> Answer<'_, Run> {
        self.inner.open_run(new)
    }

    fn holder<'a>(&'a self, results_path: &'a str) -> Answer<'a, Option<Holder>> {
        self.inner.holder(results_path)
    }

    fn find_run<'a>(&'a self, results_path: &'a str) -> Answer<'a, Option<Run>> {
        self.inner.find_run(results_path)
    }

    fn settle_lost(&self, run: RunId, now: DateTime<Utc>) -> Answer<'_, Vec<LostCall>> {
        self.inner.settle_lost(run, now)
    }

    fn finished(&self, run: RunId, ids: Vec<String>) -> Answer<'_, Vec<FinishedTask>> {
        self.inner.finished(run, ids)
    }

    fn carried(&self, run: RunId, ids: Vec<String>) -> Answer<'_, Vec<Carried>> {
        self.inner.carried(run, ids)
    }

    fn finish(&self, lines: Vec<FinishedLine>) -> Answer<'_, Vec<i64>> {
        self.inner.finish(lines)
    }

    fn lines(&self, run: RunId, after_seq: i64, limit: u32) -> Answer<'_, Vec<(i64, String)>> {
        self.inner.lines(run, after_seq, limit)
    }

    fn record_appended(&self, run: RunId, appended: Appended) -> Answer<'_, ()> {
        self.inner.record_appended(run, appended)
    }

    fn record_rewritten(&self, run: RunId, appended: Appended) -> Answer<'_, ()> {
        self.inner.record_rewritten(run, appended)
    }

    fn book(&self, calls: Vec<BookedCall>) -> Answer<'_, ()> {
        self.booked.lock().unwrap().extend(calls.iter().cloned());
        self.inner.book(calls)
    }

    fn spent(&self, simulated: bool, day_start: DateTime<Utc>) -> Answer<'_, Vec<KeySpent>> {
        self.inner.spent(simulated, day_start)
    }

    fn keep_batch(&self, batch: BatchRecord) -> Answer<'_, ()> {
        self.inner.keep_batch(batch)
    }

    fn batch<'a>(&'a self, id: &'a str) -> Answer<'a, Option<BatchRecord>> {
        self.inner.batch(id)
    }

    fn batches(&self, query: BatchQuery) -> Answer<'_, BatchPage> {
        self.inner.batches(query)
    }

    fn unsettled_batches(&self, simulated: bool) -> Answer<'_, Vec<BatchRecord>> {
        self.inner.unsettled_batches(simulated)
    }

    fn update_batch(&self, id: String, object: String) -> Answer<'_, ()> {
        self.inner.update_batch(id, object)
    }

    fn settle_batch(&self, id: String, calls: Vec<BookedCall>) -> Answer<'_, bool> {
        self.inner.settle_batch(id, calls)
    }

    fn drop_batch(&self, id: String) -> Answer<'_, ()> {
        self.inner.drop_batch(id)
    }

    fn costs(&self, query: CostQuery) -> Answer<'_, CostReport> {
        self.inner.costs(query)
    }

    fn flush(&self) -> Answer<'_, ()> {
        self.inner.flush()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
}
