"""Thoughts, and sending them back."""

import unittest

from anthropic import BadRequestError
from support import QUESTION, api, create, request, text_of

ADAPTIVE = {"model": "claude-opus-4-6", "thinking": {"type": "adaptive"}}
ENABLED = {
    "model": "claude-opus-4-5",
    "max_tokens": 4000,
    "thinking": {"type": "enabled", "budget_tokens": 2000},
}


def go_on(content, **changes):
    """The next turn after an answer."""
    turns = [
        QUESTION,
        {"role": "assistant", "content": content},
        {"role": "user", "content": "Sure?"},
    ]
    return create(messages=turns, **changes)


class Thinking(unittest.TestCase):
    def test_the_model_thinks_before_it_speaks(self):
        for thinking in [
            ADAPTIVE,
            ENABLED,
            {"model": "claude-sonnet-5-5", "thinking": {"type": "adaptive"}},
        ]:
            with self.subTest(thinking["model"]):
                message = create(**thinking)
                thought, text = message.content
                self.assertEqual((thought.type, text.type), ("thinking", "text"))
                self.assertTrue(thought.signature)
                used = message.usage.output_tokens_details.thinking_tokens
                self.assertTrue(0 < used < message.usage.output_tokens)

    def test_a_thought_that_is_omitted_is_still_signed(self):
        for display, is_shown in [("summarized", True), ("omitted", False)]:
            thought = create(
                model="claude-opus-4-6", thinking={"type": "adaptive", "display": display}
            ).content[0]
            self.assertEqual((bool(thought.thinking), bool(thought.signature)), (is_shown, True))

    def test_a_thought_is_streamed_and_its_signature_comes_last(self):
        with api.messages.stream(**request(**ADAPTIVE)) as stream:
            kinds = [event.type for event in stream]
            thought = stream.get_final_message().content[0]
        self.assertLess(kinds.index("thinking"), kinds.index("signature"))
        self.assertLess(kinds.index("signature"), kinds.index("text"))
        self.assertTrue(thought.thinking and thought.signature)

    def test_thoughts_are_taken_back_as_they_were(self):
        for thinking in [ADAPTIVE, ENABLED]:
            with self.subTest(thinking["model"]):
                message = create(**thinking)
                self.assertTrue(text_of(go_on(message.content, **thinking)))

    def test_thoughts_that_were_changed_are_refused(self):
        thought, text = create(**ADAPTIVE).content
        for changed, complaint in [
            ({"thinking": thought.thinking + " Or not."}, "cannot be modified"),
            ({"signature": "tampered"}, "Invalid `signature`"),
        ]:
            with self.subTest(complaint), self.assertRaisesRegex(BadRequestError, complaint):
                go_on([thought.model_copy(update=changed), text], **ADAPTIVE)

    def test_thinking_that_a_model_does_not_take_is_refused(self):
        for changes in [
            {**ENABLED, "model": "claude-opus-5-5"},
            {**ADAPTIVE, "model": "claude-opus-4-5"},
            {"model": "claude-opus-5-5", "thinking": {"type": "disabled"}},
            {**ENABLED, "thinking": {"type": "enabled", "budget_tokens": 100}},
        ]:
            with self.subTest(changes), self.assertRaises(BadRequestError):
                create(**changes)


if __name__ == "__main__":
    unittest.main()
