"""What the SDK does by itself about an error, and when."""

import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import anthropic
from anthropic import Anthropic, DefaultHttpxClient
from support import GATEWAY, MODELS, FaultyTest, request, set_faults

# Half a second, then a second; each may be a quarter shorter.
BACKOFF = [(0.375, 0.5), (0.75, 1.0)]

# A rule, and between which seconds the SDK waits before each of its retries.
RETRIED = [
    ({"fault": "requestTimeout"}, BACKOFF),
    ({"fault": "conflict"}, BACKOFF),
    ({"fault": "error"}, BACKOFF),
    ({"fault": "timeout"}, BACKOFF),
    ({"fault": "overloaded"}, BACKOFF),
    ({"fault": "drop"}, BACKOFF),
    # Whole seconds: some of the last one is over, and on a busy machine some of the others.
    ({"fault": "overloaded", "retryAfterDateSeconds": 4}, [(1.001, 4.0)] * 2),
]

# The same of an account; a gateway has waited and asked others itself, and says that it is over.
OF_ACCOUNTS = [
    ({"fault": "rateLimit"}, BACKOFF),
    ({"fault": "billing", "error": {"headers": {"x-should-retry": "true"}}}, BACKOFF),
    ({"fault": "rateLimit", "retryAfterSeconds": 1}, [(1.0, 1.0)] * 2),
    ({"fault": "rateLimit", "retryAfterMs": 300, "retryAfterSeconds": 9}, [(0.3, 0.3)] * 2),
]

NOT_RETRIED = [
    {"fault": "invalidRequest"},
    {"fault": "authentication"},
    {"fault": "billing"},
    {"fault": "permission"},
    {"fault": "notFound"},
    {"fault": "precondition"},
    {"fault": "tooLarge"},
    {"fault": "unprocessable"},
    {"fault": "overloaded", "error": {"headers": {"x-should-retry": "false"}}},
]


class Log(threading.local):
    """What the SDK does about one message, in the thread that asked for it."""

    def begin(self):
        self.tries, self.waits = [], []

    def note(self, request):
        """A request leaves."""
        self.tries.append((time.monotonic(), request.headers["x-stainless-retry-count"]))

    def sleep(self, seconds, sleep=time.sleep):
        """The SDK waits: a busy machine would tell how long with its own delay in it."""
        self.waits.append(seconds)
        sleep(seconds)


log = Log()
# With the SDK's own settings.
api = Anthropic(http_client=DefaultHttpxClient(event_hooks={"request": [log.note]}))


def attempts(model="claude-opus-4-6"):
    """The numbers of the attempts, the waits that were asked for and that were kept, the error."""
    log.begin()
    error = None
    try:
        api.messages.create(**request(model=model))
    except anthropic.APIError as raised:
        error = raised
    times, numbers = zip(*log.tries)
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    return list(numbers), list(zip(log.waits, gaps, strict=True)), error


@mock.patch("time.sleep", log.sleep)
class Retries(FaultyTest):
    def check(self, rules):
        """Each rule is for one model, so that all of them can be waited for at once."""
        set_faults(*({**rule, "models": [model]} for (rule, _), model in zip(rules, MODELS)))
        with ThreadPoolExecutor(len(rules)) as pool:
            outcomes = list(pool.map(attempts, MODELS[: len(rules)]))
        for (rule, expected), (numbers, waits, error) in zip(rules, outcomes):
            with self.subTest(rule):
                self.assertEqual(numbers, ["0", "1", "2"][: len(expected) + 1])
                self.assertIsInstance(error, anthropic.APIError)
                for (asked, kept), (least, most) in zip(waits, expected, strict=True):
                    self.assertTrue(least <= asked <= most, f"{asked} is not {least} to {most}")
                    self.assertGreaterEqual(kept, asked)

    def test_what_may_pass_is_tried_thrice_after_the_waits_that_are_asked_for(self):
        self.check(RETRIED)

    def test_what_may_pass_on_an_account_is_tried_thrice_or_left_to_the_gateway(self):
        self.check([(rule, [] if GATEWAY else waits) for rule, waits in OF_ACCOUNTS])

    def test_what_will_not_pass_is_tried_once(self):
        for rule in NOT_RETRIED:
            with self.subTest(rule):
                set_faults(rule)
                numbers, waits, error = attempts()
                self.assertEqual((numbers, waits), (["0"], []))
                self.assertIsInstance(error, anthropic.APIStatusError)

    def test_a_retry_that_is_answered_is_the_answer(self):
        set_faults({"fault": "overloaded", "times": 2, "retryAfterMs": 1})
        numbers, waits, error = attempts()
        expected = ["0"] if GATEWAY else ["0", "1", "2"]
        self.assertEqual((numbers, len(waits), error), (expected, len(expected) - 1, None))


if __name__ == "__main__":
    unittest.main()
