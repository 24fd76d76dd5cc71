//! What is committed together.

use sqlx::SqliteConnection;

use super::calls::SettleLost;
use super::job::{Job, Write, write};
use super::message_batches::ChangeBatch;
use super::results::RecordAppended;
use super::runs::RecordRewritten;
use super::writer::Flush;
use crate::journal::{BookedCall, CallEnd, CallId, CallStart, FinishedLine, JournalError, NewRun};

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Command {
    Begin(Job<CallStart>),
    End(Job<CallEnd>),
    Finish(Job<Vec<FinishedLine>>),
    Appended(Job<RecordAppended>),
    Book(Job<Vec<BookedCall>>),
    ChangeBatch(Job<ChangeBatch>),
    Flush(Job<Flush>),
    OpenRun(Job<NewRun>),
    SettleLost(Job<SettleLost>),
    Rewritten(Job<RecordRewritten>),
    Close,
}

macro_rules! commands {
    ($($ask:ty => $command:ident),* $(,)?) => {
        $(impl From<Job<$ask>> for Command {
            fn from(job: Job<$ask>) -> Self {
                Self::$command(job)
            }
        })*
    };
}

commands! {
    CallStart => Begin,
    CallEnd => End,
    Vec<FinishedLine> => Finish,
    RecordAppended => Appended,
    Vec<BookedCall> => Book,
    ChangeBatch => ChangeBatch,
    Flush => Flush,
    NewRun => OpenRun,
    SettleLost => SettleLost,
    RecordRewritten => Rewritten,
}

/// Requests of one transaction, those of a kind together so that they share statements.
///
/// Their order within a kind is kept. Between the kinds it may change: whoever depends on a
/// request has waited for its answer, and so stands in a later group. What may not change
/// places with its neighbours has a group of its own.
#[derive(Debug, Default)]
pub(super) struct Group {
    opens: Vec<Job<NewRun>>,
    settles: Vec<Job<SettleLost>>,
    begins: Vec<Job<CallStart>>,
    ends: Vec<Job<CallEnd>>,
    finishes: Vec<Job<Vec<FinishedLine>>>,
    appends: Vec<Job<RecordAppended>>,
    books: Vec<Job<Vec<BookedCall>>>,
    changes: Vec<Job<ChangeBatch>>,
    rewrites: Vec<Job<RecordRewritten>>,
    flushes: Vec<Job<Flush>>,
}

impl Command {
    /// Whether it has a group of its own.
    pub(super) fn stands_alone(&self) -> bool {
        match self {
            Self::Begin(_) | Self::End(_) | Self::Finish(_) => false,
            Self::Appended(_) | Self::Flush(_) => false,
            Self::Book(_) | Self::ChangeBatch(_) => false,
            Self::OpenRun(_) | Self::SettleLost(_) | Self::Rewritten(_) | Self::Close => true,
        }
    }
}

impl Group {
    pub(super) fn push(&mut self, command: Command) {
        match command {
            // A call that nobody waits for any more is never sent.
            Command::Begin(job) if job.is_given_up() => {}
            Command::Begin(job) => self.begins.push(job),
            Command::End(job) => self.ends.push(job),
            Command::Finish(job) => self.finishes.push(job),
            Command::Appended(job) => self.appends.push(job),
            Command::Book(job) => self.books.push(job),
            Command::ChangeBatch(job) => self.changes.push(job),
            Command::Flush(job) => self.flushes.push(job),
            Command::OpenRun(job) => self.opens.push(job),
            Command::SettleLost(job) => self.settles.push(job),
            Command::Rewritten(job) => self.rewrites.push(job),
            Command::Close => {}
        }
    }

    /// Whether nobody asks for anything.
    pub(super) fn is_empty(&self) -> bool {
        self.opens.is_empty()
            && self.settles.is_empty()
            && self.begins.is_empty()
            && self.ends.is_empty()
            && self.finishes.is_empty()
            && self.appends.is_empty()
            && self.books.is_empty()
            && self.changes.is_empty()
            && self.rewrites.is_empty()
            && self.flushes.is_empty()
    }

    pub(super) async fn write(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        write(connection, &mut self.opens).await?;
        write(connection, &mut self.settles).await?;
        write(connection, &mut self.begins).await?;
        write(connection, &mut self.ends).await?;
        write(connection, &mut self.finishes).await?;
        write(connection, &mut self.appends).await?;
        write(connection, &mut self.books).await?;
        write(connection, &mut self.changes).await?;
        write(connection, &mut self.rewrites).await?;
        write(connection, &mut self.flushes).await
    }

    /// Answers everybody, and returns the calls whose callers had gone.
    pub(super) fn settle(self, committed: &Result<(), JournalError>) -> Vec<CallId> {
        settle(self.opens, committed);
        settle(self.settles, committed);
        settle(self.ends, committed);
        settle(self.finishes, committed);
        settle(self.appends, committed);
        settle(self.books, committed);
        settle(self.changes, committed);
        settle(self.rewrites, committed);
        settle(self.flushes, committed);
        self.begins.into_iter().filter_map(|job| job.settle(committed.clone())).collect()
    }
}

fn settle<W: Write>(jobs: Vec<Job<W>>, committed: &Result<(), JournalError>) {
    for job in jobs {
        job.settle(committed.clone());
    }
}
