"""Messages that come whole."""

import base64
import struct
import unittest
import zlib

from support import GATEWAY, QUESTION, api, create, request, text_of


def png(width, height):
    """A black picture."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * (width + 1) * height)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


PDF = b"""%PDF-1.4
1 0 obj<</Type/Pages/Kids[2 0 R]/Count 1>>endobj 2 0 obj<</Type/Page>>endobj
%%EOF"""


def file(kind, media_type, data):
    """A block with a file in it."""
    source = {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}
    return {"type": kind, "source": source}


class Messages(unittest.TestCase):
    def test_an_answer_has_text_and_says_what_it_used(self):
        message = create(metadata={"user_id": "somebody"})
        self.assertEqual(
            (message.type, message.role, message.model), ("message", "assistant", "claude-opus-4-6")
        )
        self.assertEqual((message.stop_reason, message.stop_sequence), ("end_turn", None))
        self.assertRegex(message.id, "^msg_01")
        self.assertRegex(message._request_id, "^req_")
        self.assertTrue(text_of(message))
        self.assertGreater(message.usage.input_tokens, 0)
        self.assertGreater(message.usage.output_tokens, 0)
        self.assertEqual(message.usage.service_tier, "standard")

    def test_the_raw_answer_has_the_headers_of_the_limits(self):
        raw = api.messages.with_raw_response.create(**request())
        # Of the account, or of the client's own at a gateway.
        name = "x-ratelimit-{}-requests" if GATEWAY else "anthropic-ratelimit-requests-{}"
        self.assertEqual(raw.headers[name.format("limit")], "1000")
        self.assertTrue(0 < int(raw.headers[name.format("remaining")]) < 1000)
        of_the_account = {"anthropic-ratelimit-requests-limit", "anthropic-organization-id"}
        self.assertEqual(of_the_account & set(raw.headers), set() if GATEWAY else of_the_account)
        self.assertEqual(raw.request_id, raw.headers["request-id"])
        self.assertTrue(text_of(raw.parse()))

    def test_a_system_prompt_is_input_as_text_or_as_blocks(self):
        plain = create().usage.input_tokens
        text = create(system="Answer in one word. " * 10).usage.input_tokens
        blocks = create(
            system=[{"type": "text", "text": "Answer in one word. " * 10}]
        ).usage.input_tokens
        self.assertGreater(text, plain)
        self.assertEqual(text, blocks)

    def test_a_conversation_goes_on_with_what_was_answered(self):
        first = create()
        turns = [
            QUESTION,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": "Sure?"},
        ]
        second = create(messages=turns)
        self.assertGreater(second.usage.input_tokens, first.usage.input_tokens)

    def test_a_stop_sequence_ends_the_text_before_itself(self):
        message = create(stop_sequences=["zzz", "."])
        self.assertEqual((message.stop_reason, message.stop_sequence), ("stop_sequence", "."))
        self.assertTrue(text_of(message))
        self.assertNotIn(".", text_of(message))

    def test_max_tokens_cuts_the_text(self):
        message = create(max_tokens=5)
        self.assertEqual((message.stop_reason, message.usage.output_tokens), ("max_tokens", 5))

    def test_pictures_and_documents_are_counted_as_input(self):
        plain = create().usage.input_tokens
        for block, tokens in [
            (file("image", "image/png", png(300, 300)), 120),
            (file("document", "application/pdf", PDF), 1500),
        ]:
            with self.subTest(block["type"]):
                content = [block, {"type": "text", "text": QUESTION["content"]}]
                message = create(messages=[{"role": "user", "content": content}])
                self.assertGreaterEqual(message.usage.input_tokens, plain + tokens)


if __name__ == "__main__":
    unittest.main()
