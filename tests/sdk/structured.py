"""Output in a shape that the client asks for."""

import json
import unittest
from typing import Literal

from pydantic import BaseModel
from support import api, create, request, text_of


class Step(BaseModel):
    """A step of a calculation."""

    explanation: str
    result: int


class Solution(BaseModel):
    """A calculation."""

    steps: list[Step]
    confidence: Literal["low", "high"]


class Structured(unittest.TestCase):
    def test_a_schema_shapes_the_text(self):
        schema = {
            "type": "object",
            "properties": {"answer": {"type": "integer"}, "unit": {"enum": ["apples", "pears"]}},
            "required": ["answer", "unit"],
            "additionalProperties": False,
        }
        message = create(output_config={"format": {"type": "json_schema", "schema": schema}})
        answer = json.loads(text_of(message))
        self.assertEqual(sorted(answer), ["answer", "unit"])
        self.assertIsInstance(answer["answer"], int)
        self.assertIn(answer["unit"], ["apples", "pears"])

    def test_a_class_is_parsed_from_a_message_and_from_a_stream(self):
        parsed = api.messages.parse(**request(), output_format=Solution).parsed_output
        self.assertIsInstance(parsed, Solution)
        with api.messages.stream(**request(), output_format=Solution) as stream:
            streamed = stream.get_final_message().parsed_output
        self.assertIsInstance(streamed, Solution)


if __name__ == "__main__":
    unittest.main()
