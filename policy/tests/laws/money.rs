//! What a call costs.

use polpo_policy::model::{Catalogue, ModelInfo};
use polpo_policy::price::{Cost, PriceList, PriceOverride, Rate, Rates};
use polpo_policy::usage::{BillingClass, Terms, Usage};
use proptest::prelude::*;

fn model() -> impl Strategy<Value = &'static ModelInfo> {
    prop::sample::select(Catalogue::get().models())
        .prop_map(|info| Catalogue::get().find(&info.id).expect("it is in the catalogue"))
}

fn terms() -> impl Strategy<Value = Terms> {
    any::<(bool, bool, bool)>().prop_map(|(batch, us_only, fast)| Terms { batch, us_only, fast })
}

fn usage(most: u64) -> impl Strategy<Value = Usage> {
    prop::array::uniform6(0..most).prop_map(|of| Usage {
        input: of[0],
        output: of[1],
        cache_read: of[2],
        cache_write_5m: of[3],
        cache_write_1h: of[4],
        web_searches: of[5],
    })
}

fn sum(usages: &[Usage]) -> Usage {
    let mut sum = Usage::default();
    usages.iter().for_each(|usage| sum += *usage);
    sum
}

/// Rates of any size, most of them no whole number of nanodollars a token.
fn odd_rates() -> impl Strategy<Value = Rates> {
    prop::array::uniform5(0..1_000_000_000_000_i64).prop_map(|rates| {
        let [input, output, cache_write_5m, cache_write_1h, cache_read] = rates.map(Rate);
        Rates { input, output, cache_write_5m, cache_write_1h, cache_read }
    })
}

fn priced(info: &ModelInfo, rates: &Rates) -> PriceList {
    let price = PriceOverride {
        input: rates.input,
        output: rates.output,
        cache_read: Some(rates.cache_read),
        cache_write_5m: Some(rates.cache_write_5m),
        cache_write_1h: Some(rates.cache_write_1h),
    };
    PriceList::new([(info.id.clone(), price)])
}

/// The exact price of one class as a fraction of nanodollars: the rate a million, times the terms.
fn exact(info: &ModelInfo, rates: &Rates, terms: Terms, class: BillingClass) -> (i128, i128) {
    let (rate, per_token) = match class {
        BillingClass::Input => (rates.input, true),
        BillingClass::Output => (rates.output, true),
        BillingClass::CacheRead => (rates.cache_read, true),
        BillingClass::CacheWrite5m => (rates.cache_write_5m, true),
        BillingClass::CacheWrite1h => (rates.cache_write_1h, true),
        BillingClass::WebSearch => return (10_000_000, 1), // A cent.
    };
    let factor = |on: bool, factor: (i128, i128)| if on && per_token { factor } else { (1, 1) };
    let fast = info.fast_percent.map_or((1, 1), |percent| (i128::from(percent), 100));
    let factors =
        [factor(terms.batch, (1, 2)), factor(terms.us_only, (11, 10)), factor(terms.fast, fast)];
    let start = (i128::from(rate.0), 1_000_000);
    factors.iter().fold(start, |(num, den), factor| (num * factor.0, den * factor.1))
}

fn total(cost: Cost) -> i64 {
    cost.total().0
}

proptest! {
    #[test]
    fn each_class_is_off_by_half_a_nanodollar_at_the_most(
        info in model(), odd in odd_rates(), terms in terms(), usage in usage(10_000_000),
    ) {
        let listed = (PriceList::default(), info.rates_at(usage.prompt()));
        for (prices, rates) in [listed, (priced(info, &odd), odd)] {
            let cost = prices.cost(&info.id, &usage, terms).expect("it is priced");
            for class in BillingClass::ALL {
                let (num, den) = exact(info, &rates, terms, class);
                let off = i128::from(cost.of(class).0) * den - i128::from(usage.of(class)) * num;
                prop_assert!(off.abs() * 2 <= den, "{:?}: {} / {}", class, off, den);
            }
        }
    }

    /// Half a nanodollar for each call and class, and half a one for the sum.
    #[test]
    fn the_price_of_a_sum_is_the_sum_of_the_prices_but_for_the_rounding_of_each(
        info in model(), rates in odd_rates(), terms in terms(),
        usages in prop::collection::vec(usage(100_000), 1..20),
    ) {
        let prices = priced(info, &rates);
        let cost = |usage: &Usage| prices.cost(&info.id, usage, terms).expect("it is priced");
        let whole = cost(&sum(&usages));
        let bound = i64::try_from(usages.len() + 1).expect("it is small") / 2;
        for class in BillingClass::ALL {
            let parts: i64 = usages.iter().map(|usage| cost(usage).of(class).0).sum();
            prop_assert!((parts - whole.of(class).0).abs() <= bound, "{:?}", class);
        }
    }

    /// Prompts stay below every band: a long one is dearer than its parts, and is meant to be.
    #[test]
    fn prices_of_whole_nanodollars_a_token_add_up_exactly(
        info in model(), terms in terms(), usages in prop::collection::vec(usage(1000), 1..20),
    ) {
        let prices = PriceList::default();
        let cost = |usage: &Usage| prices.cost(&info.id, usage, terms).expect("it is priced");
        let whole = cost(&sum(&usages));
        for class in BillingClass::ALL {
            let (num, den) = exact(info, &info.rates, terms, class);
            if num % den == 0 {
                let parts: i64 = usages.iter().map(|usage| cost(usage).of(class).0).sum();
                prop_assert_eq!(whole.of(class).0, parts, "{:?}", class);
            }
        }
    }

    #[test]
    fn more_never_costs_less(
        // Around the bounds of the price bands.
        info in model(), terms in terms(), usage in usage(60_000), more in usage(60_000),
    ) {
        let prices = PriceList::default();
        let cost = |usage: &Usage| prices.cost(&info.id, usage, terms).expect("it is priced");
        let (less, both) = (cost(&usage), cost(&sum(&[usage, more])));
        for class in BillingClass::ALL {
            prop_assert!(less.of(class) <= both.of(class), "{:?}", class);
        }
        prop_assert!(total(less) <= total(both));
    }

    #[test]
    fn no_quantity_is_too_large_to_price(
        info in model(), terms in terms(), usage in usage(u64::MAX),
    ) {
        let cost = PriceList::default().cost(&info.id, &usage, terms).expect("it is priced");
        prop_assert!(total(cost) >= 0);
    }
}
