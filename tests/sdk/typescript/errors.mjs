// Every error of the API is the SDK's class for it.

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { create, faulty, GATEWAY, MODELS, request, setFaults } from "./support.mjs";

// What is wrong with a request, or with the API: fault, class, status, type.
const ERRORS = [
  ["invalidRequest", "BadRequestError", 400, "invalid_request_error"],
  ["notFound", "NotFoundError", 404, "not_found_error"],
  ["requestTimeout", "RequestTimeoutError", 408, "timeout_error"],
  ["conflict", "ConflictError", 409, "conflict_error"],
  ["precondition", "PreconditionFailedError", 412, "invalid_request_error"],
  ["tooLarge", "ContentTooLargeError", 413, "request_too_large"],
  ["unprocessable", "UnprocessableEntityError", 422, "invalid_request_error"],
  ["error", "InternalServerError", 500, "api_error"],
  ["timeout", "GatewayTimeoutError", 504, "timeout_error"],
  ["overloaded", "OverloadedError", 529, "overloaded_error"],
];

// What a gateway says when no account of its own can serve now, and when none can at all.
const LIMITED = ["RateLimitError", 429, "rate_limit_error"];
const UNSERVED = ["ServiceUnavailableError", 503, "api_error"];

// What is wrong with an account: fault, then class, status and type at the API and at a gateway.
const OF_ACCOUNTS = [
  ["creditTooLow", ["BadRequestError", 400, "invalid_request_error"], LIMITED],
  ["authentication", ["AuthenticationError", 401, "authentication_error"], UNSERVED],
  ["billing", ["PaymentRequiredError", 402, "billing_error"], LIMITED],
  ["permission", ["PermissionDeniedError", 403, "permission_error"], UNSERVED],
  ["rateLimit", LIMITED, LIMITED],
];

faulty();

/** What a call fails with. */
async function failure(call) {
  let error;
  await assert.rejects(call, (raised) => {
    error = raised;
    return true;
  });
  return error;
}

/** Checks an error of the API. */
function check(error, name, status, type) {
  assert.deepEqual([error.name, error.status, error.type], [name, status, type]);
  assert.match(error.requestID, /^req_/);
  assert.equal(error.error.request_id, error.requestID);
}

test("every error has its class and type and the id of its request", async (t) => {
  for (const [index, [fault, ...expected]] of ERRORS.entries()) {
    await t.test(fault, async () => {
      await setFaults({ fault });
      for (const stream of [false, true]) {
        check(await failure(create({ stream, model: MODELS[index] })), ...expected);
      }
    });
  }
});

test("what is wrong with an account is told by the API and seen to by a gateway", async (t) => {
  for (const [fault, atApi, atGateway] of OF_ACCOUNTS) {
    await t.test(fault, async () => {
      await setFaults({ fault });
      check(await failure(create()), ...(GATEWAY ? atGateway : atApi));
      await setFaults({ fault, accounts: ["a"] });
      if (GATEWAY) {
        // The others serve, whichever was to be the first.
        for (let call = 0; call < 3; call++) await create();
      } else {
        check(await failure(create()), ...atApi);
      }
    });
  }
});

test("an error tells its cause by a code, but not what accounts of a gateway may spend", async () => {
  await setFaults({ fault: "monthlyCap" });
  const error = await failure(create());
  const name = GATEWAY ? "RateLimitError" : "EnforcedSpendLimitReachedError";
  check(error, name, 429, "rate_limit_error");
  assert.ok(error instanceof Anthropic.RateLimitError);
  assert.equal(error.errorCode, GATEWAY ? null : "enforced_spend_limit_reached");
});

test("whoever has no valid key is not let in", async () => {
  const stranger = new Anthropic({ apiKey: "sk-ant-api03-unknown", maxRetries: 0 });
  for (const stream of [false, true]) {
    const error = await failure(stranger.messages.create(request({ stream })));
    check(error, "AuthenticationError", 401, "authentication_error");
  }
});

test("a request that is wrong is refused with the place", async () => {
  for (const [changes, place] of [
    [{ messages: [] }, /messages/],
    [{ max_tokens: -1 }, /max_tokens/],
    [{ nonsense: 1 }, /nonsense: Extra inputs are not permitted/],
  ]) {
    const error = await failure(create(changes));
    check(error, "BadRequestError", 400, "invalid_request_error");
    assert.match(error.message, place);
  }
  const error = await failure(create({ model: "claude-unknown" }));
  check(error, "NotFoundError", 404, "not_found_error");
});

test("an answer that breaks off is no message", async () => {
  await setFaults({ fault: "drop" });
  const error = await failure(create());
  if (GATEWAY) check(error, "InternalServerError", 500, "api_error");
});
