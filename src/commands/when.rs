//! Times as people read and write them.

use chrono::TimeDelta;
use polpo_policy::limits::Timestamp;

/// A time of day with its distance from now: `2026-01-14 10:30:00 UTC (in 12 min)`.
pub(crate) fn told(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", at.format("%Y-%m-%d %H:%M:%S UTC"), distance(at, now))
}

/// The distance of a time from now: `in 12 min`, `3 h ago`.
pub(crate) fn distance(at: Timestamp, now: Timestamp) -> String {
    let seconds = (at - now).num_seconds();
    let (number, unit) = match seconds.unsigned_abs() {
        0 => return "now".to_owned(),
        few @ 1..120 => (few, "s"),
        some @ 120..7_200 => (some / 60, "min"),
        many @ 7_200..172_800 => (many / 3_600, "h"),
        more => (more / 86_400, "days"),
    };
    if seconds > 0 { format!("in {number} {unit}") } else { format!("{number} {unit} ago") }
}

/// A span of time as it is typed: `7d`, `12h`, `30m`.
pub(crate) fn span(text: &str) -> Option<TimeDelta> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = number.parse().ok().filter(|number| *number >= 0)?;
    match unit {
        "d" => TimeDelta::try_days(number),
        "h" => TimeDelta::try_hours(number),
        "m" => TimeDelta::try_minutes(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_told_in_the_unit_that_fits() {
        let now: Timestamp = "2026-01-14T10:30:00Z".parse().unwrap();
        for (seconds, expected) in [
            (0, "now"),
            (59, "in 59 s"),
            (-119, "119 s ago"),
            (120, "in 2 min"),
            (-7_199, "119 min ago"),
            (7_200, "in 2 h"),
            (172_800, "in 2 days"),
            (-864_000, "10 days ago"),
        ] {
            assert_eq!(distance(now + TimeDelta::seconds(seconds), now), expected);
        }
        let soon = now + TimeDelta::seconds(90);
        assert_eq!(told(soon, now), "2026-01-14 10:31:30 UTC (in 90 s)");
    }

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        assert_eq!(span("7d"), Some(TimeDelta::days(7)));
        assert_eq!(span("12h"), Some(TimeDelta::hours(12)));
        assert_eq!(span("0m"), Some(TimeDelta::zero()));
        for text in ["", "d", "7", "-1d", "7w", "7é", "1.5d", "99999999999999999999d"] {
            assert_eq!(span(text), None, "{text}");
        }
    }
}
