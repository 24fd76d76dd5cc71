//! What the memory journal remembers of message batches.

use crate::journal::cost::Tally;
use crate::journal::{
    BatchPage, BatchQuery, BatchRecord, CostQuery, CostRow, Cursor, JournalError, stored_time,
};

/// Batches in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct MessageBatches {
    records: Vec<BatchRecord>,
}

impl MessageBatches {
    pub(super) fn keep(&mut self, batch: BatchRecord) -> Result<(), JournalError> {
        if self.find(&batch.id).is_some() {
            return Err(JournalError::KnownBatch(batch.id));
        }
        let created_at = stored_time(batch.created_at);
        self.records.push(BatchRecord { created_at, ..batch });
        Ok(())
    }

    pub(super) fn find(&self, id: &str) -> Option<&BatchRecord> {
        self.records.iter().find(|batch| batch.id == id)
    }

    fn known(&mut self, id: &str) -> Result<&mut BatchRecord, JournalError> {
        let known = self.records.iter_mut().find(|batch| batch.id == id);
        known.ok_or_else(|| JournalError::UnknownBatch(id.to_owned()))
    }

    pub(super) fn list(&self, query: &BatchQuery) -> Result<BatchPage, JournalError> {
        let of_key =
            |batch: &&BatchRecord| batch.key == query.key && batch.simulated == query.simulated;
        let list: Vec<_> = self.records.iter().rev().filter(of_key).collect();
        let place = |id: &str| {
            let place = list.iter().position(|batch| batch.id == id);
            place.ok_or_else(|| JournalError::UnknownBatch(id.to_owned()))
        };
        let limit = query.limit as usize;
        let (rest, skipped) = match &query.cursor {
            None => (&*list, 0),
            Some(Cursor::After(id)) => (&list[place(id)? + 1..], 0),
            Some(Cursor::Before(id)) => {
                let newer = &list[..place(id)?];
                (newer, newer.len().saturating_sub(limit))
            }
        };
        let batches = rest.iter().skip(skipped).take(limit).copied().cloned().collect();
        Ok(BatchPage { batches, has_more: rest.len() > limit })
    }

    pub(super) fn unsettled(&self, simulated: bool) -> impl Iterator<Item = &BatchRecord> {
        self.records.iter().filter(move |batch| !batch.settled && batch.simulated == simulated)
    }

    pub(super) fn update(&mut self, id: &str, object: String) -> Result<(), JournalError> {
        self.known(id)?.object = object;
        Ok(())
    }

    /// Whether it was not settled before.
    pub(super) fn settle(&mut self, id: &str) -> Result<bool, JournalError> {
        Ok(!std::mem::replace(&mut self.known(id)?.settled, true))
    }

    pub(super) fn remove(&mut self, id: &str) -> Result<(), JournalError> {
        let batch = self.known(id)?;
        if !batch.settled {
            return Err(JournalError::UnsettledBatch(id.to_owned()));
        }
        self.records.retain(|batch| batch.id != id);
        Ok(())
    }

    /// Counts those that are asked for.
    pub(super) fn count(&self, query: &CostQuery, tally: &mut Tally) {
        for batch in self.unsettled(query.simulated) {
            if query.since.is_some_and(|since| batch.created_at < stored_time(since)) {
                continue;
            }
            let requests = u64::from(batch.requests);
            let (attempts, calls, cost) = (requests, requests, batch.reserved);
            tally.unended(&CostRow { attempts, calls, cost, ..CostRow::default() });
        }
    }
}
