"""The list of models."""

import unittest

from anthropic import Anthropic, AuthenticationError, BadRequestError, NotFoundError
from support import STRICT, api


class Models(unittest.TestCase):
    def test_pages_follow_each_other_until_all_models_were_there(self):
        whole = api.models.list(limit=1000)
        self.assertFalse(whole.has_next_page())
        page = api.models.list(limit=3)
        self.assertEqual((len(page.data), page.has_next_page()), (3, True))
        names = [model.id for model in whole.data]
        self.assertEqual([model.id for model in page], names)
        self.assertEqual(len(set(names)), len(names))
        self.assertIn("claude-opus-4-6", names)
        created = [model.created_at for model in whole.data]
        self.assertEqual(created, sorted(created, reverse=True))

    def test_a_list_can_be_read_backwards(self):
        names = [model.id for model in api.models.list(limit=1000)]
        before = api.models.list(limit=2, before_id=names[4])
        self.assertEqual([model.id for model in before.data], names[2:4])

    def test_a_model_is_found_by_its_id_and_by_its_alias(self):
        for name in ["claude-haiku-4-5", "claude-haiku-4-5-20251001"]:
            model = api.models.retrieve(name)
            self.assertEqual(
                (model.id, model.display_name), ("claude-haiku-4-5-20251001", "Claude Haiku 4.5")
            )
        self.assertEqual((model.lifecycle, model.line, model.retires_at), ("active", "haiku", None))
        self.assertEqual((model.max_input_tokens, model.max_tokens), (200_000, 64_000))
        self.assertTrue(model.capabilities.image_input.supported)

    def test_the_list_is_of_what_is_served_unless_a_lifecycle_is_asked_for(self):
        def lifecycles(**wanted):
            return {model.lifecycle for model in api.models.list(limit=1000, **wanted)}

        self.assertEqual(lifecycles(), {"active", "deprecated"})
        for wanted in [{"active"}, {"retired"}, {"active", "retired"}]:
            self.assertEqual(lifecycles(lifecycle=sorted(wanted)), wanted)
        retired = next(iter(api.models.list(lifecycle=["retired"])))
        self.assertIsNotNone(retired.deprecated_at)

    def test_what_there_is_not_is_not_found_and_strangers_find_nothing(self):
        with self.assertRaisesRegex(NotFoundError, "claude-unknown"):
            api.models.retrieve("claude-unknown")
        with self.assertRaises(BadRequestError):
            api.models.list(limit=0)
        with self.assertRaises(AuthenticationError):
            Anthropic(api_key="unknown", **STRICT).models.list()


if __name__ == "__main__":
    unittest.main()
