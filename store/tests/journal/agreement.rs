//! Both journals, asked the same at random, answer the same.

use chrono::TimeDelta;
use polpo_policy::price::Nanodollars;
use polpo_store::journal::{
    Appended, BatchQuery, BatchRecord, BookedCall, CallEnd, CallId, CallStart, CostQuery, Cursor,
    FinishedLine, Group, Journal, MemoryJournal, NewRun, ResultKind, RunId,
};

use crate::world::{at, batch, booked, end, line, new_run, open, start};

/// A small generator of numbers, so that a failure comes back with its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

/// Does something, and says what the journal made of it.
async fn step(journal: &dyn Journal, dice: &mut Dice) -> String {
    let (run, task) = (RunId(1 + dice.below(3) as i64), format!("t{}", dice.below(12)));
    let (number, millis) = (dice.below(1000) as i64, dice.below(300_000_000) as i64);
    match dice.below(12) {
        0 => {
            let path = format!("/r{}", dice.below(3));
            let new = NewRun { simulated: number > 900, now: at(millis), ..new_run(&path) };
            format!("{:?}", journal.open_run(new).await)
        }
        1..=2 => {
            let call = CallStart {
                agent: format!("a{}", number % 2).into(),
                reserved: Nanodollars(number * 1000),
                started_at: at(millis),
                ..start(run, &task)
            };
            format!("{:?}", journal.begin_call(call).await)
        }
        3..=5 => {
            let call = CallId(dice.below(120) as i64);
            let end = CallEnd { priced: number % 7 > 0, ..end(call, number) };
            format!("{:?}", journal.end_call(end).await)
        }
        6 => {
            let kind = if number % 3 > 0 { ResultKind::Succeeded } else { ResultKind::Errored };
            let metadata = (number % 2 > 0).then(|| format!(r#"{{"key":{}}}"#, number % 5));
            let first = FinishedLine { kind, metadata, ..line(run, &task) };
            let second = line(run, &format!("t{}", dice.below(12)));
            format!("{:?}", journal.finish(vec![first, second]).await)
        }
        7 if number > 800 => format!("{:?}", journal.settle_lost(run, at(millis)).await),
        7 => {
            let appended = Appended { seq: number, bytes: millis };
            format!("{:?}", journal.record_appended(run, appended).await)
        }
        8 => {
            let appended = Appended { seq: number, bytes: millis };
            format!("{:?}", journal.record_rewritten(run, appended).await)
        }
        9 => {
            let calls = (0..number % 5).map(|_| call_of_gateway(dice));
            format!("{:?}", journal.book(calls.collect()).await)
        }
        10.. => change_batch(journal, dice).await,
    }
}

/// Does something to a message batch, and says what the journal made of it.
async fn change_batch(journal: &dyn Journal, dice: &mut Dice) -> String {
    let (id, number) = (format!("b{}", dice.below(20)), dice.below(1000) as i64);
    match dice.below(8) {
        0..=3 => {
            let kept = BatchRecord {
                simulated: number % 4 == 0,
                created_at: at(number * 300_000),
                reserved: Nanodollars(number),
                ..batch(&id, &format!("k{}", number % 3))
            };
            format!("{:?}", journal.keep_batch(kept).await)
        }
        4 => format!("{:?}", journal.update_batch(id, format!("{{\"n\":{number}}}")).await),
        5..=6 => {
            let calls = vec![call_of_gateway(dice), call_of_gateway(dice)];
            format!("{:?}", journal.settle_batch(id, calls).await)
        }
        7.. => format!("{:?}", journal.drop_batch(id).await),
    }
}

/// All that can be read of message batches.
async fn lists(journal: &dyn Journal) -> Vec<String> {
    let mut lists = Vec::new();
    for id in (0..20).map(|batch| format!("b{batch}")) {
        lists.push(format!("{:?}", journal.batch(&id).await.unwrap()));
        for cursor in [None, Some(Cursor::After(id.clone())), Some(Cursor::Before(id))] {
            let query = BatchQuery { key: "k1".into(), simulated: false, limit: 2, cursor };
            lists.push(format!("{:?}", journal.batches(query).await));
        }
    }
    for simulated in [false, true] {
        lists.push(format!("{:?}", journal.unsettled_batches(simulated).await.unwrap()));
    }
    lists
}

fn call_of_gateway(dice: &mut Dice) -> BookedCall {
    let ended_at = at(dice.below(300_000_000) as i64);
    BookedCall {
        request: format!("req_{}", dice.below(9)),
        model_served: format!("m{}", dice.below(2)).into(),
        profile: format!("p{}", dice.below(2)).into(),
        priced: dice.below(5) > 0,
        is_lost: dice.below(5) == 0,
        simulated: dice.below(4) == 0,
        started_at: ended_at - TimeDelta::milliseconds(dice.below(100_000_000) as i64),
        ended_at,
        ..booked(&format!("k{}", dice.below(3)), dice.below(1000) as i64)
    }
}

/// All that can be read.
async fn books(journal: &dyn Journal) -> Vec<String> {
    let mut books = Vec::new();
    let ids: Vec<_> = (0..12).map(|task| format!("t{task}")).collect();
    for run in 1..=3 {
        books.push(format!("{:?}", journal.find_run(&format!("/r{}", run - 1)).await));
        let run = RunId(run);
        let mut finished = journal.finished(run, ids.clone()).await.unwrap();
        finished.sort_by(|a, b| a.custom_id.cmp(&b.custom_id));
        books.push(format!("{finished:?}"));
        let mut carried = journal.carried(run, ids.clone()).await.unwrap();
        carried.sort_by(|a, b| a.custom_id.cmp(&b.custom_id));
        books.push(format!("{carried:?}"));
        books.push(format!("{:?}", journal.lines(run, 3, 100).await));
    }
    let key = Group::Metadata("key".into());
    for group in [Group::Agent, Group::Model, Group::Profile, Group::Day, Group::Run, key] {
        for (simulated, since) in [(false, None), (true, None), (false, Some(at(100_000_000)))] {
            let query = CostQuery { group: group.clone(), since, simulated, run: None };
            books.push(format!("{group:?} {:?}", journal.costs(query).await.unwrap()));
        }
    }
    for simulated in [false, true] {
        books.push(format!("{:?}", journal.spent(simulated, at(100_000_000)).await.unwrap()));
    }
    books
}

#[tokio::test]
async fn both_journals_agree_on_everything() {
    for seed in 0..12 {
        let directory = tempfile::tempdir().unwrap();
        let (file, memory) = (open(directory.path()).await, MemoryJournal::default());
        let (mut left, mut right) = (Dice(seed), Dice(seed));
        for count in 0..200 {
            let (left, right) = (step(&file, &mut left).await, step(&memory, &mut right).await);
            assert_eq!(left, right, "seed {seed}, step {count}");
        }
        assert_eq!(books(&file).await, books(&memory).await, "seed {seed}");
        assert_eq!(lists(&file).await, lists(&memory).await, "seed {seed}");
        file.close().await.unwrap();
    }
}
