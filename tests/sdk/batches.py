"""Batches of messages."""

import os
import time
import unittest

from anthropic import BadRequestError, NotFoundError, OverloadedError
from support import FaultyTest, api, request, set_faults, text_of

# No batch of these tests takes a tenth of this.
PATIENCE = 60


def create(*names, **changes):
    """A batch of requests with these names."""
    return api.messages.batches.create(
        requests=[{"custom_id": name, "params": request(**changes)} for name in names]
    )


def ended(batch):
    """A batch, once it has ended."""
    deadline = time.monotonic() + PATIENCE
    while batch.processing_status != "ended":
        assert time.monotonic() < deadline, f"waited too long: {batch}"
        time.sleep(0.05)
        batch = api.messages.batches.retrieve(batch.id)
    return batch


class Batches(FaultyTest):
    def test_a_batch_is_processed_and_its_results_are_read(self):
        good = request(system="Be brief.")
        bad = {"model": "claude-opus-4-6", "max_tokens": 0, "messages": []}
        requests = [{"custom_id": "good", "params": good}, {"custom_id": "bad", "params": bad}]
        batch = api.messages.batches.create(requests=requests)
        self.assertRegex(batch.id, "^msgbatch_01")
        self.assertEqual(
            (batch.processing_status, batch.request_counts.processing), ("in_progress", 2)
        )
        self.assertEqual((batch.ended_at, batch.results_url), (None, None))
        self.assertEqual((batch.expires_at - batch.created_at).total_seconds(), 86_400)

        batch = ended(batch)
        counts = batch.request_counts
        self.assertEqual((counts.processing, counts.succeeded, counts.errored), (0, 1, 1))
        self.assertGreater(batch.ended_at, batch.created_at)
        # The SDK follows it with its key: it must lead to whoever that key is for.
        here = os.environ["ANTHROPIC_BASE_URL"]
        self.assertEqual(batch.results_url, f"{here}/v1/messages/batches/{batch.id}/results")
        results = {line.custom_id: line.result for line in api.messages.batches.results(batch.id)}
        self.assertEqual(sorted(results), ["bad", "good"])
        message = results["good"].message
        self.assertTrue(text_of(message))
        self.assertEqual(message.usage.service_tier, "batch")
        error = results["bad"].error.error
        self.assertEqual((results["bad"].type, error.type), ("errored", "invalid_request_error"))

    def test_a_batch_that_is_canceled_ends_with_what_it_has(self):
        batch = create("one", "two", system="To be canceled.")
        canceling = api.messages.batches.cancel(batch.id)
        self.assertEqual(canceling.processing_status, "canceling")
        self.assertIsNotNone(canceling.cancel_initiated_at)
        counts = ended(canceling).request_counts
        self.assertGreater(counts.canceled, 0)
        self.assertEqual(counts.canceled + counts.succeeded, 2)
        kinds = [line.result.type for line in api.messages.batches.results(batch.id)]
        self.assertEqual(kinds.count("canceled"), counts.canceled)

    def test_only_a_batch_that_has_ended_is_deleted(self):
        batch = create("one", system="To be deleted.")
        with self.assertRaises(BadRequestError):
            api.messages.batches.delete(batch.id)
        ended(api.messages.batches.cancel(batch.id))
        deleted = api.messages.batches.delete(batch.id)
        self.assertEqual((deleted.id, deleted.type), (batch.id, "message_batch_deleted"))
        with self.assertRaises(NotFoundError):
            api.messages.batches.retrieve(batch.id)

    def test_the_list_has_pages_and_the_newest_comes_first(self):
        made = [create("one", system=f"Batch {number}.").id for number in range(5)]
        page = api.messages.batches.list(limit=2)
        self.assertEqual((len(page.data), page.has_next_page()), (2, True))
        listed = [batch.id for batch in page]
        self.assertEqual(listed[:5], made[::-1])
        self.assertEqual(len(set(listed)), len(listed))

    def test_a_batch_that_is_not_well_formed_is_refused(self):
        for names in [[], ["same", "same"], ["not a name"]]:
            with self.subTest(names), self.assertRaises(BadRequestError):
                create(*names)

    def test_the_api_may_have_too_much_to_do_for_a_batch(self):
        set_faults({"fault": "overloaded", "endpoint": "batches"})
        with self.assertRaises(OverloadedError) as caught:
            create("one")
        self.assertRegex(caught.exception.request_id, "^req_")


if __name__ == "__main__":
    unittest.main()
