// Thoughts, and sending them back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { all, api, create, QUESTION, request, textOf } from "./support.mjs";

const ADAPTIVE = { thinking: { type: "adaptive" } };

/** The next turn after an answer. */
function goOn(content) {
  const messages = [
    QUESTION,
    { role: "assistant", content },
    { role: "user", content: "Sure?" },
  ];
  return create({ messages, ...ADAPTIVE });
}

test("the model thinks before it speaks", async () => {
  const message = await create(ADAPTIVE);
  assert.deepEqual(message.content.map((block) => block.type), ["thinking", "text"]);
  assert.ok(message.content[0].signature);
  const used = message.usage.output_tokens_details.thinking_tokens;
  assert.ok(used > 0 && used < message.usage.output_tokens);
});

test("a thought is streamed, its signature comes last, and it is taken back as it was", async () => {
  const stream = api.messages.stream(request(ADAPTIVE));
  const deltas = (await all(stream)).flatMap((event) => (event.delta?.type ? event.delta.type : []));
  assert.deepEqual([...new Set(deltas)], ["thinking_delta", "signature_delta", "text_delta"]);
  const { content } = await stream.finalMessage();
  assert.ok(content[0].thinking && content[0].signature);
  assert.ok(textOf(await goOn(content)));
});

test("thoughts that were changed are refused", async () => {
  const [thought, text] = (await create(ADAPTIVE)).content;
  const changed = { ...thought, thinking: `${thought.thinking} Or not.` };
  await assert.rejects(goOn([changed, text]), { status: 400, message: /cannot be modified/ });
  const forged = { ...thought, signature: "tampered" };
  await assert.rejects(goOn([forged, text]), { status: 400, message: /Invalid `signature`/ });
});
