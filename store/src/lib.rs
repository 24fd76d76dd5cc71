//! What outlives the process: the run journal.
