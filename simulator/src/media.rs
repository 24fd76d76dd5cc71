//! How many tokens pictures and documents are.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use memchr::memmem;
use serde_json::Value;

/// A picture whose size is not known: about a megapixel.
pub(crate) const AN_IMAGE: u64 = 1_500;

/// A page of a PDF: the middle of the 1,500 to 3,000 tokens its text has, and its picture.
pub(crate) const A_PAGE: u64 = 2_250 + AN_IMAGE;

/// Square pixels of a picture for one token.
const PIXELS_A_TOKEN: u64 = 750;

/// Longer edges are scaled down to this many pixels.
const LONGEST_EDGE: u64 = 1_568;

/// Pictures with more tokens are scaled down until they have no more.
const LARGEST_IMAGE: u64 = 1_600;

/// Base64 that holds the size of a picture: in a JPEG up to 64 KiB of EXIF data precede it.
const HEADER: usize = 128 << 10;

/// Bytes of a page where the pages cannot be counted because their marks are compressed.
const BYTES_A_PAGE: usize = 50_000;

/// Tokens of a picture, from the `source` of its block.
pub(crate) fn image(source: &Value) -> u64 {
    let Some(data) = encoded(source) else { return AN_IMAGE };
    let header = data.get(..HEADER).unwrap_or(data);
    let size = BASE64_STANDARD.decode(header).ok();
    match size.and_then(|bytes| imagesize::blob_size(&bytes).ok()) {
        Some(size) => pixels(size.width as u64, size.height as u64),
        None => AN_IMAGE,
    }
}

/// Tokens of a PDF, from the `source` of its block.
pub(crate) fn pdf(source: &Value) -> u64 {
    let Some(data) = encoded(source) else { return A_PAGE };
    let counted = BASE64_STANDARD.decode(data).map_or(0, |bytes| pages(&bytes));
    let pages = if counted > 0 { counted } else { data.len() * 3 / 4 / BYTES_A_PAGE };
    pages.max(1) as u64 * A_PAGE
}

fn encoded(source: &Value) -> Option<&str> {
    source.get("data").and_then(Value::as_str)
}

fn pixels(width: u64, height: u64) -> u64 {
    let (long, short) = (width.max(height), width.min(height));
    let area = if long > LONGEST_EDGE {
        LONGEST_EDGE * (short * LONGEST_EDGE / long)
    } else {
        long * short
    };
    area.div_ceil(PIXELS_A_TOKEN).clamp(1, LARGEST_IMAGE)
}

/// How often `/Type /Page` stands there; `/Type /Pages` is a list of them.
fn pages(pdf: &[u8]) -> usize {
    let is_page = |&at: &usize| {
        let rest = pdf.get(at + b"/Type".len()..).unwrap_or_default().trim_ascii_start();
        let after = rest.strip_prefix(b"/Page").map(<[u8]>::first);
        after.is_some_and(|next| !next.is_some_and(u8::is_ascii_alphanumeric))
    };
    memmem::find_iter(pdf, "/Type").filter(is_page).count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source(bytes: &[u8]) -> Value {
        json!({"type": "base64", "data": BASE64_STANDARD.encode(bytes)})
    }

    fn gif(width: u16, height: u16) -> Vec<u8> {
        [b"GIF89a".as_slice(), &width.to_le_bytes(), &height.to_le_bytes(), &[0; 8]].concat()
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let signature = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
        [signature.as_slice(), &width.to_be_bytes(), &height.to_be_bytes(), &[0; 9]].concat()
    }

    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let exif = [b"\xff\xd8\xff\xe1\xff\xfe".as_slice(), &[0; 0xfffc]].concat();
        let frame = [b"\xff\xc0\0\x11\x08", &height.to_be_bytes()[..], &width.to_be_bytes()];
        [exif, frame.concat(), vec![0; 16]].concat()
    }

    fn webp(width: u16, height: u16) -> Vec<u8> {
        let header = b"RIFF\x40\0\0\0WEBPVP8 \x20\0\0\0\0\0\0\x9d\x01\x2a";
        [header.as_slice(), &width.to_le_bytes(), &height.to_le_bytes(), &[0; 16]].concat()
    }

    #[test]
    fn a_picture_costs_a_token_for_750_pixels_in_every_format() {
        for picture in [gif(200, 200), png(200, 200), jpeg(200, 200), webp(200, 200)] {
            assert_eq!(image(&source(&picture)), 54);
        }
        assert_eq!(image(&source(&png(1092, 1092))), 1_590);
    }

    #[test]
    fn a_large_picture_is_scaled_down() {
        assert_eq!(image(&source(&png(3136, 100))), 105, "half as long, so half as high");
        assert_eq!(image(&source(&png(u32::MAX, u32::MAX))), LARGEST_IMAGE);
    }

    #[test]
    fn a_picture_that_cannot_be_looked_at_is_a_megapixel() {
        assert_eq!(image(&json!({"type": "url", "url": "https://example.com/a.png"})), AN_IMAGE);
        assert_eq!(image(&source(b"not a picture")), AN_IMAGE);
        assert_eq!(image(&json!({"type": "base64", "data": "not base64!"})), AN_IMAGE);
    }

    #[test]
    fn a_pdf_costs_by_its_pages_or_by_its_bytes_where_they_cannot_be_counted() {
        let two = b"<</Type /Pages /Count 2>> <</Type /Page >> <</Type/Page/Parent 1 0 R>> /Type";
        assert_eq!(pdf(&source(two)), 2 * A_PAGE);
        assert_eq!(pdf(&source(b"%PDF-1.7")), A_PAGE);
        assert_eq!(pdf(&source(&[0; 3 * BYTES_A_PAGE])), 3 * A_PAGE);
        assert_eq!(pdf(&json!({"type": "file", "file_id": "file_1"})), A_PAGE);
    }
}
