"""Tools that the model calls."""

import json
import unittest

from anthropic import BadRequestError, beta_tool
from support import api, create, request, text_of

QUESTION = {"role": "user", "content": "How warm is it in Oslo?"}
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]}},
        "required": ["city", "unit"],
    },
}
CLOCK = {"name": "get_time", "input_schema": {"type": "object", "properties": {}}}


def ask(*more, **changes):
    """A question that a tool helps with."""
    return create(messages=[QUESTION, *more], **{"tools": [WEATHER], **changes})


def calls(message):
    """The calls in an answer."""
    return [block for block in message.content if block.type == "tool_use"]


def results(message):
    """An answer with calls, and the turn that answers them."""
    content = [
        {"type": "tool_result", "tool_use_id": call.id, "content": "7 degrees"}
        for call in calls(message)
    ]
    return {"role": "assistant", "content": message.content}, {"role": "user", "content": content}


class Tools(unittest.TestCase):
    def test_a_call_is_answered_and_the_model_goes_on(self):
        message = ask()
        self.assertEqual(message.stop_reason, "tool_use")
        call = calls(message)[0]
        self.assertEqual(call.name, "get_weather")
        self.assertRegex(call.id, "^toolu_01")
        self.assertIsInstance(call.input["city"], str)
        self.assertIn(call.input["unit"], ["celsius", "kelvin"])
        final = ask(*results(message))
        self.assertEqual((final.stop_reason, calls(final)), ("end_turn", []))
        self.assertTrue(text_of(final))

    def test_a_choice_of_tools_is_kept(self):
        both = {"tools": [WEATHER, CLOCK]}
        self.assertEqual(
            len(calls(ask(tool_choice={"type": "any", "disable_parallel_tool_use": True}, **both))),
            1,
        )
        for name in ["get_weather", "get_time"]:
            called = calls(ask(tool_choice={"type": "tool", "name": name}, **both))
            self.assertEqual({call.name for call in called}, {name})
        message = ask(tool_choice={"type": "none"}, **both)
        self.assertEqual((message.stop_reason, calls(message)), ("end_turn", []))

    def test_a_choice_that_cannot_be_is_refused(self):
        for changes in [
            {"tool_choice": {"type": "tool", "name": "unknown"}},
            {"tool_choice": {"type": "any"}, "model": "claude-opus-5-5"},
        ]:
            with self.subTest(changes), self.assertRaises(BadRequestError):
                ask(**changes)

    def test_a_result_without_its_call_is_refused_and_named(self):
        assistant, user = results(ask())
        user["content"][0]["tool_use_id"] = "toolu_01unknown"
        with self.assertRaisesRegex(BadRequestError, "toolu_01unknown"):
            ask(assistant, user)

    def test_the_input_of_a_call_is_streamed_as_json(self):
        with api.messages.stream(**request(messages=[QUESTION], tools=[WEATHER])) as stream:
            events = [event for event in stream if event.type == "input_json"]
            message = stream.get_final_message()
        call = calls(message)[0]
        # There may be a second call; its input follows the whole one of the first.
        whole = "".join(event.partial_json for event in events)
        self.assertEqual(json.JSONDecoder().raw_decode(whole)[0], call.input)
        self.assertGreater(len(events), 1)
        self.assertIn(call.input, [event.snapshot for event in events])

    def test_the_tool_runner_calls_a_function_until_there_is_an_answer(self):
        asked = []

        @beta_tool
        def get_weather(city: str) -> str:
            """The weather in a city."""
            asked.append(city)
            return "7 degrees"

        runner = api.beta.messages.tool_runner(**request(messages=[QUESTION], tools=[get_weather]))
        final = runner.until_done()
        self.assertTrue(asked)
        self.assertEqual(final.stop_reason, "end_turn")
        self.assertTrue(text_of(final))


if __name__ == "__main__":
    unittest.main()
