//! What a model can do, by line and version.

use serde::Serialize;

use crate::catalogue::Model;

/// The capabilities in the API's order. It reports each of them for each model.
#[derive(Debug, Serialize)]
pub(super) struct Capabilities {
    batch: Support,
    citations: Support,
    /// Whether code in the code execution tool may call the request's other tools.
    code_execution: Support,
    image_input: Support,
    pdf_input: Support,
    structured_outputs: Support,
    server_tools: ServerTools,
    context_management: ContextManagement,
    effort: Effort,
    thinking: Thinking,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Support {
    supported: bool,
}

#[derive(Debug, Serialize)]
struct ServerTools {
    supported: bool,
    code_execution: Support,
    web_search: Support,
}

#[derive(Debug, Serialize)]
struct ContextManagement {
    supported: bool,
    clear_thinking_20251015: Support,
    clear_tool_uses_20250919: Support,
    compact_20260112: Support,
}

#[derive(Debug, Serialize)]
struct Effort {
    supported: bool,
    low: Support,
    medium: Support,
    high: Support,
    xhigh: Support,
    max: Support,
}

#[derive(Debug, Serialize)]
struct Thinking {
    supported: bool,
    types: ThinkingTypes,
}

/// Which `thinking.type` is accepted: a type may be while thinking itself is not supported.
#[derive(Debug, Serialize)]
struct ThinkingTypes {
    adaptive: Support,
    enabled: Support,
    disabled: Support,
    between_tools: Support,
}

impl Capabilities {
    pub(super) fn of(model: &Model) -> Self {
        let from = |version: (u32, u32)| yes(model.version >= version);
        Self {
            batch: yes(true),
            citations: from((3, 5)),
            code_execution: from((4, 5)),
            image_input: yes(model.vision),
            pdf_input: from((3, 5)),
            structured_outputs: from((4, 1)),
            server_tools: ServerTools {
                supported: model.version >= (3, 5),
                code_execution: from((3, 5)),
                web_search: from((3, 5)),
            },
            context_management: ContextManagement {
                supported: model.version >= (4, 0),
                clear_thinking_20251015: from((4, 0)),
                clear_tool_uses_20250919: from((4, 0)),
                compact_20260112: from((4, 6)),
            },
            effort: Effort::of(model),
            thinking: Thinking::of(model),
        }
    }
}

impl Effort {
    /// Opus had it one version before the others.
    fn of(model: &Model) -> Self {
        let first = if model.class == "opus" { (4, 5) } else { (4, 6) };
        let any = yes(model.version >= first);
        Self {
            supported: any.supported,
            low: any,
            medium: any,
            high: any,
            xhigh: yes(model.version >= (4, 7)),
            max: yes(model.version >= (4, 6)),
        }
    }
}

impl Thinking {
    /// A budget up to 4.6, adaptive from there on; some models cannot but think.
    fn of(model: &Model) -> Self {
        let version = model.version;
        let types = ThinkingTypes {
            adaptive: yes(model.reasoning && version >= (4, 6)),
            enabled: yes(model.reasoning && version <= (4, 6)),
            disabled: yes(!model.always_thinks()),
            between_tools: yes(model.has_between_tools()),
        };
        Self { supported: model.reasoning, types }
    }
}

const fn yes(supported: bool) -> Support {
    Support { supported }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::known;

    #[test]
    fn each_generation_thinks_in_its_own_way() {
        let types = |name: &str| {
            let types = Thinking::of(known(name).unwrap()).types;
            [types.enabled, types.adaptive, types.disabled, types.between_tools]
                .map(|support| support.supported)
        };
        for (model, expected) in [
            ("claude-3-5-haiku", [false, false, true, false]),
            ("claude-sonnet-4-5", [true, false, true, false]),
            ("claude-opus-4-6", [true, true, true, false]),
            ("claude-opus-4-7", [false, true, true, false]),
            ("claude-opus-5", [false, true, true, false]),
            ("claude-opus-5-5", [false, true, false, false]),
            ("claude-fable-5", [false, true, false, false]),
            ("claude-mythos-5-1", [false, true, false, false]),
            ("claude-sonnet-5-5", [false, true, true, true]),
        ] {
            assert_eq!(types(model), expected, "{model}");
        }
    }

    #[test]
    fn effort_came_with_opus_4_5_and_grew_twice() {
        let effort = |name: &str| {
            let effort = Effort::of(known(name).unwrap());
            [effort.supported, effort.high.supported, effort.max.supported, effort.xhigh.supported]
        };
        assert_eq!(effort("claude-sonnet-4-5"), [false; 4]);
        assert_eq!(effort("claude-opus-4-5"), [true, true, false, false]);
        assert_eq!(effort("claude-sonnet-4-6"), [true, true, true, false]);
        assert_eq!(effort("claude-opus-4-7"), [true; 4]);
    }
}
