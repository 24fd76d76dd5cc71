//! Pages of a list: a limit and a cursor in the query, a slice of the list in the answer.

use actix_web::web::Query;
use serde::Serialize;

use crate::request::{Checked, wrong};

/// Most and fewest items on a page, and how many there are unless the query says.
const LIMITS: (usize, usize) = (1, 1000);
const DEFAULT_LIMIT: usize = 20;

/// The parameters of a query, percent-decoded, in their order.
pub(crate) fn parameters(query: &str) -> Checked<Vec<(String, String)>> {
    match Query::<Vec<(String, String)>>::from_query(query) {
        Ok(parameters) => Ok(parameters.into_inner()),
        Err(error) => wrong("query", &error.to_string()),
    }
}

/// Which part of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    limit: usize,
    cursor: Cursor<'a>,
}

#[derive(Debug, PartialEq, Eq)]
enum Cursor<'a> {
    Start,
    After(&'a str),
    Before(&'a str),
}

/// A page as the API writes it.
#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    data: Vec<T>,
    has_more: bool,
    first_id: Option<String>,
    last_id: Option<String>,
}

impl<T> Page<T> {
    /// The page with its items written differently.
    pub(crate) fn map<U>(self, write: impl Fn(T) -> U) -> Page<U> {
        let Self { data, has_more, first_id, last_id } = self;
        Page { data: data.into_iter().map(write).collect(), has_more, first_id, last_id }
    }
}

impl<'a> Wanted<'a> {
    /// Reads `limit`, `after_id` and `before_id`; other parameters are not looked at.
    pub(crate) fn read(parameters: &'a [(String, String)]) -> Checked<Self> {
        let get = |name: &str| {
            let found = parameters.iter().rev().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        let limit = get("limit").map_or(Ok(DEFAULT_LIMIT), limit)?;
        let cursor = match (get("after_id"), get("before_id")) {
            (None, None) => Cursor::Start,
            (Some(id), None) => Cursor::After(id),
            (None, Some(id)) => Cursor::Before(id),
            (Some(_), Some(_)) => {
                return wrong("before_id", "cannot be combined with after_id");
            }
        };
        Ok(Self { limit, cursor })
    }

    /// The page of a list that `id` names the items of.
    pub(crate) fn of<T>(&self, list: Vec<T>, id: impl Fn(&T) -> &str) -> Checked<Page<T>> {
        let place = |name: &str, cursor: &str| match list.iter().position(|item| id(item) == cursor)
        {
            Some(place) => Ok(place),
            None => wrong(name, &format!("no such id in this list: {cursor}")),
        };
        let (start, end, has_more) = match self.cursor {
            Cursor::Start => self.from(0, list.len()),
            Cursor::After(cursor) => self.from(place("after_id", cursor)? + 1, list.len()),
            Cursor::Before(cursor) => {
                let end = place("before_id", cursor)?;
                let start = end.saturating_sub(self.limit);
                (start, end, start > 0)
            }
        };
        let data: Vec<_> = list.into_iter().take(end).skip(start).collect();
        let named = |item: Option<&T>| item.map(|item| id(item).to_owned());
        let (first_id, last_id) = (named(data.first()), named(data.last()));
        Ok(Page { data, has_more, first_id, last_id })
    }

    /// Start, end, and whether there is more after the end.
    fn from(&self, start: usize, length: usize) -> (usize, usize, bool) {
        let end = start.saturating_add(self.limit).min(length);
        (start, end, end < length)
    }
}

fn limit(text: &str) -> Checked<usize> {
    let (least, most) = LIMITS;
    match text.parse::<i64>().map(usize::try_from) {
        Err(_) => {
            wrong("limit", "Input should be a valid integer, unable to parse string as an integer")
        }
        Ok(Ok(limit)) if limit > most => {
            wrong("limit", &format!("Input should be less than or equal to {most}"))
        }
        Ok(Ok(limit)) if limit >= least => Ok(limit),
        Ok(Ok(_) | Err(_)) => {
            wrong("limit", &format!("Input should be greater than or equal to {least}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Checked<(String, bool)> {
        let parameters = parameters(query)?;
        let list = vec!["e", "d", "c", "b", "a"];
        let page = Wanted::read(&parameters)?.of(list, |item| item)?;
        let ends = (page.first_id, page.last_id);
        assert_eq!(ends.0.as_deref(), page.data.first().copied());
        assert_eq!(ends.1.as_deref(), page.data.last().copied());
        Ok((page.data.concat(), page.has_more))
    }

    #[test]
    fn pages_follow_each_other_in_both_directions() {
        for (query, items, has_more) in [
            ("", "edcba", false),
            ("limit=2", "ed", true),
            ("limit=2&after_id=d", "cb", true),
            ("limit=2&after_id=b", "a", false),
            ("limit=4&after_id=e", "dcba", false),
            ("after_id=a", "", false),
            ("limit=2&before_id=b", "dc", true),
            ("limit=2&before_id=c", "ed", false),
            ("limit=2&before_id=d", "e", false),
            ("before_id=e", "", false),
            ("limit=5&beta=true", "edcba", false),
        ] {
            assert_eq!(page(query).unwrap(), (items.to_owned(), has_more), "{query}");
        }
    }

    #[test]
    fn a_limit_out_of_range_and_an_unknown_cursor_are_refused_by_name() {
        for (query, message) in [
            ("limit=0", "limit: Input should be greater than or equal to 1"),
            ("limit=-3", "limit: Input should be greater than or equal to 1"),
            ("limit=1001", "limit: Input should be less than or equal to 1000"),
            (
                "limit=ten",
                "limit: Input should be a valid integer, unable to parse string as an integer",
            ),
            ("after_id=x", "after_id: no such id in this list: x"),
            ("before_id=%C3%A9", "before_id: no such id in this list: é"),
            ("after_id=a&before_id=b", "before_id: cannot be combined with after_id"),
        ] {
            assert_eq!(page(query).unwrap_err().message, message, "{query}");
        }
        assert_eq!(page("limit=1000").unwrap().0, "edcba");
    }
}
