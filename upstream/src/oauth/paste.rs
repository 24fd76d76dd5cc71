//! What people paste, and the code in it.

use std::fmt;

use thiserror::Error;
use url::{Url, form_urlencoded};

use super::error::complaint;

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
        return Err(PasteError::Denied(complaint(&error, parts.description.as_deref())));
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATE: &str = "st4te";

    #[test]
    fn a_code_is_found_in_all_that_people_copy() {
        for pasted in [
            "c0de",
            "c0de#st4te",
            " \t'c0de#st4te'\r\n",
            "\"c0de\"",
            "code=c0de&state=st4te",
            "?state=st4te&code=c0de",
            "code=c0de",
            "https://a.example/callback?code=c0de&state=st4te",
            "https://a.example/callback?x=1&code=c0de",
            "http://localhost:4711/callback#state=st4te&code=c0de",
            "http://localhost:4711/callback?code=c0de#state=st4te",
            "an.app://callback?code=c%30de&state=st4te",
        ] {
            assert_eq!(parse(pasted, STATE), Ok(Code("c0de".to_owned())), "{pasted}");
        }
        let odd = "https://a.example/callback?code=4%2Fa%2Bb%3D%3D";
        assert_eq!(parse(odd, STATE), Ok(Code("4/a+b==".to_owned())));
        assert_eq!(parse("4/a+b==", STATE), Ok(Code("4/a+b==".to_owned())));
    }

    #[test]
    fn what_is_no_code_of_this_login_is_refused_for_what_it_is() {
        let denied = |message: &str| PasteError::Denied(message.to_owned());
        let long = "c".repeat(LONGEST + 1);
        for (pasted, expected) in [
            ("", PasteError::Empty),
            (" '' \n", PasteError::Empty),
            (long.as_str(), PasteError::TooLong),
            ("c0de#other", PasteError::WrongState),
            ("c0de#", PasteError::WrongState),
            ("code=c0de&state=other", PasteError::WrongState),
            ("https://a.example/callback?code=c0de&state=", PasteError::WrongState),
            ("https://a.example/callback#code=c0de&state=other", PasteError::WrongState),
            ("https://a.example/oauth/authorize?state=st4te", PasteError::NoCode),
            ("code=", PasteError::NoCode),
            ("#st4te", PasteError::NoCode),
            ("I have no code", PasteError::NoCode),
            ("c\u{f6}de", PasteError::NoCode),
            (
                "https://a.example/cb?error=access_denied&error_description=You+said+no&state=st4te",
                denied("access_denied: You said no"),
            ),
            ("error=access_denied", denied("access_denied")),
            ("error=access_denied&state=other", PasteError::WrongState),
            ("error=x&error_description=sk-marked", denied("x: [REDACTED]")),
        ] {
            assert_eq!(parse(pasted, STATE), Err(expected), "{pasted}");
        }
    }

    #[test]
    fn a_code_is_not_printed() {
        assert!(!format!("{:?}", parse("c0de", STATE)).contains("c0de"));
    }

    proptest! {
        #[test]
        fn whatever_is_pasted_a_code_is_short_and_can_be_sent(
            pasted in "(https?://[a-z]{0,3}/?)?(\\PC{0,9}|[!-~]{0,9})([?#&](code|state|error)=[!-~é]{0,9}){0,3}",
        ) {
            if let Ok(Code(code)) = parse(&pasted, STATE) {
                prop_assert!(!code.is_empty() && code.len() <= LONGEST);
                prop_assert!(code.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }

        #[test]
        fn a_code_that_is_shown_with_its_state_is_found_and_belongs_to_no_other_login(
            code in "[A-Za-z0-9._~+/-]{1,200}={0,2}",
            state in "[A-Za-z0-9_-]{43}",
        ) {
            let shown = format!("{code}#{state}");
            prop_assert_eq!(parse(&shown, &state), Ok(Code(code)));
            prop_assert_eq!(parse(&shown, STATE), Err(PasteError::WrongState));
        }
    }
}
