//! A store of secrets that forgets the oldest when there are too many.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// What belongs to each secret.
pub(super) struct Shelf<T> {
    most: usize,
    by_secret: HashMap<Arc<str>, T>,
    oldest_first: VecDeque<Arc<str>>,
}

impl<T> Shelf<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, by_secret: HashMap::new(), oldest_first: VecDeque::new() }
    }

    pub(super) fn put(&mut self, secret: &str, value: T) {
        let secret: Arc<str> = secret.into();
        if self.by_secret.insert(secret.clone(), value).is_none() {
            self.oldest_first.push_back(secret);
        }
        while self.oldest_first.len() > self.most {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.by_secret.remove(&oldest);
            }
        }
    }

    pub(super) fn get(&self, secret: &str) -> Option<&T> {
        self.by_secret.get(secret)
    }

    pub(super) fn get_mut(&mut self, secret: &str) -> Option<&mut T> {
        self.by_secret.get_mut(secret)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.by_secret.values_mut()
    }
}

impl<T> fmt::Debug for Shelf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shelf({} secrets)", self.by_secret.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first_and_no_secret_is_shown() {
        let mut shelf = Shelf::new(2);
        for (secret, value) in [("a", 1), ("b", 2), ("b", 3), ("c", 4)] {
            shelf.put(secret, value);
        }
        assert_eq!((shelf.get("a"), shelf.get("b"), shelf.get("c")), (None, Some(&3), Some(&4)));
        assert_eq!(format!("{shelf:?}"), "Shelf(2 secrets)");
    }
}
