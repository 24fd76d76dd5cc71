// Batches of messages.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import Anthropic from "@anthropic-ai/sdk";
import { all, api, request, textOf } from "./support.mjs";

// No batch of these tests takes a tenth of this.
const PATIENCE = 60_000;

/** A batch of requests with these names. */
function create(names, changes) {
  const requests = names.map((custom_id) => ({ custom_id, params: request(changes) }));
  return api.messages.batches.create({ requests });
}

/** A batch, once it has ended. */
async function ended(batch) {
  const deadline = Date.now() + PATIENCE;
  while (batch.processing_status !== "ended") {
    assert.ok(Date.now() < deadline, `waited too long: ${JSON.stringify(batch)}`);
    await sleep(50);
    batch = await api.messages.batches.retrieve(batch.id);
  }
  return batch;
}

test("a batch is processed and its results are read", async () => {
  const good = { custom_id: "good", params: request({ system: "Be brief." }) };
  const bad = { custom_id: "bad", params: request({ max_tokens: 0, messages: [] }) };
  let batch = await api.messages.batches.create({ requests: [good, bad] });
  assert.match(batch.id, /^msgbatch_01/);
  assert.equal(batch.request_counts.processing, 2);
  assert.equal(batch.results_url, null);
  batch = await ended(batch);
  const { processing, succeeded, errored } = batch.request_counts;
  assert.deepEqual([processing, succeeded, errored], [0, 1, 1]);
  // The SDK follows it with its key: it must lead nowhere else.
  assert.equal(
    batch.results_url,
    `${process.env.ANTHROPIC_BASE_URL}/v1/messages/batches/${batch.id}/results`,
  );
  const lines = await all(await api.messages.batches.results(batch.id));
  const results = Object.fromEntries(lines.map(({ custom_id, result }) => [custom_id, result]));
  assert.deepEqual(Object.keys(results).sort(), ["bad", "good"]);
  assert.ok(textOf(results.good.message));
  assert.equal(results.good.message.usage.service_tier, "batch");
  assert.equal(results.bad.error.error.type, "invalid_request_error");
});

test("a batch that is canceled ends and is deleted", async () => {
  const batch = await create(["one", "two"], { system: "To be canceled." });
  await assert.rejects(api.messages.batches.delete(batch.id), Anthropic.BadRequestError);
  const canceling = await api.messages.batches.cancel(batch.id);
  assert.equal(canceling.processing_status, "canceling");
  const counts = (await ended(canceling)).request_counts;
  assert.ok(counts.canceled > 0);
  assert.equal(counts.canceled + counts.succeeded, 2);
  const deleted = await api.messages.batches.delete(batch.id);
  assert.deepEqual([deleted.id, deleted.type], [batch.id, "message_batch_deleted"]);
  await assert.rejects(api.messages.batches.retrieve(batch.id), Anthropic.NotFoundError);
});

test("the list has pages and the newest comes first", async () => {
  const made = [];
  for (let number = 0; number < 3; number++) {
    made.unshift((await create(["one"], { system: `Batch ${number}.` })).id);
  }
  const page = await api.messages.batches.list({ limit: 2 });
  assert.deepEqual([page.data.length, page.hasNextPage()], [2, true]);
  const listed = (await all(page)).map((batch) => batch.id);
  assert.deepEqual(listed.slice(0, 3), made);
  assert.equal(new Set(listed).size, listed.length);
});
