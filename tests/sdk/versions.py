"""Both versions of the API."""

import unittest

from anthropic import Anthropic, BadRequestError
from support import STRICT, create, request, text_of

OLDER = Anthropic(default_headers={"anthropic-version": "2023-06-01"}, **STRICT)
SAMPLED = {"model": "claude-haiku-4-5", "extra_body": {"temperature": 0.5, "top_k": 40}}


class Versions(unittest.TestCase):
    def test_the_older_one_takes_sampling_parameters_for_older_models(self):
        self.assertTrue(text_of(OLDER.messages.create(**request(**SAMPLED))))
        with self.assertRaisesRegex(BadRequestError, "temperature"):
            OLDER.messages.create(**request(**{**SAMPLED, "model": "claude-opus-4-7"}))

    def test_the_newer_one_takes_none(self):
        with self.assertRaisesRegex(BadRequestError, "temperature: Extra inputs are not permitted"):
            create(**SAMPLED)

    def test_both_stream_alike(self):
        with OLDER.messages.stream(**request()) as stream:
            self.assertTrue(stream.get_final_text())

    def test_another_one_is_refused(self):
        unknown = Anthropic(default_headers={"anthropic-version": "2020-01-01"}, **STRICT)
        with self.assertRaisesRegex(BadRequestError, "anthropic-version"):
            unknown.messages.create(**request())


if __name__ == "__main__":
    unittest.main()
