// Counting tokens.

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { api, create, faulty, request, setFaults } from "./support.mjs";

faulty();

/** How many tokens a request reads. */
function count(changes) {
  const { max_tokens: _, ...body } = request(changes);
  return api.messages.countTokens(body);
}

test("tokens are counted as they are billed", async () => {
  const system = "Answer in one word.";
  const message = await create({ system });
  assert.equal((await count({ system })).input_tokens, message.usage.input_tokens);
});

test("counting fails as messages do", async () => {
  await assert.rejects(count({ messages: [] }), Anthropic.BadRequestError);
  await assert.rejects(count({ model: "claude-unknown" }), Anthropic.NotFoundError);
  await setFaults({ fault: "overloaded", endpoint: "countTokens" });
  await assert.rejects(count(), { status: 529, type: "overloaded_error", requestID: /^req_/ });
});
