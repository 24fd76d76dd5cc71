//! Composition: the only crate that knows everything.
