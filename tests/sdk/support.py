"""What the tests share: a client of the API, requests to it, and a hand on the simulator behind."""

import json
import os
import subprocess
import unittest
import urllib.request

from anthropic import Anthropic

# Its address and key are in ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY, which the SDK reads itself.
# Strict: an answer that the SDK's own types do not allow is an error.
STRICT = {"max_retries": 0, "_strict_response_validation": True}
api = Anthropic(**STRICT)

# A gateway has keys and limits of its own, and sees to what is wrong with the accounts behind it.
GATEWAY = os.environ["ANTHROPIC_BASE_URL"] != os.environ["SIMULATOR_URL"]

# No two of them share a limit, and what fails on one of them fails on no other.
MODELS = [
    "claude-fable-5-1",
    "claude-mythos-5-1",
    "claude-opus-5-5",
    "claude-opus-5",
    "claude-opus-4-8",
    "claude-sonnet-5-5",
    "claude-sonnet-5",
    "claude-sonnet-4-6",
    "claude-sonnet-4",
    "claude-haiku-5-5",
    "claude-haiku-4-5",
]

QUESTION = {"role": "user", "content": "What is 6 x 7?"}


def request(**changes):
    """A request for a message, with some of it changed."""
    return {"model": "claude-opus-4-6", "max_tokens": 1000, "messages": [QUESTION], **changes}


def create(**changes):
    """The answer to a request."""
    return api.messages.create(**request(**changes))


def text_of(message):
    """The text of an answer."""
    return "".join(block.text for block in message.content if block.type == "text")


def set_faults(*rules):
    """Has the simulator make these faults and no others."""
    body = json.dumps({"overloadedRate": 0, "rules": rules}).encode()
    url = os.environ["SIMULATOR_URL"] + "/_sim/faults"
    urllib.request.urlopen(urllib.request.Request(url, body, method="PUT")).close()
    if GATEWAY:
        # What the faults before have done to the accounts is forgotten.
        subprocess.run([os.environ["POLPO"], "auth", "clear", "--all"], check=True)


class FaultyTest(unittest.TestCase):
    """Tests of what goes wrong; none leaves its faults to the next."""

    def setUp(self):
        self.addCleanup(set_faults)
