//! That `docs/seeds.md` says what is so: its tests exist, and its models are those of the
//! catalogue.

use std::fs;
use std::path::Path;

use serde_json::Value;

const PAGE: &str = include_str!("../../docs/seeds.md");

/// The rows of tables with so many columns, without the lines below their headings.
fn rows(columns: usize) -> impl Iterator<Item = Vec<&'static str>> {
    let lines = PAGE.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let cells = lines.map(|line| {
        let inner = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')).unwrap();
        inner.split('|').map(str::trim).collect::<Vec<_>>()
    });
    cells.filter(move |cells| cells.len() == columns)
}

/// Whether there is such a test, `PATH::NAME`.
pub(crate) fn exists(name: &str) -> bool {
    let Some((path, test)) = name.split_once("::") else { return false };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let Ok(text) = fs::read_to_string(path) else { return false };
    let Some(at) = text.find(&format!("fn {test}(")) else { return false };
    text[..at].trim_end().trim_end_matches("async").trim_end().ends_with(']')
}

#[test]
fn every_test_that_the_page_names_exists() {
    assert!(exists("tests/house/seeds.rs::every_test_that_the_page_names_exists"));
    for missing in ["tests/house/seeds.rs::exists", "tests/house/seeds.rs::nothing", "x.rs::x", ""]
    {
        assert!(!exists(missing), "{missing}");
    }
    let named = PAGE.split('`').skip(1).step_by(2).filter(|name| name.contains(".rs::"));
    let (there, missing): (Vec<_>, Vec<_>) = named.partition(|name| exists(name));
    assert_eq!(missing, [""; 0]);
    assert!(there.len() > 90, "{}", there.len());
}

#[test]
fn what_behaves_is_shown_by_a_test() {
    let bare = rows(3).filter(|row| !row[2].contains(".rs::")).map(|row| row[0]);
    let bare: Vec<_> = bare.filter(|&there| there != "there" && there != "promise").collect();
    let without_behaviour =
        ["the key comes from the Anthropic Console", "what each model is best for"];
    assert_eq!(bare, without_behaviour);
}

#[test]
fn the_models_are_those_of_the_catalogue() {
    let catalogue = include_str!("../../policy/models.json");
    let catalogue: Value = serde_json::from_str(catalogue).unwrap();
    let models = catalogue["models"].as_array().unwrap();
    let mut count = 0;
    for row in rows(7).skip(1) {
        let [name, _, price, _, context, reads, lifecycle] = row[..] else { panic!("{row:?}") };
        let is_it = |it: &&Value| {
            it["id"] == name || it["aliases"].as_array().unwrap().iter().any(|it| it == name)
        };
        let model = models.iter().find(is_it).unwrap_or_else(|| panic!("{name}"));
        let rate = |class: &str| model["usdPerMillionTokens"][class].as_f64().unwrap();
        assert_eq!(price, format!("{}/{}", rate("input"), rate("output")), "{name}");
        let thousands = model["contextTokens"].as_u64().unwrap() / 1000;
        assert_eq!(context, format!("{thousands}K").replace("1000K", "1M"), "{name}");
        let hundredths = rate("cacheRead") / rate("input") * 100.0;
        assert!((hundredths - reads.parse::<f64>().unwrap()).abs() < 1e-9, "{name}: {hundredths}");
        assert_eq!(lifecycle, model["lifecycle"], "{name}");
        let can = |word: &str| &model["capabilities"][word]["supported"];
        assert_eq!(*can("image_input"), true, "{name}");
        assert_eq!(*can("thinking"), !name.contains("-3-5-"), "{name}");
        let most = match context {
            "1M" => 128_000,
            _ if name.contains("-4-5") => 64_000,
            _ => continue,
        };
        assert_eq!(model["maxOutputTokens"], most, "{name}");
        count += 1;
    }
    assert_eq!(count, 9);
}
