"""Counting tokens."""

import unittest

from anthropic import (
    Anthropic,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OverloadedError,
)
from support import STRICT, FaultyTest, api, create, request, set_faults


def count(api=api, **changes):
    """How many tokens a request reads."""
    body = request(system="Answer in one word.", **changes)
    del body["max_tokens"]
    return api.messages.count_tokens(**body).input_tokens


class Counting(FaultyTest):
    def test_tokens_are_counted_as_they_are_billed(self):
        billed = create(system="Answer in one word.").usage.input_tokens
        self.assertEqual(count(), billed)

    def test_counting_fails_as_messages_do(self):
        for kind, call in [
            (BadRequestError, lambda: count(messages=[])),
            (NotFoundError, lambda: count(model="claude-unknown")),
            (AuthenticationError, lambda: count(Anthropic(api_key="unknown", **STRICT))),
        ]:
            with self.subTest(kind), self.assertRaises(kind) as caught:
                call()
            self.assertRegex(caught.exception.request_id, "^req_")
        set_faults({"fault": "overloaded", "endpoint": "countTokens"})
        with self.assertRaises(OverloadedError) as caught:
            count()
        self.assertEqual(caught.exception.type, "overloaded_error")


if __name__ == "__main__":
    unittest.main()
