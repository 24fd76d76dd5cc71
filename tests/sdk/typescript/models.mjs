// The list of models.

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { all, api } from "./support.mjs";

test("pages follow each other until all models were there", async () => {
  const whole = await api.models.list({ limit: 1000 });
  assert.ok(!whole.hasNextPage());
  const names = whole.data.map((model) => model.id);
  const page = await api.models.list({ limit: 3 });
  assert.deepEqual([page.data.length, page.hasNextPage()], [3, true]);
  assert.deepEqual((await all(page)).map((model) => model.id), names);
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.includes("claude-opus-4-6"));
  const before = await api.models.list({ limit: 2, before_id: names[4] });
  assert.deepEqual(before.data.map((model) => model.id), names.slice(2, 4));
});

test("a model is found by its id and by its alias, and another is not", async () => {
  for (const name of ["claude-haiku-4-5", "claude-haiku-4-5-20251001"]) {
    const model = await api.models.retrieve(name);
    assert.deepEqual(
      [model.id, model.display_name, model.line],
      ["claude-haiku-4-5-20251001", "Claude Haiku 4.5", "haiku"],
    );
  }
  await assert.rejects(api.models.retrieve("claude-unknown"), Anthropic.NotFoundError);
});
