//! Integer series by label set; they become floats at the scrape.
//!
//! The vectors of the `prometheus` crate do not do: they hold floats or whole numbers, and find a
//! series by a hash of its concatenated values, so that (`a`, `bc`) and (`ab`, `c`) are one.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::label::Label;

/// What one unit of the integers of a family is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    One,
    /// Milliseconds, shown as seconds.
    Milli,
    /// Nanodollars and nanoseconds, shown as dollars and seconds.
    Nano,
}

impl Unit {
    #[expect(clippy::cast_precision_loss, reason = "rounded once, to the nearest float")]
    fn show(self, value: i64) -> f64 {
        match self {
            Self::One => value as f64,
            Self::Milli => value as f64 / 1e3,
            Self::Nano => value as f64 / 1e9,
        }
    }
}

/// Counters or gauges under one name, one for each set of `N` label values.
///
/// A clone is another handle to the same series.
#[derive(Clone)]
pub(crate) struct Family<const N: usize> {
    cells: Arc<DashMap<[Label; N], AtomicI64, RandomState>>,
    labels: [&'static str; N],
    desc: Desc,
    kind: MetricType,
    unit: Unit,
}

impl<const N: usize> fmt::Debug for Family<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} series)", self.desc.fq_name, self.cells.len())
    }
}

impl<const N: usize> Family<N> {
    pub(crate) fn counter(
        name: &str,
        help: &str,
        labels: [&'static str; N],
    ) -> prometheus::Result<Self> {
        Self::new(name, help, labels, MetricType::COUNTER)
    }

    pub(crate) fn gauge(
        name: &str,
        help: &str,
        labels: [&'static str; N],
    ) -> prometheus::Result<Self> {
        Self::new(name, help, labels, MetricType::GAUGE)
    }

    fn new(
        name: &str,
        help: &str,
        labels: [&'static str; N],
        kind: MetricType,
    ) -> prometheus::Result<Self> {
        let names = labels.map(str::to_owned).to_vec();
        let desc = Desc::new(name.to_owned(), help.to_owned(), names, HashMap::new())?;
        Ok(Self { cells: Arc::default(), labels, desc, kind, unit: Unit::One })
    }

    pub(crate) fn of(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// Adds to a series, which starts at zero; a counter takes no negative `amount`.
    pub(crate) fn add(&self, labels: [Label; N], amount: i64) {
        debug_assert!(amount >= 0 || self.kind == MetricType::GAUGE, "a counter cannot fall");
        self.with(labels, |cell| {
            // The update never declines, so there is no error to look at.
            let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |value| {
                Some(value.saturating_add(amount))
            });
        });
    }

    pub(crate) fn set(&self, labels: [Label; N], value: i64) {
        self.with(labels, |cell| cell.store(value, Ordering::Relaxed));
    }

    pub(crate) fn clear(&self) {
        self.cells.clear();
    }

    pub(crate) fn forget(&self, labels: &[Label; N]) {
        self.cells.remove(labels);
    }

    fn with(&self, labels: [Label; N], act: impl FnOnce(&AtomicI64)) {
        // A known series is found under a shared lock; only a new one takes the exclusive one.
        match self.cells.get(&labels) {
            Some(cell) => act(&cell),
            None => act(&self.cells.entry(labels).or_default()),
        }
    }

    fn sample(&self, values: &[Label; N], cell: &AtomicI64) -> Metric {
        let mut pairs = self.labels.iter().zip(values).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value.as_str().to_owned());
            pair
        });
        let mut sample = Metric::from_label(pairs.by_ref().collect());
        let value = self.unit.show(cell.load(Ordering::Relaxed));
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
        sample
    }
}

impl<const N: usize> Collector for Family<N> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let samples = self.cells.iter().map(|entry| self.sample(entry.key(), entry.value()));
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(self.kind);
        family.set_metric(samples.collect());
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<const N: usize>(family: &Family<N>) -> Vec<f64> {
        let samples = family.collect().remove(0);
        samples.get_metric().iter().map(|sample| sample.get_counter().get_value()).collect()
    }

    #[test]
    fn label_sets_that_read_the_same_when_joined_are_two_series() {
        let family = Family::counter("n", "N.", ["a", "b"]).unwrap();
        family.add(["a".into(), "bc".into()], 1);
        family.add(["ab".into(), "c".into()], 1);
        assert_eq!(values(&family), [1.0, 1.0]);
    }

    #[test]
    fn one_text_is_one_label_whatever_holds_it() {
        let family = Family::counter("n", "N.", ["a"]).unwrap();
        family.add(["x".into()], 1);
        family.add([Label::Name("x".into())], 1);
        family.add([Label::Agent("x".into())], 1);
        assert_eq!(values(&family), [3.0]);
    }

    #[test]
    fn a_hundred_thousand_additions_from_four_threads_lose_nothing() {
        let family = Family::counter("usd", "Dollars.", ["a"]).unwrap().of(Unit::Nano);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25_000 {
                        family.add(["x".into()], 4_217_003);
                    }
                });
            }
        });
        // As floats these would be off by 1e-8 and more.
        assert_eq!(values(&family), [421.7003]);
    }

    #[test]
    fn a_series_at_its_limit_stays_there() {
        let family = Family::counter("n", "N.", ["a"]).unwrap();
        family.add(["x".into()], i64::MAX);
        family.add(["x".into()], 1);
        assert!(values(&family)[0] > 9.2e18);
    }
}
