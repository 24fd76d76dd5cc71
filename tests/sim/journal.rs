//! The memory journal, with a diary of the calls that it was told of.

use std::sync::Mutex;

use chrono::{DateTime, Utc};
use polpo_store::journal::{
    Answer, Appended, CallEnd, CallId, CallStart, Carried, CostQuery, CostReport, FinishedLine,
    FinishedTask, Holder, Journal, LostCall, MemoryJournal, NewRun, Run, RunId,
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
}

impl Diary {
    /// Every call in the order in which they began.
    pub(crate) fn rows(&self) -> Vec<Row> {
        self.rows.lock().unwrap().clone()
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
