//! An Anthropic API that behaves like the real one, for tests and dry runs.
