//! A value that a JSON Schema accepts: what a model puts into a tool call or structured output.

use serde_json::{Map, Value, json};

use crate::draw::Draws;

/// Deeper schemas are recursive ones: what is still asked for there is left out.
const MAX_DEPTH: usize = 12;

/// Values that are drawn for a schema, far more than any tool takes: what a schema asks for beyond
/// them is left out, or one with many branches would never be done.
const MAX_VALUES: u64 = 10_000;

/// Most items of a drawn list, unless the schema wants more.
const MAX_ITEMS: u64 = 3;

/// A drawn value for a schema. Keywords that are not understood are ignored.
pub(crate) fn instance(schema: &Value, draws: Draws) -> Value {
    Drawing { root: schema, draws, drawn: 0, values: 0 }.value(schema, "value", 0)
}

struct Drawing<'a> {
    root: &'a Value,
    draws: Draws,
    drawn: u64,
    values: u64,
}

impl Drawing<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        self.draws.below("instance", self.drawn, bound)
    }

    fn value(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        let list = |key: &str| schema.get(key).and_then(Value::as_array).filter(|l| !l.is_empty());
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES {
            return Value::Null;
        }
        if let Some(only) = schema.get("const") {
            return only.clone();
        }
        if let Some(words) = list("enum") {
            return self.pick(words).clone();
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let root = self.root;
            let found = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
            return found.map_or(Value::Null, |found| self.value(found, name, depth + 1));
        }
        if let Some(choices) = list("anyOf").or_else(|| list("oneOf")) {
            // The first: a drawn one would make recursive schemas deep.
            return self.value(choices.first().unwrap_or(&Value::Null), name, depth + 1);
        }
        if let Some(parts) = list("allOf") {
            return self.all_of(parts, name, depth);
        }
        let kind = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
            Some(kind) => kind.as_str(),
            None if schema.get("properties").is_some() => Some("object"),
            None => None,
        };
        match kind {
            Some("object") => self.object(schema, depth),
            Some("array") => self.array(schema, name, depth),
            Some("integer" | "number") => self.number(schema, kind == Some("integer")),
            Some("boolean") => Value::Bool(self.below(2) == 1),
            Some("null") => Value::Null,
            _ => self.string(schema, name),
        }
    }

    fn pick<'v>(&mut self, values: &'v [Value]) -> &'v Value {
        let at = self.below(values.len() as u64);
        usize::try_from(at).ok().and_then(|at| values.get(at)).unwrap_or(&Value::Null)
    }

    /// Objects are joined; of anything else the last part is taken.
    fn all_of(&mut self, parts: &[Value], name: &str, depth: usize) -> Value {
        let mut joined = Map::new();
        let mut last = Value::Null;
        for part in parts {
            last = self.value(part, name, depth + 1);
            if let Value::Object(fields) = &last {
                joined.extend(fields.clone());
            }
        }
        if joined.is_empty() { last } else { Value::Object(joined) }
    }

    /// Everything that is required, and the rest as long as the schema is not deep.
    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return json!({});
        };
        let required = schema.get("required").and_then(Value::as_array);
        let is_required =
            |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
        let fields = properties
            .iter()
            .filter(|(name, _)| depth < 2 || is_required(name))
            .map(|(name, property)| (name.clone(), self.value(property, name, depth + 1)));
        Value::Object(fields.collect())
    }

    fn array(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        let most = bound("maxItems").unwrap_or(u64::MAX);
        let least = bound("minItems").unwrap_or(1).min(most);
        let most = most.min(least.max(MAX_ITEMS));
        let left = MAX_VALUES.saturating_sub(self.values);
        let count = (least + self.below(most - least + 1)).min(left);
        let items = schema.get("items").unwrap_or(&Value::Null);
        (0..count).map(|_| self.value(items, name, depth + 1)).collect()
    }

    fn number(&mut self, schema: &Value, is_whole: bool) -> Value {
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let above = bound("exclusiveMinimum").map(|least| least + 1.0);
        let below = bound("exclusiveMaximum").map(|most| most - 1.0);
        let high = bound("maximum").or(below);
        let least = bound("minimum").or(above).unwrap_or_else(|| high.map_or(1.0, |h| h.min(1.0)));
        let most = high.unwrap_or(least + 99.0).max(least);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a hundred values are enough of any range"
        )]
        let steps = (most - least).min(99.0) as u64;
        #[expect(clippy::cast_precision_loss, reason = "below a hundred")]
        let drawn = least + self.below(steps + 1) as f64;
        #[expect(clippy::cast_possible_truncation, reason = "the schema's own bounds")]
        let whole = drawn.ceil() as i64;
        if is_whole { json!(whole) } else { json!(drawn) }
    }

    fn string(&mut self, schema: &Value, name: &str) -> Value {
        let drawn = match schema.get("format").and_then(Value::as_str) {
            Some("date") => "2026-11-22".to_owned(),
            Some("time") => "12:00:00Z".to_owned(),
            Some("date-time") => "2026-11-22T12:00:00Z".to_owned(),
            Some("email") => "someone@example.com".to_owned(),
            Some("uri" | "url") => "https://example.com/".to_owned(),
            Some("uuid") => self.draws.again(self.drawn).uuid("instance"),
            Some("ipv4") => "192.0.2.1".to_owned(),
            _ => format!("{name} {}", self.below(100)),
        };
        let bound = |key: &str| {
            schema.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
        };
        let mut text: Vec<char> = drawn.chars().collect();
        text.resize(text.len().max(bound("minLength").unwrap_or(0).min(10_000)), 'x');
        text.truncate(bound("maxLength").unwrap_or(usize::MAX));
        Value::String(text.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_valid_under_its_schema() {
        for schema in [
            json!({"type": "object", "properties": {
                "city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7},
                "unit": {"enum": ["C", "F"]}, "exact": {"type": "boolean"}}, "required": ["city"]}),
            json!({"type": "array", "items": {"type": "number", "exclusiveMinimum": 0},
                "minItems": 5}),
            json!({"type": ["string", "null"], "minLength": 30, "maxLength": 40}),
            json!({"type": "string", "maxLength": 2}),
            json!({"type": "integer", "maximum": -5}),
            json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object",
                "properties": {"name": {"type": "string"}, "next": {"anyOf": [
                    {"type": "null"}, {"$ref": "#/$defs/node"}]}},
                "required": ["name", "next"], "additionalProperties": false}}}),
            json!({"allOf": [{"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
                {"type": "object", "properties": {"b": {"type": "null"}}, "required": ["b"]}]}),
            json!({"type": "string", "format": "uuid"}),
            json!({"type": "array", "maxItems": 0}),
            json!({}),
        ] {
            let validator = jsonschema::validator_for(&schema).unwrap();
            for n in 0..50 {
                let value = instance(&schema, Draws::named(n, "instance"));
                assert!(validator.is_valid(&value), "{value} under {schema}");
            }
        }
    }

    #[test]
    fn a_schema_cannot_ask_for_more_than_is_ever_needed() {
        let count = |value: &Value| value.to_string().len();
        let long = json!({"type": "array", "minItems": 1_000_000_000_000_u64, "items": {}});
        assert!(count(&instance(&long, Draws::named(1, "x"))) < 1_000_000);
        let branches: Map<String, Value> =
            (0..20).map(|n| (n.to_string(), json!({"$ref": "#"}))).collect();
        let names: Vec<_> = branches.keys().cloned().collect();
        let wide = json!({"type": "object", "properties": branches, "required": names});
        assert!(count(&instance(&wide, Draws::named(1, "x"))) < 1_000_000);
    }
}
