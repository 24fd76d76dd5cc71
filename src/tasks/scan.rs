//! The first pass: everything that is wrong with a file, before a cent is spent.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use polpo_policy::model::ModelSpec;

use super::error::{InputError, LineError};
use super::line::Line;
use super::lines::{Lines, open};
use super::rules::{Checker, Demand, Rules};

/// How many wrong lines are told one by one.
const SHOWN_MAX: usize = 20;

/// What the first pass over a good file found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// How many tasks there are.
    pub tasks: u64,
    /// The size of the file.
    pub bytes: u64,
    /// What they ask for, by the model that they start on.
    pub models: BTreeMap<ModelSpec, ModelEstimate>,
}

/// What the tasks of one model ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelEstimate {
    /// How many there are.
    pub tasks: u64,
    /// Bytes of their prompts with the system prompt, or of their parameters.
    pub input_bytes: u64,
    /// The sum of their `max_tokens`.
    pub max_tokens: u64,
}

/// Reads a file once (twice if two ids may be equal), in eight bytes of memory a task.
///
/// # Errors
/// When the file cannot be read, has no tasks, or has wrong lines: all of them are found.
pub fn scan(file: &Path, rules: &Rules<'_>) -> Result<Scan, InputError> {
    let mut lines = open(file)?;
    let mut pass = Pass::new(rules);
    while let Some((number, text)) = lines.next().map_err(|error| InputError::io(file, &error))? {
        if let Err(problem) = text.and_then(|text| pass.line(text)) {
            pass.wrong.add(number, problem);
        }
    }
    pass.scan.bytes = lines.bytes();
    let Pass { mut scan, mut ids, mut wrong, .. } = pass;
    let repeated = repeated(&mut ids);
    scan.tasks = u64::try_from(ids.len()).unwrap_or(u64::MAX);
    drop(ids);
    if !repeated.is_empty() {
        duplicates(open(file)?, &repeated, &mut wrong)
            .map_err(|error| InputError::io(file, &error))?;
    }
    if wrong.total > 0 {
        let (first, total) = (wrong.first, wrong.total);
        return Err(InputError::Lines { file: file.to_owned(), first, total });
    }
    if scan.tasks == 0 {
        return Err(InputError::Empty { file: file.to_owned() });
    }
    Ok(scan)
}

/// The state of the first pass.
struct Pass<'a> {
    checker: Checker<'a>,
    /// A hash of each id; the ids themselves would take several times as much.
    ids: Vec<u64>,
    scan: Scan,
    wrong: Wrong,
}

impl<'a> Pass<'a> {
    fn new(rules: &Rules<'a>) -> Self {
        Self {
            checker: Checker::new(*rules),
            ids: Vec::new(),
            scan: Scan::default(),
            wrong: Wrong::default(),
        }
    }

    fn line(&mut self, text: &str) -> Result<(), String> {
        let line = Line::parse(text)?;
        self.ids.push(hash(&line.id));
        let Demand { model, input_bytes, max_tokens } = self.checker.check(&line)?;
        let sums = match self.scan.models.get_mut(model) {
            Some(sums) => sums,
            None => self.scan.models.entry(model.clone()).or_default(),
        };
        sums.tasks += 1;
        sums.input_bytes += u64::try_from(input_bytes).unwrap_or(0);
        sums.max_tokens += u64::from(max_tokens);
        Ok(())
    }
}

/// The wrong lines: how many, and the first of them.
#[derive(Default)]
struct Wrong {
    first: Vec<LineError>,
    total: u64,
}

impl Wrong {
    fn add(&mut self, line: u64, problem: String) {
        self.total += 1;
        let at = self.first.partition_point(|known| known.line <= line);
        if at < SHOWN_MAX {
            self.first.insert(at, LineError { line, problem });
            self.first.truncate(SHOWN_MAX);
        }
    }
}

/// The same in both passes, whatever the process.
fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// The hashes that occur more than once, sorted.
fn repeated(ids: &mut [u64]) -> Vec<u64> {
    ids.sort_unstable();
    let mut repeated: Vec<u64> =
        ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    repeated.dedup();
    repeated
}

/// The second pass: which ids really are equal, and where. Its memory grows with the ids that occur
/// more than once only.
fn duplicates(mut lines: Lines<File>, repeated: &[u64], wrong: &mut Wrong) -> std::io::Result<()> {
    let mut seen: HashMap<Box<str>, u64> = HashMap::new();
    while let Some((number, text)) = lines.next()? {
        let Some(line) = text.ok().and_then(|text| Line::parse(text).ok()) else { continue };
        if repeated.binary_search(&hash(&line.id)).is_err() {
            continue;
        }
        match seen.get(&*line.id) {
            Some(first) => {
                wrong.add(number, format!("id `{}` is also on line {first}: rename one", line.id));
            }
            None => {
                seen.insert(line.id.into(), number);
            }
        }
    }
    Ok(())
}
