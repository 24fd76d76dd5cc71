//! A web search of the model's own: what it looked for, and what it found.

use serde::Serialize;

use crate::draw::Draws;
use crate::estimate;

/// Nanodollars of a search, beside its tokens: ten dollars a thousand.
const NANODOLLARS: i64 = 10_000_000;

/// Most pages that a search finds.
const MAX_PAGES: u64 = 3;

/// Letters of a page's content, which only the API can read.
const CONTENT: u64 = 2_000;

/// A page that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "web_search_result")]
pub(crate) struct Page {
    url: String,
    title: String,
    encrypted_content: String,
    page_age: Option<&'static str>,
}

impl Page {
    /// Tokens of input that the model reads.
    pub(crate) fn tokens(&self) -> u64 {
        estimate::text(&self.title) + estimate::text(&self.encrypted_content)
    }
}

/// The pages that a search finds.
pub(crate) fn pages(draws: Draws) -> Vec<Page> {
    let count = 1 + draws.below("pages", 0, MAX_PAGES);
    let page = |nth| Page {
        url: format!("https://example.com/{}", draws.again(nth).id("url", 8)),
        title: format!("Page {nth}"),
        encrypted_content: draws.again(nth).id("content", CONTENT),
        page_age: Some("November 1, 2026"),
    };
    (1..=count).map(page).collect()
}

/// What searches cost in nanodollars, beside their tokens.
pub(crate) fn price(searches: u64) -> i64 {
    i64::try_from(searches).unwrap_or(i64::MAX).saturating_mul(NANODOLLARS)
}
