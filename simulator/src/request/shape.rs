//! The shapes of JSON a request is made of. Tables say them; the first value that is not of its
//! shape is complained about at its path, in the words of the API.

use std::fmt::{self, Display};

use serde_json::{Map, Value};

use super::{Rules, Version};
use crate::problem::Problem;

/// A value, or the API's complaint about it.
pub(crate) type Checked<T> = Result<T, Problem>;

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Kind {
    Anything,
    Boolean,
    Text,
    /// A text of so many characters: at least, at most.
    Length(usize, usize),
    /// Letters, digits, `_` and `-`, at most so many.
    Token(usize),
    /// One of these words.
    Word(&'static [&'static str]),
    /// An integer not below this.
    Integer(i64),
    Dictionary,
    List(&'static Kind),
    /// A dictionary with these members, and whatever else.
    Open(&'static [Field]),
    /// A dictionary with these members and no others.
    Record(&'static [&'static [Field]]),
    /// A dictionary whose `type` says which members it has.
    Tagged(&'static [Variant]),
    /// The first of these that is of the value's JSON type.
    Either(&'static [Kind]),
}

/// When a member may or must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    /// `null` is as good as nothing.
    Optional,
    /// Optional, in requests that name any beta.
    Beta,
    /// Optional, in the older version of the API.
    Older,
}

/// A member of a dictionary.
#[derive(Debug)]
pub(crate) struct Field(pub(crate) &'static str, pub(crate) Presence, pub(crate) Kind);

/// A `type`, when it may be used, and the members it has beside it.
#[derive(Debug)]
pub(crate) struct Variant(
    pub(crate) &'static str,
    pub(crate) Presence,
    pub(crate) &'static [&'static [Field]],
);

/// Where in a request something is. It becomes a text only if something is wrong there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    Root,
    Name(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(crate) const fn name(&'a self, name: &'a str) -> Self {
        Self::Name(self, name)
    }

    pub(crate) const fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    /// A complaint about the value here.
    pub(crate) fn wrong<T>(&self, complaint: impl Display) -> Checked<T> {
        Err(Problem::invalid(match self {
            Self::Root => complaint.to_string(),
            Self::Name(..) | Self::Index(..) => format!("{self}: {complaint}"),
        }))
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Name(parent, _) | Self::Index(parent, _)) = self else { return Ok(()) };
        if !matches!(parent, Self::Root) {
            write!(f, "{parent}.")?;
        }
        match self {
            Self::Root => Ok(()),
            Self::Name(_, name) => f.write_str(name),
            Self::Index(_, index) => write!(f, "{index}"),
        }
    }
}

impl Presence {
    fn is_known(self, rules: Rules) -> bool {
        match self {
            Self::Required | Self::Optional => true,
            Self::Beta => rules.has_beta,
            Self::Older => rules.version == Version::First,
        }
    }
}

impl Kind {
    /// Checks a value.
    pub(crate) fn check(&self, value: &Value, path: &Path<'_>, rules: Rules) -> Checked<()> {
        match self {
            Self::Anything => Ok(()),
            Self::Boolean if value.is_boolean() => Ok(()),
            Self::Boolean => path.wrong("Input should be a valid boolean"),
            Self::Text => text(value, path).map(drop),
            Self::Length(least, most) => length(text(value, path)?, *least, *most, path),
            Self::Token(most) => token(text(value, path)?, *most, path),
            Self::Word(words) => match value.as_str() {
                Some(word) if words.contains(&word) => Ok(()),
                _ => path.wrong(format_args!("Input should be {}", listed(words))),
            },
            Self::Integer(least) => integer(value, *least, path),
            Self::Dictionary => dictionary(value, path).map(drop),
            Self::List(kind) => {
                let Some(items) = value.as_array() else {
                    return path.wrong("Input should be a valid list");
                };
                let mut items = items.iter().enumerate();
                items.try_for_each(|(index, item)| kind.check(item, &path.index(index), rules))
            }
            Self::Open(fields) => {
                known_members(&[fields], dictionary(value, path)?, path, rules).map(drop)
            }
            Self::Record(groups) => members(groups, dictionary(value, path)?, path, rules),
            Self::Tagged(variants) => tagged(variants, dictionary(value, path)?, path, rules),
            Self::Either(kinds) => match kinds.iter().find(|kind| kind.suits(value)) {
                Some(kind) => kind.check(value, path, rules),
                None => kinds.last().map_or(Ok(()), |kind| kind.check(value, path, rules)),
            },
        }
    }

    /// Whether the value is of the right JSON type.
    fn suits(&self, value: &Value) -> bool {
        match self {
            Self::Anything => true,
            Self::Boolean => value.is_boolean(),
            Self::Text | Self::Length(..) | Self::Token(_) | Self::Word(_) => value.is_string(),
            Self::Integer(_) => value.is_number(),
            Self::List(_) => value.is_array(),
            Self::Dictionary | Self::Open(_) | Self::Record(_) | Self::Tagged(_) => {
                value.is_object()
            }
            Self::Either(kinds) => kinds.iter().any(|kind| kind.suits(value)),
        }
    }
}

/// Checks that a dictionary has the members it must have, and no others.
pub(crate) fn members(
    groups: &[&[Field]],
    value: &Map<String, Value>,
    path: &Path<'_>,
    rules: Rules,
) -> Checked<()> {
    let is_known = |name: &str| {
        let mut fields = groups.iter().copied().flatten();
        fields.any(|field| field.0 == name && field.1.is_known(rules))
    };
    if known_members(groups, value, path, rules)? < value.len()
        && let Some(extra) = value.keys().find(|name| !is_known(name))
    {
        return path.name(extra).wrong("Extra inputs are not permitted");
    }
    Ok(())
}

/// Checks the members that are known, and counts those that are there.
fn known_members(
    groups: &[&[Field]],
    value: &Map<String, Value>,
    path: &Path<'_>,
    rules: Rules,
) -> Checked<usize> {
    let fields = groups.iter().copied().flatten().filter(|field| field.1.is_known(rules));
    let mut found = 0;
    for Field(name, presence, kind) in fields {
        let path = path.name(name);
        let is_required = *presence == Presence::Required;
        match value.get(*name) {
            None if is_required => return path.wrong("Field required"),
            None => continue,
            Some(Value::Null) if !is_required => {}
            Some(value) => kind.check(value, &path, rules)?,
        }
        found += 1;
    }
    Ok(found)
}

const TYPE: &[Field] = &[Field("type", Presence::Required, Kind::Text)];

fn tagged(
    variants: &[Variant],
    value: &Map<String, Value>,
    path: &Path<'_>,
    rules: Rules,
) -> Checked<()> {
    let Some(tag) = value.get("type") else { return path.name("type").wrong("Field required") };
    let tag = tag.as_str().unwrap_or_default();
    let known = || variants.iter().filter(|variant| variant.1.is_known(rules));
    let Some(Variant(tag, _, groups)) = known().find(|variant| variant.0 == tag) else {
        let tags: Vec<_> = known().map(|variant| format!("'{}'", variant.0)).collect();
        return path.wrong(format_args!(
            "Input tag '{tag}' found using 'type' does not match any of the expected tags: {}",
            tags.join(", ")
        ));
    };
    let groups: Vec<_> = [TYPE].into_iter().chain(groups.iter().copied()).collect();
    members(&groups, value, &path.name(tag), rules)
}

fn dictionary<'a>(value: &'a Value, path: &Path<'_>) -> Checked<&'a Map<String, Value>> {
    value.as_object().map_or_else(|| path.wrong("Input should be a valid dictionary"), Ok)
}

fn text<'a>(value: &'a Value, path: &Path<'_>) -> Checked<&'a str> {
    value.as_str().map_or_else(|| path.wrong("Input should be a valid string"), Ok)
}

fn length(text: &str, least: usize, most: usize, path: &Path<'_>) -> Checked<()> {
    let characters = |count: usize| if count == 1 { "character" } else { "characters" };
    let count = text.chars().count();
    if count < least {
        let word = characters(least);
        return path.wrong(format_args!("String should have at least {least} {word}"));
    }
    if count > most {
        let word = characters(most);
        return path.wrong(format_args!("String should have at most {most} {word}"));
    }
    Ok(())
}

fn token(text: &str, most: usize, path: &Path<'_>) -> Checked<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=most).contains(&text.len()) && text.bytes().all(is_plain) {
        return Ok(());
    }
    let times = if most == usize::MAX { "+".to_owned() } else { format!("{{1,{most}}}") };
    path.wrong(format_args!("String should match pattern '^[a-zA-Z0-9_-]{times}$'"))
}

fn integer(value: &Value, least: i64, path: &Path<'_>) -> Checked<()> {
    match (value.as_i64(), value.is_u64()) {
        (Some(number), _) if number < least => {
            path.wrong(format_args!("Input should be greater than or equal to {least}"))
        }
        (Some(_), _) | (None, true) => Ok(()),
        (None, false) => path.wrong("Input should be a valid integer"),
    }
}

/// `'a', 'b' or 'c'`.
fn listed(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
