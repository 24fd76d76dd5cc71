"""Every error of the API is the SDK's class for it."""

import json
import unittest

import anthropic
from anthropic import Anthropic
from support import STRICT, FaultyTest, api, create, request, set_faults

# Fault, class, status, type.
ERRORS = [
    ("invalidRequest", anthropic.BadRequestError, 400, "invalid_request_error"),
    ("creditTooLow", anthropic.BadRequestError, 400, "invalid_request_error"),
    ("authentication", anthropic.AuthenticationError, 401, "authentication_error"),
    ("billing", anthropic.PaymentRequiredError, 402, "billing_error"),
    ("permission", anthropic.PermissionDeniedError, 403, "permission_error"),
    ("notFound", anthropic.NotFoundError, 404, "not_found_error"),
    ("requestTimeout", anthropic.RequestTimeoutError, 408, "timeout_error"),
    ("conflict", anthropic.ConflictError, 409, "conflict_error"),
    ("precondition", anthropic.PreconditionFailedError, 412, "invalid_request_error"),
    ("tooLarge", anthropic.ContentTooLargeError, 413, "request_too_large"),
    ("unprocessable", anthropic.UnprocessableEntityError, 422, "invalid_request_error"),
    ("rateLimit", anthropic.RateLimitError, 429, "rate_limit_error"),
    ("error", anthropic.InternalServerError, 500, "api_error"),
    ("timeout", anthropic.GatewayTimeoutError, 504, "timeout_error"),
    ("overloaded", anthropic.OverloadedError, 529, "overloaded_error"),
]

# Fault, class, code.
CODES = [
    ("monthlyCap", anthropic.RateLimitError, "enforced_spend_limit_reached"),
    ("contractCap", anthropic.RateLimitError, "contract_spend_limit_reached"),
    ("rampLimit", anthropic.RateLimitError, "ramp_limit_exceeded"),
]


class Errors(FaultyTest):
    def check(self, error, status, kind):
        self.assertEqual((error.status_code, error.type), (status, kind))
        self.assertRegex(error.request_id, "^req_")
        self.assertEqual(error.body["request_id"], error.request_id)

    def test_every_error_has_its_class_and_type_and_the_id_of_its_request(self):
        for fault, kind, status, name in ERRORS:
            for stream in [False, True]:
                with self.subTest(fault, stream=stream):
                    set_faults({"fault": fault})
                    with self.assertRaises(anthropic.APIStatusError) as caught:
                        create(stream=stream)
                    self.assertIs(type(caught.exception), kind)
                    self.check(caught.exception, status, name)

    def test_an_error_tells_its_cause_by_a_code(self):
        for fault, kind, code in CODES:
            with self.subTest(fault):
                set_faults({"fault": fault})
                with self.assertRaises(kind) as caught:
                    create()
                self.assertEqual(caught.exception.details.error_code, code)
                self.assertEqual(caught.exception.error_code, code)
        set_faults({"fault": "overloaded"})
        with self.assertRaises(anthropic.OverloadedError) as caught:
            create()
        self.assertIsNone(caught.exception.details)

    def test_whoever_has_no_valid_key_is_not_let_in(self):
        for call in [lambda api: api.messages.create(**request()), lambda api: api.models.list()]:
            with self.assertRaises(anthropic.AuthenticationError) as caught:
                call(Anthropic(api_key="sk-ant-api03-unknown", **STRICT))
            self.check(caught.exception, 401, "authentication_error")

    def test_a_model_that_there_is_not_is_not_found(self):
        for model in ["claude-unknown", "claude-opus-4-1-20250805"]:
            with self.assertRaisesRegex(anthropic.NotFoundError, model) as caught:
                create(model=model)
            self.check(caught.exception, 404, "not_found_error")

    def test_a_request_that_is_wrong_is_refused_with_the_place(self):
        for changes, place in [
            ({"messages": []}, "messages"),
            ({"max_tokens": -1}, "max_tokens"),
            ({"extra_body": {"nonsense": 1}}, "nonsense: Extra inputs are not permitted"),
            (
                {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
                "messages.0.content.0",
            ),
        ]:
            with (
                self.subTest(place),
                self.assertRaisesRegex(anthropic.BadRequestError, place) as caught,
            ):
                create(**changes)
            self.check(caught.exception, 400, "invalid_request_error")

    def test_counting_and_batches_fail_alike(self):
        count = request()
        del count["max_tokens"]
        batch = [{"custom_id": "one", "params": request()}]
        for endpoint, call in [
            ("countTokens", lambda: api.messages.count_tokens(**count)),
            ("batches", lambda: api.messages.batches.create(requests=batch)),
        ]:
            with self.subTest(endpoint):
                set_faults({"fault": "overloaded", "endpoint": endpoint})
                with self.assertRaises(anthropic.OverloadedError) as caught:
                    call()
                self.check(caught.exception, 529, "overloaded_error")

    def test_an_answer_that_is_not_the_api_s_is_no_message(self):
        for fault, kind in [
            ("malformedJson", json.JSONDecodeError),
            ("truncated", json.JSONDecodeError),
            ("wrongContentType", anthropic.APIResponseValidationError),
            ("drop", anthropic.APIConnectionError),
        ]:
            with self.subTest(fault):
                set_faults({"fault": fault})
                with self.assertRaises(kind):
                    create()


if __name__ == "__main__":
    unittest.main()
