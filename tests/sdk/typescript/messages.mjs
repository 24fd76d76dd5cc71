// Messages that come whole.

import assert from "node:assert/strict";
import { test } from "node:test";
import { api, create, QUESTION, request, textOf } from "./support.mjs";

// A black picture of 300 x 300 pixels.
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAASwAAAEsCAAAAABcFtGpAAAAbUlEQVR42u3BAQEAAACCIP+vbkhAAQAAAAAA" +
  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" +
  "AAAAAAAAAAAAAAAAAAAAAAAAAAAA8G5gywABEMbFvQAAAABJRU5ErkJggg==";

/** A question about a picture. */
function about(source) {
  const content = [{ type: "image", source }, { type: "text", text: QUESTION.content }];
  return { messages: [{ role: "user", content }] };
}

test("an answer has text and says what it used", async () => {
  const message = await create({ metadata: { user_id: "somebody" } });
  assert.deepEqual(
    [message.type, message.role, message.model],
    ["message", "assistant", "claude-opus-4-6"],
  );
  assert.deepEqual([message.stop_reason, message.stop_sequence], ["end_turn", null]);
  assert.match(message.id, /^msg_01/);
  assert.match(message._request_id, /^req_/);
  assert.ok(textOf(message));
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
});

test("the raw answer has the id of its request", async () => {
  const { data, response, request_id } = await api.messages.create(request()).withResponse();
  assert.match(request_id, /^req_/);
  assert.equal(response.headers.get("request-id"), request_id);
  assert.ok(textOf(data));
});

test("a conversation goes on with what was answered", async () => {
  const first = await create({ system: "Be brief." });
  const turns = [
    QUESTION,
    { role: "assistant", content: first.content },
    { role: "user", content: "Sure?" },
  ];
  const second = await create({ system: "Be brief.", messages: turns });
  assert.ok(second.usage.input_tokens > first.usage.input_tokens);
});

test("a picture is counted as input and one of another kind is refused", async () => {
  const plain = await create();
  const source = { type: "base64", media_type: "image/png", data: PNG };
  const seen = await create(about(source));
  assert.ok(textOf(seen));
  assert.ok(seen.usage.input_tokens >= plain.usage.input_tokens + 120);
  const bitmap = about({ ...source, media_type: "image/bmp" });
  await assert.rejects(create(bitmap), { status: 400, message: /media_type/ });
});
