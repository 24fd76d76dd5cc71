//! Texts that nobody can guess.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::crypto::ring;

/// Random bytes of a text: as many as RFC 7636 recommends for a verifier, 43 characters.
const RANDOM_BYTES: usize = 32;

/// 256 bits from the system's randomness, as 43 letters, digits, `-` and `_`.
///
/// # Panics
/// When the system has no randomness: what can be guessed protects nobody.
#[must_use]
pub fn random() -> String {
    let mut bytes = [0; RANDOM_BYTES];
    #[expect(clippy::expect_used, reason = "no secret is better than one that can be guessed")]
    ring::default_provider().secure_random.fill(&mut bytes).expect("randomness from the system");
    URL_SAFE_NO_PAD.encode(bytes)
}
