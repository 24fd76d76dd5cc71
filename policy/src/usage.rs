//! Tokens of one call, in the classes that have a price of their own.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What a call is billed for: five token classes and web searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BillingClass {
    /// Input after the last cache breakpoint, or uncached.
    Input,
    /// Everything the model wrote, thinking included.
    Output,
    /// Input read from the prompt cache.
    CacheRead,
    /// Input written to the prompt cache for five minutes.
    CacheWrite5m,
    /// Input written to the prompt cache for an hour.
    CacheWrite1h,
    /// Searches done by the server's web search tool.
    WebSearch,
}

impl BillingClass {
    /// Every class, in the order of the tables.
    pub const ALL: [Self; 6] = [
        Self::Input,
        Self::Output,
        Self::CacheRead,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::WebSearch,
    ];

    /// The value of the `type` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheRead => "cache_read",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::WebSearch => "web_search",
        }
    }
}

/// Billed quantities: tokens, and searches for [`BillingClass::WebSearch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Tokens of [`BillingClass::Input`].
    pub input: u64,
    /// Tokens of [`BillingClass::Output`].
    pub output: u64,
    /// Tokens of [`BillingClass::CacheRead`].
    pub cache_read: u64,
    /// Tokens of [`BillingClass::CacheWrite5m`].
    #[serde(rename = "cacheWrite5m")]
    pub cache_write_5m: u64,
    /// Tokens of [`BillingClass::CacheWrite1h`].
    #[serde(rename = "cacheWrite1h")]
    pub cache_write_1h: u64,
    /// Searches.
    pub web_searches: u64,
}

impl Usage {
    /// The quantity of one class.
    #[must_use]
    pub const fn of(&self, class: BillingClass) -> u64 {
        match class {
            BillingClass::Input => self.input,
            BillingClass::Output => self.output,
            BillingClass::CacheRead => self.cache_read,
            BillingClass::CacheWrite5m => self.cache_write_5m,
            BillingClass::CacheWrite1h => self.cache_write_1h,
            BillingClass::WebSearch => self.web_searches,
        }
    }

    /// All that the model read: what price bands are chosen by.
    #[must_use]
    pub const fn prompt(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.cache_write_5m = self.cache_write_5m.saturating_add(other.cache_write_5m);
        self.cache_write_1h = self.cache_write_1h.saturating_add(other.cache_write_1h);
        self.web_searches = self.web_searches.saturating_add(other.web_searches);
    }
}

/// A `usage` object as the API sends it, each field present or not.
///
/// `message_start` and every `message_delta` carry one, each with running totals: a field that is present replaces what was known, zero included,
/// and one that is absent or null says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct UsageReport {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    server_tool_use: Option<ServerToolUse>,
    service_tier: Option<String>,
    inference_geo: Option<String>,
    speed: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct ServerToolUse {
    web_search_requests: Option<u64>,
}

fn keep<T>(known: &mut Option<T>, later: Option<T>) {
    if later.is_some() {
        *known = later;
    }
}

impl UsageReport {
    /// Takes over every field that `later` states.
    pub fn merge(&mut self, later: Self) {
        keep(&mut self.input_tokens, later.input_tokens);
        keep(&mut self.output_tokens, later.output_tokens);
        keep(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        keep(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        if let Some(later) = later.cache_creation {
            let known = self.cache_creation.get_or_insert_default();
            keep(&mut known.ephemeral_5m_input_tokens, later.ephemeral_5m_input_tokens);
            keep(&mut known.ephemeral_1h_input_tokens, later.ephemeral_1h_input_tokens);
        }
        if let Some(later) = later.server_tool_use {
            let known = self.server_tool_use.get_or_insert_default();
            keep(&mut known.web_search_requests, later.web_search_requests);
        }
        keep(&mut self.service_tier, later.service_tier);
        keep(&mut self.inference_geo, later.inference_geo);
        keep(&mut self.speed, later.speed);
    }

    /// The quantities to bill.
    ///
    /// Where only the sum of the cache writes is known, or it exceeds its parts, the rest is
    /// billed as five-minute writes, the API's default.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let parts = self.cache_creation.unwrap_or_default();
        let long = parts.ephemeral_1h_input_tokens.unwrap_or(0);
        let short = parts.ephemeral_5m_input_tokens.unwrap_or(0);
        let total = self.cache_creation_input_tokens.unwrap_or(0);
        Usage {
            input: self.input_tokens.unwrap_or(0),
            output: self.output_tokens.unwrap_or(0),
            cache_read: self.cache_read_input_tokens.unwrap_or(0),
            cache_write_5m: short.max(total.saturating_sub(long)),
            cache_write_1h: long,
            web_searches: self.server_tool_use.and_then(|u| u.web_search_requests).unwrap_or(0),
        }
    }

    /// What the price is multiplied for.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            batch: self.service_tier.as_deref() == Some("batch"),
            us_only: self.inference_geo.as_deref() == Some("us"),
            fast: self.speed.as_deref() == Some("fast"),
        }
    }
}

/// The terms of a call that change its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Served by the Message Batches API.
    pub batch: bool,
    /// Inference kept in the US.
    pub us_only: bool,
    /// Fast mode.
    pub fast: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(json: &str) -> UsageReport {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_present_zero_replaces_and_an_absent_or_null_field_keeps() {
        let mut usage = report(
            r#"{"input_tokens":135,"cache_read_input_tokens":7,"output_tokens":1,
                "server_tool_use":{"web_search_requests":2}}"#,
        );
        usage.merge(report(
            r#"{"cache_read_input_tokens":0,"output_tokens":42,"server_tool_use":null}"#,
        ));
        let usage = usage.usage();
        assert_eq!((usage.input, usage.cache_read, usage.output), (135, 0, 42));
        assert_eq!(usage.web_searches, 2);
    }

    #[test]
    fn an_object_within_the_report_is_taken_over_field_by_field_too() {
        let mut usage = report(
            r#"{"cache_creation":{"ephemeral_5m_input_tokens":7,"ephemeral_1h_input_tokens":9},
                "server_tool_use":{"web_search_requests":2}}"#,
        );
        usage.merge(report(
            r#"{"cache_creation":{"ephemeral_5m_input_tokens":0},"server_tool_use":{}}"#,
        ));
        let usage = usage.usage();
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h, usage.web_searches), (0, 9, 2));
    }

    #[test]
    fn server_tools_can_raise_the_input_in_the_last_delta() {
        let mut usage = report(r#"{"input_tokens":2679,"output_tokens":3}"#);
        usage.merge(report(r#"{"input_tokens":10682,"output_tokens":510}"#));
        assert_eq!(usage.usage().input, 10_682);
    }

    #[test]
    fn cache_writes_are_split_by_lifetime_and_an_unsplit_sum_counts_as_five_minutes() {
        let split = report(
            r#"{"cache_creation_input_tokens":248,
                "cache_creation":{"ephemeral_5m_input_tokens":148,"ephemeral_1h_input_tokens":100}}"#,
        )
        .usage();
        assert_eq!((split.cache_write_5m, split.cache_write_1h), (148, 100));
        let sum = report(r#"{"cache_creation_input_tokens":248}"#).usage();
        assert_eq!((sum.cache_write_5m, sum.cache_write_1h), (248, 0));
    }

    #[test]
    fn unknown_fields_of_a_usage_object_are_ignored() {
        let usage =
            report(r#"{"input_tokens":1,"output_tokens_details":{"thinking_tokens":9},"x":[]}"#);
        assert_eq!(usage.usage().input, 1);
    }
}
