//! The only door to the process environment.

/// Looks a variable up; an argument everywhere, so that tests bring their own environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Looks a variable up in the environment of this process; `None` also when it is not UTF-8.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
