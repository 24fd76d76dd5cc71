"""Prompts that are cached."""

import unittest

from anthropic import BadRequestError
from support import create

LONG = "The law of the sea has many chapters, and each of them is long. " * 200
EPHEMERAL = {"type": "ephemeral"}


def ask(text, control=None, **changes):
    """The usage of a request with a long system prompt."""
    block = {"type": "text", "text": text + LONG}
    if control:
        block["cache_control"] = control
    return create(model="claude-sonnet-4-6", system=[block], **changes).usage


class Caching(unittest.TestCase):
    def check(self, written, read):
        self.assertGreater(written.cache_creation_input_tokens, 1024)
        self.assertEqual(written.cache_read_input_tokens, 0)
        self.assertEqual(read.cache_read_input_tokens, written.cache_creation_input_tokens)
        self.assertEqual(read.cache_creation_input_tokens, 0)
        self.assertEqual(read.input_tokens, written.input_tokens)

    def test_what_is_written_once_is_read_again(self):
        written = ask("Marked.", EPHEMERAL)
        self.check(written, ask("Marked.", EPHEMERAL))
        parts = written.cache_creation
        self.assertEqual(parts.ephemeral_5m_input_tokens, written.cache_creation_input_tokens)
        self.assertEqual(parts.ephemeral_1h_input_tokens, 0)

    def test_an_hour_is_told_apart(self):
        hour = {"type": "ephemeral", "ttl": "1h"}
        written = ask("For an hour.", hour)
        self.check(written, ask("For an hour.", hour))
        self.assertEqual(
            written.cache_creation.ephemeral_1h_input_tokens, written.cache_creation_input_tokens
        )

    def test_a_mark_on_the_whole_request_caches_automatically(self):
        ask("Automatic.")
        self.check(
            ask("Automatic.", cache_control=EPHEMERAL), ask("Automatic.", cache_control=EPHEMERAL)
        )

    def test_nothing_is_cached_unless_asked_for_and_long_enough(self):
        plain = ask("Plain.")
        short = create(
            system=[{"type": "text", "text": "Short.", "cache_control": EPHEMERAL}]
        ).usage
        for usage in [plain, short]:
            self.assertEqual(
                (usage.cache_creation_input_tokens, usage.cache_read_input_tokens), (0, 0)
            )

    def test_a_fifth_mark_is_refused(self):
        block = {"type": "text", "text": "Part.", "cache_control": EPHEMERAL}
        with self.assertRaisesRegex(BadRequestError, "maximum of 4 blocks with cache_control"):
            create(system=[block] * 5)


if __name__ == "__main__":
    unittest.main()
