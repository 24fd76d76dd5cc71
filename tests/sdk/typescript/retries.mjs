// What the SDK does by itself about an error.

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { faulty, GATEWAY, MODELS, request, setFaults } from "./support.mjs";

const RETRIED = ["requestTimeout", "conflict", "error", "timeout", "overloaded", "rateLimit"];
const NOT_RETRIED = [
  { fault: "invalidRequest" },
  { fault: "authentication" },
  { fault: "billing" },
  { fault: "permission" },
  { fault: "notFound" },
  { fault: "tooLarge" },
  { fault: "overloaded", error: { headers: { "x-should-retry": "false" } } },
];

faulty();

/** The numbers of the attempts at a message, and the error of the last one. */
async function attempts(model) {
  const numbers = [];
  const noting = (url, init) => {
    numbers.push(new Headers(init.headers).get("x-stainless-retry-count"));
    return fetch(url, init);
  };
  // With the SDK's own settings.
  const api = new Anthropic({ fetch: noting });
  const message = api.messages.create(request({ model }));
  const error = await message.then(() => null, (raised) => raised);
  return { numbers, error };
}

test("what may pass is tried thrice", async () => {
  const rules = RETRIED.map((fault, index) => ({ fault, retryAfterMs: 1, models: [MODELS[index]] }));
  await setFaults(...rules);
  const outcomes = await Promise.all(rules.map(({ models: [model] }) => attempts(model)));
  for (const [index, { numbers, error }] of outcomes.entries()) {
    // A gateway waits itself for the limits of its accounts, and says when that is no use.
    const isOver = GATEWAY && RETRIED[index] === "rateLimit";
    assert.deepEqual(numbers, isOver ? ["0"] : ["0", "1", "2"], RETRIED[index]);
    assert.ok(error instanceof Anthropic.APIError);
  }
});

test("what will not pass is tried once", async () => {
  for (const [index, rule] of NOT_RETRIED.entries()) {
    await setFaults(rule);
    const { numbers, error } = await attempts(MODELS[index]);
    assert.deepEqual(numbers, ["0"], rule.fault);
    assert.ok(error instanceof Anthropic.APIError);
  }
});

test("a retry that is answered is the answer, and a gateway retries itself", async () => {
  await setFaults({ fault: "overloaded", times: 2, retryAfterMs: 1 });
  const numbers = GATEWAY ? ["0"] : ["0", "1", "2"];
  assert.deepEqual(await attempts("claude-opus-4-6"), { numbers, error: null });
});
