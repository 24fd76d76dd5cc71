// What the tests share: a client of the API, requests to it, and a hand on the simulator behind.

import { execFileSync } from "node:child_process";
import { afterEach } from "node:test";
import Anthropic from "@anthropic-ai/sdk";

// Its address and key are in ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY, which the SDK reads itself.
export const api = new Anthropic({ maxRetries: 0 });

// A gateway has keys and limits of its own, and sees to what is wrong with the accounts behind it.
export const GATEWAY = process.env.ANTHROPIC_BASE_URL !== process.env.SIMULATOR_URL;

// No two of them share a limit, and what fails on one of them fails on no other.
export const MODELS = [
  "claude-fable-5-1",
  "claude-mythos-5-1",
  "claude-opus-5-5",
  "claude-opus-5",
  "claude-opus-4-8",
  "claude-sonnet-5-5",
  "claude-sonnet-5",
  "claude-sonnet-4-6",
  "claude-sonnet-4",
  "claude-haiku-5-5",
];

export const QUESTION = { role: "user", content: "What is 6 x 7?" };

/** A request for a message, with some of it changed. */
export function request(changes) {
  return { model: "claude-opus-4-6", max_tokens: 1000, messages: [QUESTION], ...changes };
}

/** The answer to a request. */
export function create(changes) {
  return api.messages.create(request(changes));
}

/** The text of an answer. */
export function textOf(message) {
  return message.content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("");
}

/** All of what comes one by one. */
export async function all(items) {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Has the simulator make these faults and no others. */
export async function setFaults(...rules) {
  const body = JSON.stringify({ overloadedRate: 0, rules });
  const answer = await fetch(`${process.env.SIMULATOR_URL}/_sim/faults`, { method: "PUT", body });
  if (!answer.ok) throw new Error(await answer.text());
  // What the faults before have done to the accounts is forgotten.
  if (GATEWAY) execFileSync(process.env.POLPO, ["auth", "clear", "--all"]);
}

/** No test of this file leaves its faults to the next. */
export function faulty() {
  afterEach(() => setFaults());
}
