// Tools that the model calls.

import assert from "node:assert/strict";
import { test } from "node:test";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { all, api, create, request, textOf } from "./support.mjs";

const QUESTION = { role: "user", content: "How warm is it in Oslo?" };
const WEATHER = {
  name: "get_weather",
  description: "The weather in a city.",
  input_schema: {
    type: "object",
    properties: { city: { type: "string" }, unit: { enum: ["celsius", "kelvin"] } },
    required: ["city", "unit"],
  },
};

/** A question that a tool helps with. */
function ask(...more) {
  return create({ messages: [QUESTION, ...more], tools: [WEATHER] });
}

/** The calls in an answer. */
function calls(message) {
  return message.content.filter((block) => block.type === "tool_use");
}

/** An answer with calls, and the turn that answers them. */
function results(message) {
  const content = calls(message).map(({ id }) => ({
    type: "tool_result",
    tool_use_id: id,
    content: "7 degrees",
  }));
  return [{ role: "assistant", content: message.content }, { role: "user", content }];
}

test("a call is answered and the model goes on", async () => {
  const message = await ask();
  assert.equal(message.stop_reason, "tool_use");
  const [call] = calls(message);
  assert.equal(call.name, "get_weather");
  assert.match(call.id, /^toolu_01/);
  assert.equal(typeof call.input.city, "string");
  const final = await ask(...results(message));
  assert.deepEqual([final.stop_reason, calls(final)], ["end_turn", []]);
  assert.ok(textOf(final));
});

test("a result without its call is refused and named", async () => {
  const [assistant, user] = results(await ask());
  user.content[0].tool_use_id = "toolu_01unknown";
  await assert.rejects(ask(assistant, user), { status: 400, message: /toolu_01unknown/ });
});

test("the input of a call is streamed as JSON", async () => {
  const stream = api.messages.stream(request({ messages: [QUESTION], tools: [WEATHER] }));
  const events = await all(stream);
  const message = await stream.finalMessage();
  const index = message.content.findIndex((block) => block.type === "tool_use");
  const parts = events.filter((event) => event.index === index && event.delta?.partial_json);
  assert.ok(parts.length > 0);
  const whole = parts.map((event) => event.delta.partial_json).join("");
  assert.deepEqual(JSON.parse(whole), message.content[index].input);
});

test("the tool runner calls a function until there is an answer", async () => {
  const asked = [];
  const weather = betaTool({
    name: "get_weather",
    description: "The weather in a city.",
    inputSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    run: ({ city }) => {
      asked.push(city);
      return "7 degrees";
    },
  });
  const body = request({ messages: [QUESTION], tools: [weather] });
  const final = await api.beta.messages.toolRunner(body).runUntilDone();
  assert.ok(asked.length > 0);
  assert.equal(final.stop_reason, "end_turn");
  assert.ok(textOf(final));
});
