// Messages that come as a stream of events.

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { all, api, create, faulty, request, setFaults, textOf } from "./support.mjs";

const EVENTS = [
  "message_start",
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
  "message_delta",
  "message_stop",
];

faulty();

test("events come in their order with cumulative usage", async () => {
  const events = await all(await create({ stream: true }));
  const kinds = events.map((event) => event.type);
  assert.deepEqual([...new Set(kinds)], EVENTS);
  assert.ok(kinds.filter((kind) => kind === "content_block_delta").length > 1);
  const start = events[0].message;
  const end = events.at(-2);
  assert.deepEqual([start.content, start.stop_reason], [[], null]);
  assert.equal(end.delta.stop_reason, "end_turn");
  assert.equal(end.usage.input_tokens, start.usage.input_tokens);
  assert.ok(end.usage.output_tokens > start.usage.output_tokens);
});

test("the helper's final message is what was heard", async () => {
  const stream = api.messages.stream(request());
  let text = "";
  stream.on("text", (part) => (text += part));
  const message = await stream.finalMessage();
  assert.equal(text, textOf(message));
  assert.equal(text, await stream.finalText());
  assert.equal(message.stop_reason, "end_turn");
  assert.match(stream.request_id, /^req_/);
});

test("many streams come at once", async () => {
  const one = (number) => {
    const messages = [{ role: "user", content: `What is ${number} x ${number}?` }];
    return api.messages.stream(request({ messages })).finalMessage();
  };
  const messages = await Promise.all(Array.from({ length: 10 }, (_, number) => one(number)));
  assert.ok(messages.every(textOf));
  assert.equal(new Set(messages.map((message) => message.id)).size, 10);
});

test("a stream that its reader has enough of ends", async () => {
  const stream = await create({ stream: true });
  for await (const event of stream) {
    if (event.type === "content_block_delta") break;
  }
  assert.ok(stream.controller.signal.aborted);
  assert.ok(textOf(await create()));
});

test("an error event is an error of its type", async () => {
  await setFaults({ fault: "errorEvent", afterEvents: 3, error: { type: "overloaded_error" } });
  const heard = [];
  const listen = async () => {
    for await (const event of await create({ stream: true })) heard.push(event.type);
  };
  await assert.rejects(listen, (raised) => {
    assert.ok(raised instanceof Anthropic.APIError);
    assert.equal(raised.type, "overloaded_error");
    return true;
  });
  assert.deepEqual(heard, EVENTS.slice(0, 3));
});
