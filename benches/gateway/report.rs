//! Figures of some rounds as a table.

use comfy_table::{Table, presets};

use crate::subject::Kind;

/// What a column counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Count,
    Seconds,
    /// From bytes.
    Memory,
}

pub(crate) type Columns = &'static [(&'static str, Unit)];

/// A figure for each column, where there is one.
pub(crate) type Figures = Vec<Option<f64>>;

/// Subjects in rows, with the medians of their rounds and how far those spread.
///
/// Where it is compared, a median is followed by what it is above that of the first row.
pub(crate) fn table(columns: Columns, rows: &[(Kind, Vec<Figures>)], compared: bool) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(std::iter::once("").chain(columns.iter().map(|(name, _)| *name)));
    for (at, (kind, rounds)) in rows.iter().enumerate() {
        let cells = columns.iter().enumerate().map(|(column, (_, unit))| {
            let figures = sorted(rounds, column);
            let Some(median) = median(&figures) else { return "-".to_owned() };
            let mut cell = unit.say(median);
            if let (true, Some(least)) = (compared && at > 0, median_of(&rows[0], column)) {
                let sign = if median < least { '-' } else { '+' };
                cell += &format!(", {sign}{}", unit.say((median - least).abs()));
            }
            if let [low, .., high] = figures[..] {
                cell += &format!(" ({} to {})", unit.say(low), unit.say(high));
            }
            cell
        });
        table.add_row(std::iter::once(kind.name().to_owned()).chain(cells));
    }
    table
}

fn median_of((_, rounds): &(Kind, Vec<Figures>), column: usize) -> Option<f64> {
    median(&sorted(rounds, column))
}

fn sorted(rounds: &[Figures], column: usize) -> Vec<f64> {
    let mut figures: Vec<_> = rounds.iter().filter_map(|figures| figures[column]).collect();
    figures.sort_by(f64::total_cmp);
    figures
}

fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

impl Unit {
    fn say(self, figure: f64) -> String {
        match self {
            Self::Count => format!("{figure:.0}"),
            Self::Seconds if figure < 1e-4 => format!("{:.1} µs", figure * 1e6),
            Self::Seconds if figure < 1e-3 => format!("{:.0} µs", figure * 1e6),
            Self::Seconds => format!("{:.1} ms", figure * 1e3),
            Self::Memory if figure < 1024.0 * 1024.0 => format!("{:.1} KiB", figure / 1024.0),
            Self::Memory => format!("{:.1} MiB", figure / 1024.0 / 1024.0),
        }
    }
}
