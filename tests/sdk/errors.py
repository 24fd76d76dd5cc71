"""Every error of the API is the SDK's class for it."""

import json
import unittest

import anthropic
from anthropic import Anthropic
from support import GATEWAY, MODELS, STRICT, FaultyTest, create, request, set_faults

# What is wrong with a request, or with the API: fault, class, status, type.
ERRORS = [
    ("invalidRequest", anthropic.BadRequestError, 400, "invalid_request_error"),
    ("notFound", anthropic.NotFoundError, 404, "not_found_error"),
    ("requestTimeout", anthropic.RequestTimeoutError, 408, "timeout_error"),
    ("conflict", anthropic.ConflictError, 409, "conflict_error"),
    ("precondition", anthropic.PreconditionFailedError, 412, "invalid_request_error"),
    ("tooLarge", anthropic.ContentTooLargeError, 413, "request_too_large"),
    ("unprocessable", anthropic.UnprocessableEntityError, 422, "invalid_request_error"),
    ("error", anthropic.InternalServerError, 500, "api_error"),
    ("timeout", anthropic.GatewayTimeoutError, 504, "timeout_error"),
    ("overloaded", anthropic.OverloadedError, 529, "overloaded_error"),
]

# What a gateway says when no account of its own can serve now, and when none can at all.
LIMITED = (anthropic.RateLimitError, 429, "rate_limit_error")
UNSERVED = (anthropic.ServiceUnavailableError, 503, "api_error")

# What is wrong with an account: fault, then class, status and type at the API and at a gateway.
OF_ACCOUNTS = [
    ("creditTooLow", (anthropic.BadRequestError, 400, "invalid_request_error"), LIMITED),
    ("authentication", (anthropic.AuthenticationError, 401, "authentication_error"), UNSERVED),
    ("billing", (anthropic.PaymentRequiredError, 402, "billing_error"), LIMITED),
    ("permission", (anthropic.PermissionDeniedError, 403, "permission_error"), UNSERVED),
    ("rateLimit", LIMITED, LIMITED),
]

# Fault, class, code. They are of accounts, too.
CODES = [
    ("monthlyCap", anthropic.RateLimitError, "enforced_spend_limit_reached"),
    ("contractCap", anthropic.RateLimitError, "contract_spend_limit_reached"),
    ("rampLimit", anthropic.RateLimitError, "ramp_limit_exceeded"),
]

# An answer that is none of the API's, and what is made of it.
NO_ANSWERS = [
    ("malformedJson", json.JSONDecodeError),
    ("truncated", json.JSONDecodeError),
    ("wrongContentType", anthropic.APIResponseValidationError),
    ("drop", anthropic.APIConnectionError),
]


class Errors(FaultyTest):
    def check(self, error, status, kind):
        self.assertEqual((error.status_code, error.type), (status, kind))
        self.assertRegex(error.request_id, "^req_")
        self.assertEqual(error.body["request_id"], error.request_id)

    def fails(self, expected, **changes):
        """The error of a call that fails with this class, status and type."""
        kind, status, name = expected
        with self.assertRaises(anthropic.APIStatusError) as caught:
            create(**changes)
        self.assertIs(type(caught.exception), kind)
        self.check(caught.exception, status, name)
        return caught.exception

    def test_every_error_has_its_class_and_type_and_the_id_of_its_request(self):
        for (fault, *expected), model in zip(ERRORS, MODELS):
            for stream in [False, True]:
                with self.subTest(fault, stream=stream):
                    set_faults({"fault": fault})
                    self.fails(expected, stream=stream, model=model)

    def test_what_is_wrong_with_an_account_is_told_by_the_api_and_seen_to_by_a_gateway(self):
        for fault, at_api, at_gateway in OF_ACCOUNTS:
            for stream in [False, True]:
                with self.subTest(fault, stream=stream):
                    set_faults({"fault": fault})
                    error = self.fails(at_gateway if GATEWAY else at_api, stream=stream)
                    if GATEWAY:
                        self.assertEqual(error.response.headers["x-should-retry"], "false")

                    set_faults({"fault": fault, "accounts": ["a"]})
                    if GATEWAY:
                        # The others serve, whichever was to be the first.
                        for _ in range(3):
                            create(stream=stream)
                    else:
                        self.fails(at_api, stream=stream)

    def test_an_error_tells_its_cause_by_a_code(self):
        for fault, kind, code in CODES:
            with self.subTest(fault):
                set_faults({"fault": fault})
                with self.assertRaises(kind) as caught:
                    create()
                error = caught.exception
                if GATEWAY:
                    # What its accounts may spend is not its clients' business.
                    self.assertIsNone(error.details)
                    continue
                self.assertEqual(error.details.error_code, code)
                self.assertEqual(error.error_code, code)
        set_faults({"fault": "overloaded"})
        with self.assertRaises(anthropic.OverloadedError) as caught:
            create()
        self.assertIsNone(caught.exception.details)

    def test_whoever_has_no_valid_key_is_not_let_in(self):
        for stream in [False, True]:
            with self.assertRaises(anthropic.AuthenticationError) as caught:
                Anthropic(api_key="sk-ant-api03-unknown", **STRICT).messages.create(
                    **request(), stream=stream
                )
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

    def test_an_answer_that_is_not_the_api_s_is_no_message(self):
        for (fault, kind), model in zip(NO_ANSWERS, MODELS):
            with self.subTest(fault):
                set_faults({"fault": fault})
                if GATEWAY:
                    expected = (anthropic.InternalServerError, 500, "api_error")
                    self.fails(expected, model=model)
                else:
                    with self.assertRaises(kind):
                        create(model=model)


if __name__ == "__main__":
    unittest.main()
