//! Ids of requests.

/// Digits that nobody mistakes for one another, as the API's ids have them.
const DIGITS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// A new id, in the shape of the API's.
pub(super) fn request_id() -> String {
    let mut id = String::with_capacity(28);
    id.push_str("req_01");
    for _ in 0..22 {
        id.push(char::from(DIGITS[fastrand::usize(..DIGITS.len())]));
    }
    id
}
