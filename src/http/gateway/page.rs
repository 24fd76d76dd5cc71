//! Pages of a list: which one a client asks for, and how it is written.

use actix_web::web::Query;
use polpo_store::journal::Cursor;
use serde::Serialize;

use super::fault::Fault;

/// Most items on a page, and how many there are on one of which nothing is said.
const MOST: u32 = 1000;
const USUAL: u32 = 20;

/// The parameters of a query, in their order.
pub(super) type Parameters = Vec<(String, String)>;

/// Reads a query.
///
/// # Errors
/// When it is not written as one.
pub(super) fn parameters(query: &str) -> Result<Parameters, Fault> {
    let parsed = Query::<Parameters>::from_query(query);
    parsed.map(Query::into_inner).map_err(|error| Fault::invalid("query", &error.to_string()))
}

/// Which part of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) limit: u32,
    pub(super) cursor: Option<Cursor>,
}

impl Wanted {
    /// Reads `limit`, `after_id` and `before_id`.
    ///
    /// # Errors
    /// When there is no such part.
    pub(super) fn read(parameters: &Parameters) -> Result<Self, Fault> {
        let get = |wanted: &str| {
            parameters.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| &**value)
        };
        let limit = get("limit").map_or(Ok(USUAL), limit)?;
        let cursor = match (get("after_id"), get("before_id")) {
            (None, None) => None,
            (Some(id), None) => Some(Cursor::After(id.to_owned())),
            (None, Some(id)) => Some(Cursor::Before(id.to_owned())),
            (Some(_), Some(_)) => {
                return Err(Fault::invalid("before_id", "cannot be combined with after_id"));
            }
        };
        Ok(Self { limit, cursor })
    }

    /// This part of a list whose items are named by `id`.
    ///
    /// # Errors
    /// When the cursor names none of them.
    pub(super) fn of<T>(&self, list: Vec<T>, id: impl Fn(&T) -> &str) -> Result<Page<T>, Fault> {
        let limit = self.limit as usize;
        let place = |cursor: &str| list.iter().position(|item| id(item) == cursor);
        let (start, end, has_more) = match &self.cursor {
            None => (0, limit, list.len() > limit),
            Some(Cursor::After(cursor)) => {
                let start = place(cursor).ok_or_else(|| self.lost())? + 1;
                (start, start + limit, list.len() > start + limit)
            }
            Some(Cursor::Before(cursor)) => {
                let end = place(cursor).ok_or_else(|| self.lost())?;
                (end.saturating_sub(limit), end, end > limit)
            }
        };
        let part = list.into_iter().take(end).skip(start).collect();
        Ok(Page::new(part, has_more, id))
    }

    /// That the cursor names nothing.
    pub(super) fn lost(&self) -> Fault {
        let (name, id) = match &self.cursor {
            Some(Cursor::Before(id)) => ("before_id", &**id),
            Some(Cursor::After(id)) => ("after_id", &**id),
            None => ("after_id", ""),
        };
        Fault::invalid(name, &format!("no such id in this list: {id}"))
    }
}

fn limit(text: &str) -> Result<u32, Fault> {
    let wrong = |complaint| Err(Fault::invalid("limit", complaint));
    match text.parse::<i64>() {
        Err(_) => wrong("Input should be a valid integer, unable to parse string as an integer"),
        Ok(..1) => wrong("Input should be greater than or equal to 1"),
        Ok(limit) => match u32::try_from(limit) {
            Ok(limit @ ..=MOST) => Ok(limit),
            Ok(_) | Err(_) => wrong("Input should be less than or equal to 1000"),
        },
    }
}

/// A page as the API writes it.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    data: Vec<T>,
    has_more: bool,
    first_id: Option<String>,
    last_id: Option<String>,
}

impl<T> Page<T> {
    /// A page of these items, whose names `id` tells.
    pub(super) fn new(data: Vec<T>, has_more: bool, id: impl Fn(&T) -> &str) -> Self {
        let named = |item: Option<&T>| item.map(|item| id(item).to_owned());
        let (first_id, last_id) = (named(data.first()), named(data.last()));
        Self { data, has_more, first_id, last_id }
    }

    /// The page with its items written differently.
    pub(super) fn map<U>(self, write: impl Fn(T) -> U) -> Page<U> {
        let Self { data, has_more, first_id, last_id } = self;
        Page { data: data.into_iter().map(write).collect(), has_more, first_id, last_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<(String, bool), String> {
        let told = |fault: Fault| fault.problem.message;
        let wanted = Wanted::read(&parameters(query).map_err(told)?).map_err(told)?;
        let page = wanted.of("abcdefg".split("").filter(|it| !it.is_empty()).collect(), |it| it);
        let page = page.map_err(told)?;
        assert_eq!(page.first_id.as_deref(), page.data.first().copied());
        assert_eq!(page.last_id.as_deref(), page.data.last().copied());
        Ok((page.data.concat(), page.has_more))
    }

    #[test]
    fn pages_follow_each_other_in_both_directions() {
        for (query, part, has_more) in [
            ("", "abcdefg", false),
            ("limit=3", "abc", true),
            ("limit=3&after_id=c", "def", true),
            ("limit=3&after_id=f", "g", false),
            ("limit=3&after_id=d", "efg", false),
            ("after_id=g", "", false),
            ("limit=2&before_id=e", "cd", true),
            ("limit=2&before_id=c", "ab", false),
            ("before_id=a", "", false),
            ("limit=1&limit=2&other=x", "ab", true),
        ] {
            assert_eq!(page(query), Ok((part.to_owned(), has_more)), "{query}");
        }
    }

    #[test]
    fn a_page_that_makes_no_sense_is_refused_in_the_words_of_the_api() {
        for (query, told) in [
            ("limit=0", "limit: Input should be greater than or equal to 1"),
            ("limit=1001", "limit: Input should be less than or equal to 1000"),
            ("limit=99999999999", "limit: Input should be less than or equal to 1000"),
            (
                "limit=ten",
                "limit: Input should be a valid integer, unable to parse string as an integer",
            ),
            ("after_id=a&before_id=b", "before_id: cannot be combined with after_id"),
            ("after_id=x", "after_id: no such id in this list: x"),
            ("before_id=x", "before_id: no such id in this list: x"),
        ] {
            assert_eq!(page(query), Err(told.to_owned()), "{query}");
        }
    }
}
