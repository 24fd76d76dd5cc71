//! What the memory journal remembers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;

use super::booked::Booked;
use super::message_batches::MessageBatches;
use crate::journal::cost::Tally;
use crate::journal::{
    Appended, BookedCall, CallEnd, CallId, CallStart, Carried, CostQuery, CostReport, CostRow, DAY,
    FinishedLine, FinishedTask, Group, Holder, JournalError, KeySpent, LostCall, NewRun,
    ResultKind, Run, RunId, billed, stored_time,
};

#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) closed: bool,
    pub(super) booked: Booked,
    pub(super) batches: MessageBatches,
    runs: Vec<Run>,
    calls: Vec<Call>,
    results: BTreeMap<i64, Finished>,
    /// The place of each task's result.
    places: HashMap<(RunId, String), i64>,
    /// Where the calls of each task are among the calls.
    tasks: HashMap<(RunId, String), Vec<usize>>,
}

#[derive(Debug)]
struct Call {
    id: CallId,
    start: CallStart,
    end: Option<End>,
}

#[derive(Debug)]
struct End {
    lost: bool,
    model: String,
    usage: Usage,
    cost: Nanodollars,
    priced: bool,
}

#[derive(Debug)]
struct Finished {
    line: FinishedLine,
    last_call: CallId,
}

impl Books {
    pub(super) fn open_run(&mut self, new: NewRun) -> Result<Run, JournalError> {
        let holder = Holder { pid: new.holder, since: stored_time(new.now) };
        let Some(known) = self.runs.iter_mut().find(|run| run.results_path == new.results_path)
        else {
            let run = Run {
                id: RunId(self.runs.len() as i64 + 1),
                created: false,
                results_path: new.results_path,
                tasks_path: new.tasks_path,
                simulated: new.simulated,
                appended: Appended::default(),
                rewrite_pending: false,
                results: 0,
                holder,
                created_at: holder.since,
            };
            self.runs.push(run.clone());
            return Ok(Run { created: true, ..run });
        };
        if known.simulated != new.simulated {
            let (results_path, simulated) = (new.results_path, known.simulated);
            return Err(JournalError::RunMismatch { results_path, simulated });
        }
        (known.tasks_path, known.holder) = (new.tasks_path, holder);
        let known = known.clone();
        Ok(self.counted(known))
    }

    pub(super) fn find_run(&self, results_path: &str) -> Option<Run> {
        let run = self.runs.iter().find(|run| run.results_path == results_path)?;
        Some(self.counted(run.clone()))
    }

    fn counted(&self, run: Run) -> Run {
        let results = self.results.values().filter(|result| result.line.run == run.id).count();
        Run { results: results as u64, ..run }
    }

    fn run(&mut self, id: RunId) -> Result<&mut Run, JournalError> {
        self.runs.iter_mut().find(|run| run.id == id).ok_or(JournalError::UnknownRun(id))
    }

    pub(super) fn settle_lost(&mut self, run: RunId) -> Vec<LostCall> {
        let open = |call: &&mut Call| call.start.run == run && call.end.is_none();
        let lost = self.calls.iter_mut().filter(open).map(|call| {
            let start = call.start.clone();
            call.end = Some(End {
                lost: true,
                model: start.model.to_string(),
                usage: Usage::default(),
                cost: start.reserved,
                priced: true,
            });
            LostCall {
                call: call.id,
                task: start.task,
                attempt: start.attempt,
                agent: start.agent,
                model: start.model,
                profile: start.profile,
                reserved: start.reserved,
                started_at: stored_time(start.started_at),
            }
        });
        lost.collect()
    }

    pub(super) fn finished(&self, run: RunId, ids: Vec<String>) -> Vec<FinishedTask> {
        let known = ids.into_iter().filter_map(|id| {
            let task = (run, id);
            let result = self.results.get(self.places.get(&task)?)?;
            let mut calls = self.tasks.get(&task).into_iter().flatten();
            Some(FinishedTask {
                begun_again: calls.any(|call| self.calls[*call].id > result.last_call),
                custom_id: result.line.custom_id.clone(),
                request_sha256: result.line.request_sha256.clone(),
                succeeded: result.line.kind == ResultKind::Succeeded,
            })
        });
        known.collect()
    }

    pub(super) fn carried(&self, run: RunId, ids: Vec<String>) -> Vec<Carried> {
        let sums = ids.into_iter().map(|custom_id| {
            let task = (run, custom_id);
            let calls = self.tasks.get(&task).into_iter().flatten();
            let ends = calls.filter_map(|call| self.calls[*call].end.as_ref());
            let none = (0, Usage::default(), Nanodollars(0));
            let (calls, usage, cost) = ends.fold(none, |(calls, mut usage, cost), end| {
                usage += end.usage;
                (calls + 1, usage, cost + end.cost)
            });
            Carried { custom_id: task.1, calls, usage, cost }
        });
        sums.filter(|sum| sum.calls > 0).collect()
    }

    pub(super) fn begin_call(&mut self, start: CallStart) -> Result<CallId, JournalError> {
        self.run(start.run)?;
        let task = (start.run, start.task.clone());
        self.tasks.entry(task).or_default().push(self.calls.len());
        let id = CallId(self.calls.len() as i64 + 1);
        self.calls.push(Call { id, start, end: None });
        Ok(id)
    }

    pub(super) fn end_call(&mut self, end: CallEnd) -> Result<(), JournalError> {
        let place = usize::try_from(end.call.0 - 1).ok();
        let call = place.and_then(|place| self.calls.get_mut(place));
        let open = call.filter(|call| call.end.is_none());
        let call = open.ok_or(JournalError::UnknownCall(end.call))?;
        call.end = Some(End {
            lost: end.outcome == "lost",
            model: end.model_served.to_string(),
            usage: billed(end.usage),
            cost: end.cost,
            priced: end.priced,
        });
        Ok(())
    }

    pub(super) fn finish(&mut self, lines: Vec<FinishedLine>) -> Result<Vec<i64>, JournalError> {
        for line in &lines {
            line.check()?;
            self.run(line.run)?;
        }
        let seqs = lines.into_iter().map(|line| {
            let seq = self.results.last_key_value().map_or(1, |(seq, _)| seq + 1);
            let task = (line.run, line.custom_id.clone());
            let last_call = self.tasks.get(&task).and_then(|calls| calls.last());
            let last_call = last_call.map_or(CallId(0), |call| self.calls[*call].id);
            if let Some(old) = self.places.insert(task, seq) {
                self.results.remove(&old);
                self.run(line.run)?.rewrite_pending = true;
            }
            self.results.insert(seq, Finished { line, last_call });
            Ok(seq)
        });
        seqs.collect()
    }

    pub(super) fn lines(&self, run: RunId, after_seq: i64, limit: u32) -> Vec<(i64, String)> {
        let after = self.results.range(after_seq.saturating_add(1)..);
        let lines = after.filter(|(_, result)| result.line.run == run);
        lines.take(limit as usize).map(|(seq, r)| (*seq, r.line.line.clone())).collect()
    }

    pub(super) fn record_appended(
        &mut self,
        run: RunId,
        appended: Appended,
    ) -> Result<(), JournalError> {
        self.run(run)?.appended = appended;
        Ok(())
    }

    pub(super) fn record_rewritten(
        &mut self,
        run: RunId,
        appended: Appended,
    ) -> Result<(), JournalError> {
        self.record_appended(run, appended)?;
        self.run(run)?.rewrite_pending = false;
        Ok(())
    }

    pub(super) fn spent(&self, simulated: bool, day_start: DateTime<Utc>) -> Vec<KeySpent> {
        let mut spent = self.booked.spent(simulated, day_start);
        for batch in self.batches.unsettled(simulated) {
            let key = &batch.key;
            spent.entry(key.clone()).or_insert_with(|| KeySpent::none(key)).reserved +=
                batch.reserved;
        }
        spent.into_values().collect()
    }

    pub(super) fn settle_batch(
        &mut self,
        id: &str,
        calls: Vec<BookedCall>,
    ) -> Result<bool, JournalError> {
        let settled = self.batches.settle(id)?;
        if settled {
            self.booked.book(calls);
        }
        Ok(settled)
    }

    pub(super) fn costs(&self, query: &CostQuery) -> CostReport {
        let mut tally = Tally::new(query.group.clone());
        let mut attempts = BTreeSet::new();
        for call in &self.calls {
            let Some(run) = self.runs.iter().find(|run| run.id == call.start.run) else { continue };
            let began = stored_time(call.start.started_at);
            let since = query.since.is_none_or(|since| began >= stored_time(since));
            let asked = query.run.is_none_or(|id| id == run.id) && run.simulated == query.simulated;
            if !since || !asked {
                continue;
            }
            let mut row = call.row();
            let place = self.places.get(&(run.id, call.start.task.clone()));
            let result = place.and_then(|seq| self.results.get(seq));
            match (result, &call.end) {
                (Some(result), Some(end)) if call.id <= result.last_call => {
                    let key = call.key(&query.group, run, end, result);
                    row.attempts = u64::from(attempts.insert((Some(key.clone()), call.attempt())));
                    tally.ended(&key, &row);
                }
                (None | Some(_), None | Some(_)) => {
                    row.attempts = u64::from(attempts.insert((None, call.attempt())));
                    tally.unended(&row);
                }
            }
        }
        if query.run.is_none() {
            self.booked.count(query, &mut tally);
            self.batches.count(query, &mut tally);
        }
        tally.report()
    }
}

impl Call {
    /// The value of the group, as the file's journal would store it.
    fn key(&self, group: &Group, run: &Run, end: &End, result: &Finished) -> String {
        match group {
            Group::Agent => self.start.agent.to_string(),
            Group::Model => end.model.clone(),
            Group::Profile => self.start.profile.to_string(),
            Group::Day => (self.start.started_at.timestamp_millis() / DAY).to_string(),
            Group::Run => run.results_path.clone(),
            Group::Metadata(_) => result.line.metadata.clone().unwrap_or_default(),
        }
    }

    /// The attempt it belongs to, among all of them.
    fn attempt(&self) -> (RunId, &str, u32) {
        (self.start.run, &self.start.task, self.start.attempt)
    }

    /// All but the attempts, which calls share.
    fn row(&self) -> CostRow {
        let end = self.end.as_ref();
        CostRow {
            key: String::new(),
            attempts: 0,
            calls: 1,
            usage: end.map(|end| end.usage).unwrap_or_default(),
            cost: end.map_or(self.start.reserved, |end| end.cost),
            unpriced_calls: u64::from(end.is_some_and(|end| !end.priced)),
            lost_calls: u64::from(end.is_some_and(|end| end.lost)),
        }
    }
}
