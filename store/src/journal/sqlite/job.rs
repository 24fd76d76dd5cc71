//! A request to the writer, and how it becomes part of a transaction.

use std::future::Future;
use std::slice;

use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::failure::Failure;
use crate::journal::JournalError;

/// A request that writes.
pub(super) trait Write: Send + Sized + 'static {
    /// What its caller waits for.
    type Answer: Send + 'static;

    /// Writes all of these and answers each, or fails without having answered any.
    fn write(
        connection: &mut SqliteConnection,
        jobs: &mut [Job<Self>],
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// A request and its caller.
#[derive(Debug)]
pub(super) struct Job<W: Write> {
    pub(super) ask: W,
    /// What to say once the transaction is committed.
    pub(super) answer: Option<W::Answer>,
    refused: Option<JournalError>,
    caller: Caller<W>,
}

type Caller<W> = oneshot::Sender<Result<<W as Write>::Answer, JournalError>>;
type Promise<W> = oneshot::Receiver<Result<<W as Write>::Answer, JournalError>>;

impl<W: Write> Job<W> {
    pub(super) fn new(ask: W) -> (Self, Promise<W>) {
        let (caller, promise) = oneshot::channel();
        (Self { ask, answer: None, refused: None, caller }, promise)
    }

    /// Whether the caller has stopped waiting.
    pub(super) fn is_given_up(&self) -> bool {
        self.caller.is_closed()
    }

    /// Answers after the commit; gives the answer back if nobody was there to take it.
    pub(super) fn settle(self, committed: Result<(), JournalError>) -> Option<W::Answer> {
        let answer = committed.and_then(|()| match (self.refused, self.answer) {
            (Some(refused), _) => Err(refused),
            (None, Some(answer)) => Ok(answer),
            // A write that succeeds has answered every job.
            (None, None) => Err(JournalError::Closed),
        });
        self.caller.send(answer).err().and_then(Result::ok)
    }
}

/// Writes the jobs all at once; if that is refused, one by one, so that only those fail that are
/// at fault.
pub(super) async fn write<W: Write>(
    connection: &mut SqliteConnection,
    jobs: &mut [Job<W>],
) -> Result<(), sqlx::Error> {
    if jobs.len() > 1 {
        match attempt(connection, jobs).await {
            Ok(()) => return Ok(()),
            Err(Failure::Refused(_)) => {}
            Err(Failure::Broken(error)) => return Err(error),
        }
    }
    for job in jobs {
        match attempt(connection, slice::from_mut(job)).await {
            Ok(()) => {}
            Err(Failure::Refused(error)) => job.refused = Some(error),
            Err(Failure::Broken(error)) => return Err(error),
        }
    }
    Ok(())
}

async fn attempt<W: Write>(
    connection: &mut SqliteConnection,
    jobs: &mut [Job<W>],
) -> Result<(), Failure> {
    sqlx::query("SAVEPOINT attempt").execute(&mut *connection).await?;
    let written = W::write(connection, jobs).await;
    if let Err(Failure::Refused(_)) = &written {
        sqlx::query("ROLLBACK TO SAVEPOINT attempt").execute(&mut *connection).await?;
    }
    if let Ok(()) | Err(Failure::Refused(_)) = &written {
        sqlx::query("RELEASE SAVEPOINT attempt").execute(&mut *connection).await?;
    }
    written
}

/// Cuts rows into few different sizes, so that few different statements are prepared.
pub(super) fn batches<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    const SIZES: [usize; 4] = [64, 16, 4, 1];
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (batch, rest) = rows.split_at(size);
        rows = rest;
        Some(batch)
    })
}
