//! What outlives the process: the run journal.
//!
//! [`journal::Journal`] is the port; [`journal::SqliteJournal`] keeps it in a file and is the only
//! place that knows SQL, [`journal::MemoryJournal`] serves tests in virtual time.

pub mod journal;
