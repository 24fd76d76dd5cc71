//! What becomes of an answer that something happens to on its way.

use crate::faults::{Mishap, MishapKind};
use crate::message::{Made, Piece};
use crate::sse::Events;
use crate::timeline::End;

/// A page as a proxy in front of the API sends it.
const PAGE: &[u8] = b"<!DOCTYPE html>\n<html><head><title>One moment</title></head>\
<body><h1>One moment, please</h1></body></html>\n";

/// Lets a mishap happen to a stream, and says how it ends.
pub(crate) fn to_stream(
    mishap: &Mishap,
    pieces: &mut Vec<Piece>,
    mut events: Events,
    request_id: &str,
) -> End {
    let at = mishap.after_events.min(pieces.len());
    match &mishap.kind {
        MishapKind::SlowFirstToken(_) | MishapKind::Refusal => {}
        MishapKind::WrongContentType => end_with(pieces, 0, PAGE.to_vec()),
        MishapKind::ErrorEvent(problem) => {
            events.put("error", &problem.envelope(Some(request_id)));
            end_with(pieces, at, events.take());
        }
        MishapKind::MalformedJson => {
            // There is always one that is spoiled: the last, if the rule names none.
            let last = pieces.len().saturating_sub(1);
            if let Some(piece) = pieces.get_mut(at.min(last)) {
                spoil(&mut piece.bytes);
            }
        }
        MishapKind::Truncated => pieces.truncate(at),
        MishapKind::Drop => {
            pieces.truncate(at);
            return End::Broken;
        }
        MishapKind::Stall => {
            pieces.truncate(at);
            return End::Silent;
        }
    }
    End::Whole
}

/// Lets a mishap happen to a body that is sent whole, and says how it ends. An error event has no
/// place there: such a request is answered with the error itself.
pub(crate) fn to_body(mishap: &Mishap, body: &mut Vec<u8>) -> End {
    match &mishap.kind {
        MishapKind::SlowFirstToken(_) | MishapKind::Refusal | MishapKind::ErrorEvent(_) => {}
        MishapKind::WrongContentType => *body = PAGE.to_vec(),
        MishapKind::MalformedJson => spoil(body),
        MishapKind::Truncated => body.truncate(body.len() / 2),
        MishapKind::Drop => {
            body.truncate(body.len() / 2);
            return End::Broken;
        }
        MishapKind::Stall => {
            body.clear();
            return End::Silent;
        }
    }
    End::Whole
}

/// Makes JSON invalid: a second opening brace.
fn spoil(bytes: &mut Vec<u8>) {
    if let Some(at) = bytes.iter().position(|&byte| byte == b'{') {
        bytes.insert(at, b'{');
    }
}

/// Ends a stream with `bytes` after `at` pieces.
fn end_with(pieces: &mut Vec<Piece>, at: usize, bytes: Vec<u8>) {
    let delta = pieces.get(at).or(pieces.last()).map_or(0, |piece| piece.delta);
    pieces.truncate(at);
    pieces.push(Piece { bytes, made: Made::default(), delta });
}
