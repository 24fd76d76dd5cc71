//! What people paste, and the code in it.

use std::fmt;

use thiserror::Error;
use url::{Url, form_urlencoded};

use super::error::told;

/// A code that a login page issued. It is worth a login, and so is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code([REDACTED])")
    }
}

/// Why there is no code to be had from what was pasted.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PasteError {
    /// Nothing was pasted.
    #[error("there is no code; paste what the page shows, like code#state")]
    Empty,
    /// More than any page shows.
    #[error("this is longer than a code; paste what the page shows, like code#state")]
    TooLong,
    /// Something else was pasted.
    #[error("this holds no code; paste what the page shows, like code#state, or its address")]
    NoCode,
    /// The code of another login.
    #[error("this code belongs to another login; open the link of this one and try again")]
    WrongState,
    /// The page said no.
    #[error("the login was denied: {0}")]
    Denied(String),
}

/// Bytes that are looked at: many times the addresses that browsers are sent to.
const LONGEST: usize = 8192;

/// What was pasted, taken apart.
#[derive(Default)]
struct Parts {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

/// Finds the code, which must belong to `state` if what was pasted names one.
pub(super) fn parse(pasted: &str, state: &str) -> Result<Code, PasteError> {
    if pasted.len() > LONGEST {
        return Err(PasteError::TooLong);
    }
    let pasted = pasted.trim_matches(|c: char| c.is_whitespace() || "\"'`".contains(c));
    if pasted.is_empty() {
        return Err(PasteError::Empty);
    }
    let parts = of_address(pasted).or_else(|| of_fields(pasted)).unwrap_or_else(|| shown(pasted));
    if parts.state.is_some_and(|given| given != state) {
        return Err(PasteError::WrongState);
    }
    if let Some(error) = parts.error {
        return Err(PasteError::Denied(told(&parts.description.unwrap_or(error))));
    }
    // What RFC 6749 allows in a code, but for the space: with one, it is a sentence.
    let is_code = |code: &String| !code.is_empty() && code.bytes().all(|b| b.is_ascii_graphic());
    parts.code.filter(is_code).map(Code).ok_or(PasteError::NoCode)
}

/// An address that the page led to, with its fields in the query or the fragment.
fn of_address(pasted: &str) -> Option<Parts> {
    let url = Url::parse(pasted).ok().filter(Url::has_host)?;
    let fields = [url.query(), url.fragment()].map(Option::unwrap_or_default).join("&");
    Some(of_fields(&fields).unwrap_or_default())
}

/// `code=…&state=…`, or `error=…` in place of the code.
fn of_fields(pasted: &str) -> Option<Parts> {
    let mut parts = Parts::default();
    for (name, value) in form_urlencoded::parse(pasted.trim_start_matches(['?', '#']).as_bytes()) {
        let part = match &*name {
            "code" => &mut parts.code,
            "state" => &mut parts.state,
            "error" => &mut parts.error,
            "error_description" => &mut parts.description,
            _ => continue,
        };
        part.get_or_insert(value.into_owned());
    }
    (parts.code.is_some() || parts.error.is_some()).then_some(parts)
}

/// `code#state` as the page shows it, or the code alone.
fn shown(pasted: &str) -> Parts {
    let (code, state) = match pasted.split_once('#') {
        Some((code, state)) => (code, Some(state.to_owned())),
        None => (pasted, None),
    };
    Parts { code: Some(code.to_owned()), state, ..Parts::default() }
}
