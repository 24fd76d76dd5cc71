"""Messages that come as a stream of events."""

import asyncio
import unittest

import httpx2
from anthropic import APIError, APIStatusError, AsyncAnthropic
from support import GATEWAY, STRICT, FaultyTest, api, create, request, set_faults, text_of

EVENTS = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
]


def stream():
    """The events of an answer, as they come."""
    return api.messages.create(**request(), stream=True)


class Streaming(FaultyTest):
    def test_the_helper_s_final_message_is_what_would_have_come_whole(self):
        with api.messages.stream(**request()) as stream:
            text = "".join(stream.text_stream)
            message = stream.get_final_message()
        self.assertEqual(text, text_of(message))
        self.assertEqual(text, stream.get_final_text())
        self.assertEqual(message.stop_reason, "end_turn")
        self.assertGreater(message.usage.input_tokens, 0)
        self.assertEqual(message.usage.output_tokens, (len(text) + 3) // 4)
        self.assertRegex(stream.request_id, "^req_")

    def test_events_come_in_their_order_with_cumulative_usage(self):
        events = list(stream())
        kinds = [event.type for event in events]
        self.assertEqual(list(dict.fromkeys(kinds)), EVENTS)
        self.assertGreater(kinds.count("content_block_delta"), 1)
        start, end = events[0].message, events[-2]
        self.assertEqual((start.content, start.stop_reason), ([], None))
        self.assertEqual(end.delta.stop_reason, "end_turn")
        self.assertEqual(end.usage.input_tokens, start.usage.input_tokens)
        self.assertGreater(end.usage.output_tokens, start.usage.output_tokens)

    def test_the_asynchronous_client_streams_many_at_once(self):
        async def one(client, number):
            question = {"role": "user", "content": f"What is {number} x {number}?"}
            async with client.messages.stream(**request(messages=[question])) as stream:
                text = "".join([text async for text in stream.text_stream])
                return text, await stream.get_final_message()

        async def all_of_them():
            async with AsyncAnthropic(**STRICT) as client:
                whole = await client.messages.create(**request())
                return whole, await asyncio.gather(*(one(client, number) for number in range(10)))

        whole, streamed = asyncio.run(all_of_them())
        self.assertTrue(text_of(whole))
        for text, message in streamed:
            self.assertEqual(text, text_of(message))
        self.assertEqual(len({message.id for _, message in streamed}), 10)

    def heard_before(self, kind):
        """The events that come before a stream fails, and the error."""
        heard = []
        with self.assertRaises(kind) as caught:
            for event in stream():
                heard.append(event.type)
        return heard, caught.exception

    def test_an_error_event_is_an_error_of_its_type_though_the_status_was_200(self):
        # Before anything was said a gateway asks other accounts, and says at last what is so.
        for after, kind, status in [
            (0, "overloaded_error", 529 if GATEWAY else 200),
            (3, "api_error", 200),
        ]:
            with self.subTest(after=after):
                set_faults({"fault": "errorEvent", "afterEvents": after, "error": {"type": kind}})
                heard, error = self.heard_before(APIStatusError)
                self.assertEqual((heard, error.status_code), (EVENTS[:after], status))
                self.assertEqual(error.type, kind)
                self.assertEqual(error.body["request_id"], error.request_id)

    def test_a_connection_that_breaks_is_an_error(self):
        set_faults({"fault": "drop", "afterEvents": 3})
        heard, error = self.heard_before(APIStatusError if GATEWAY else httpx2.RemoteProtocolError)
        self.assertEqual(heard, EVENTS[:3])
        if GATEWAY:
            self.assertEqual((error.status_code, error.type), (200, "api_error"))

    def test_one_account_that_breaks_off_at_once_is_not_seen_behind_a_gateway(self):
        for rule in [{"fault": "errorEvent", "afterEvents": 0}, {"fault": "drop"}]:
            with self.subTest(rule):
                set_faults({**rule, "accounts": ["a"]})
                if GATEWAY:
                    for _ in range(3):
                        self.assertEqual(list(dict.fromkeys(e.type for e in stream())), EVENTS)
                else:
                    with self.assertRaises(APIError):
                        list(stream())

    def test_a_refusal_ends_a_stream_as_it_ends_a_message(self):
        set_faults({"fault": "refusal"})
        with api.messages.stream(**request()) as stream:
            streamed = stream.get_final_message()
        for message in [streamed, create()]:
            self.assertEqual(
                (message.stop_reason, message.stop_details.type), ("refusal", "refusal")
            )


if __name__ == "__main__":
    unittest.main()
