//! The tools that are offered to the model, and which of them it must call.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Rules;
use super::blocks::{CACHE_CONTROL, CACHED, CITATIONS};
use super::shape::Kind::{Boolean, Dictionary, Integer, List, Open, Tagged, Text, Token, Word};
use super::shape::Presence::{Beta, Optional, Required};
use super::shape::{self, Checked, Field, Kind, Path, Variant};
use crate::catalogue::Model;
use crate::problem::Problem;

/// A tool of the client's own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// The JSON Schema of its input.
    pub(crate) schema: Value,
}

/// Whether and what the model may or must call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    #[default]
    Auto,
    Any,
    Named(String),
    None,
}

/// `tool_choice`.
pub(crate) const TOOL_CHOICE: Kind = Tagged(&[
    Variant("auto", Optional, &[PARALLEL]),
    Variant("any", Optional, &[PARALLEL]),
    Variant("tool", Optional, &[&[Field("name", Required, Text)], PARALLEL]),
    Variant("none", Optional, &[]),
]);

/// Checks `tools`. A tool without a `type` is a custom one.
pub(crate) fn check_tools(body: &Map<String, Value>, rules: Rules) -> Checked<()> {
    let path = Path::Root.name("tools");
    let mut names = HashSet::new();
    for (index, tool) in items(body.get("tools"), &path)?.iter().enumerate() {
        let path = path.index(index);
        match tool.as_object() {
            Some(tool) if tool.get("type").is_none_or(Value::is_null) => {
                shape::members(&[TYPE, CUSTOM, CACHED], tool, &path.name("custom"), rules)?;
            }
            _ => Tagged(TYPED).check(tool, &path, rules)?,
        }
        check_schema(tool, &path)?;
        let name = tool.get("name").and_then(Value::as_str);
        if name.is_some_and(|name| !names.insert(name)) {
            let problem = Problem::invalid("tools: Tool names must be unique.");
            return Err(problem.with_code("tool_name_conflict"));
        }
    }
    check_named(body, &names)
}

/// Checks that the model may be forced to call a tool, if it is.
pub(crate) fn check_choice(body: &Map<String, Value>, model: &Model) -> Checked<()> {
    let tag = |name| body.get(name).and_then(|value| value.get("type")).and_then(Value::as_str);
    if !matches!(tag("tool_choice"), Some("any" | "tool")) {
        return Ok(());
    }
    let never = match model.class.as_str() {
        "fable" | "mythos" => true,
        "opus" | "sonnet" => model.version >= (5, 5),
        _ => false,
    };
    if never {
        let complaint = "type \"tool\" and \"any\" are not supported for this model.";
        return Path::Root.name("tool_choice").wrong(complaint);
    }
    if matches!(tag("thinking"), Some("enabled" | "adaptive")) {
        let complaint = "Thinking may not be enabled when tool_choice forces tool use.";
        return Err(Problem::invalid(complaint));
    }
    Ok(())
}

/// The custom tools that the model may call at once.
pub(crate) fn take(body: &mut Map<String, Value>) -> Vec<Tool> {
    let Some(Value::Array(tools)) = body.remove("tools") else { return Vec::new() };
    let is_deferred = |tool: &Value| tool.get("defer_loading") == Some(&Value::Bool(true));
    let custom = tools.into_iter().filter(|tool| !is_deferred(tool)).filter_map(|mut tool| {
        let tool = tool.as_object_mut()?;
        let schema = tool.remove("input_schema")?;
        let Some(Value::String(name)) = tool.remove("name") else { return None };
        Some(Tool { name, schema })
    });
    custom.collect()
}

/// Whether the model may search the web.
pub(crate) fn has_search(body: &Map<String, Value>) -> bool {
    let tools = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    let mut kinds = tools.filter_map(|tool| tool.get("type").and_then(Value::as_str));
    kinds.any(|kind| kind.starts_with("web_search_"))
}

/// The choice, and whether several tools may be called at once.
pub(crate) fn choice(body: &Map<String, Value>) -> (ToolChoice, bool) {
    let Some(choice) = body.get("tool_choice") else { return (ToolChoice::Auto, true) };
    let text = |name| choice.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_one = choice.get("disable_parallel_tool_use").and_then(Value::as_bool);
    let kind = match text("type") {
        "any" => ToolChoice::Any,
        "tool" => ToolChoice::Named(text("name").to_owned()),
        "none" => ToolChoice::None,
        _ => ToolChoice::Auto,
    };
    (kind, !is_one.unwrap_or(false))
}

fn items<'a>(value: Option<&'a Value>, path: &Path<'_>) -> Checked<&'a [Value]> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => path.wrong("Input should be a valid list"),
    }
}

fn check_schema(tool: &Value, path: &Path<'_>) -> Checked<()> {
    let schema = tool.get("input_schema").and_then(Value::as_object);
    let has = |name: &&str| schema.is_some_and(|schema| schema.contains_key(*name));
    if ["oneOf", "allOf", "anyOf"].iter().any(has) {
        return path
            .name("custom")
            .name("input_schema")
            .wrong("input_schema does not support oneOf, allOf, or anyOf at the top level");
    }
    Ok(())
}

fn check_named(body: &Map<String, Value>, names: &HashSet<&str>) -> Checked<()> {
    let Some(choice) = body.get("tool_choice").filter(|choice| !choice.is_null()) else {
        return Ok(());
    };
    if body.get("tools").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let complaint = "`tool_choice` may only be specified while providing `tools`.";
        return Err(Problem::invalid(complaint));
    }
    match choice.get("name").and_then(Value::as_str) {
        Some(name) if !names.contains(name) => {
            let path = Path::Root.name("tool_choice");
            path.name("tool")
                .name("name")
                .wrong(format_args!("Tool '{name}' not found in provided tools"))
        }
        Some(_) | None => Ok(()),
    }
}

const PARALLEL: &[Field] = &[Field("disable_parallel_tool_use", Optional, Boolean)];

const TYPE: &[Field] = &[Field("type", Optional, Text)];

const CUSTOM: &[Field] = &[
    Field("name", Required, Token(128)),
    Field("input_schema", Required, SCHEMA),
    Field("allowed_callers", Optional, CALLERS),
    Field("defer_loading", Optional, Boolean),
    Field("description", Optional, Text),
    Field("eager_input_streaming", Optional, Boolean),
    Field("input_examples", Optional, List(&Dictionary)),
    Field("strict", Optional, Boolean),
];

const SCHEMA: Kind = Open(&[
    Field("type", Required, Word(&["object"])),
    Field("properties", Optional, Dictionary),
    Field("required", Optional, List(&Text)),
]);

const CALLERS: Kind = List(&Word(&[
    "direct",
    "code_execution_20250825",
    "code_execution_20260120",
    "code_execution_20260521",
]));

const TYPED: &[Variant] = &[
    Variant("custom", Optional, &[CUSTOM, CACHED]),
    Variant("bash_20250124", Optional, &[BASH, CLIENT, CACHED]),
    Variant("text_editor_20250124", Optional, &[OLD_EDITOR, CLIENT, CACHED]),
    Variant("text_editor_20250429", Optional, &[EDITOR, CLIENT, CACHED]),
    Variant("text_editor_20250728", Optional, &[EDITOR, EDITED, CLIENT, CACHED]),
    Variant("memory_20250818", Optional, &[MEMORY, CLIENT, CACHED]),
    Variant("browser_toolset_20260801", Optional, &[TOOLSET, CACHED]),
    Variant("computer_toolset_20260801", Optional, &[TOOLSET, CACHED]),
    Variant("code_execution_20250522", Optional, &[CODE, COMMON, CACHED]),
    Variant("code_execution_20250825", Optional, &[CODE, COMMON, CACHED]),
    Variant("code_execution_20260120", Optional, &[CODE, COMMON, CACHED]),
    Variant("code_execution_20260521", Optional, &[CODE, COMMON, CACHED]),
    Variant("web_search_20250305", Optional, &[SEARCH, WEB, COMMON, CACHED]),
    Variant("web_search_20260209", Optional, &[SEARCH, WEB, COMMON, CACHED]),
    Variant("web_search_20260318", Optional, &[SEARCH, WEB, INCLUSION, COMMON, CACHED]),
    Variant("web_fetch_20250910", Optional, &[FETCH, WEB, COMMON, CACHED]),
    Variant("web_fetch_20260209", Optional, &[FETCH, WEB, COMMON, CACHED]),
    Variant("web_fetch_20260309", Optional, &[FETCH, WEB, FRESH, COMMON, CACHED]),
    Variant("web_fetch_20260318", Optional, &[FETCH, WEB, FRESH, INCLUSION, COMMON, CACHED]),
    Variant("tool_search_tool_bm25_20251119", Optional, &[BM25, COMMON, CACHED]),
    Variant("tool_search_tool_bm25", Optional, &[BM25, COMMON, CACHED]),
    Variant("tool_search_tool_regex_20251119", Optional, &[REGEX, COMMON, CACHED]),
    Variant("tool_search_tool_regex", Optional, &[REGEX, COMMON, CACHED]),
    Variant("bash_20241022", Beta, &[BASH, CLIENT, CACHED]),
    Variant("text_editor_20241022", Beta, &[OLD_EDITOR, CLIENT, CACHED]),
    Variant("computer_20241022", Beta, &[COMPUTER, CLIENT, CACHED]),
    Variant("computer_20250124", Beta, &[COMPUTER, CLIENT, CACHED]),
    Variant("computer_20251124", Beta, &[COMPUTER, ZOOM, CLIENT, CACHED]),
    Variant("advisor_20260301", Beta, &[ADVISOR, COMMON, CACHED]),
    Variant("mcp_toolset", Beta, &[MCP, CACHED]),
];

const COMMON: &[Field] = &[
    Field("allowed_callers", Optional, CALLERS),
    Field("defer_loading", Optional, Boolean),
    Field("strict", Optional, Boolean),
];

const CLIENT: &[Field] = &[
    Field("allowed_callers", Optional, CALLERS),
    Field("defer_loading", Optional, Boolean),
    Field("input_examples", Optional, List(&Dictionary)),
    Field("strict", Optional, Boolean),
];

const BASH: &[Field] = &[Field("name", Required, Word(&["bash"]))];

const OLD_EDITOR: &[Field] = &[Field("name", Required, Word(&["str_replace_editor"]))];

const EDITOR: &[Field] = &[Field("name", Required, Word(&["str_replace_based_edit_tool"]))];

const EDITED: &[Field] = &[Field("max_characters", Optional, Integer(1))];

const MEMORY: &[Field] = &[Field("name", Required, Word(&["memory"]))];

const TOOLSET: &[Field] = &[Field("configs", Optional, Dictionary)];

const CODE: &[Field] = &[Field("name", Required, Word(&["code_execution"]))];

const WEB: &[Field] = &[
    Field("allowed_domains", Optional, List(&Text)),
    Field("blocked_domains", Optional, List(&Text)),
    Field("max_uses", Optional, Integer(1)),
];

const SEARCH: &[Field] = &[
    Field("name", Required, Word(&["web_search"])),
    Field("user_location", Optional, Tagged(&[Variant("approximate", Optional, &[PLACE])])),
];

const PLACE: &[Field] = &[
    Field("city", Optional, Text),
    Field("country", Optional, Text),
    Field("region", Optional, Text),
    Field("timezone", Optional, Text),
];

const FETCH: &[Field] = &[
    Field("name", Required, Word(&["web_fetch"])),
    Field("citations", Optional, CITATIONS),
    Field("max_content_tokens", Optional, Integer(1)),
    Field("url_sources", Optional, Dictionary),
];

const FRESH: &[Field] = &[Field("use_cache", Optional, Boolean)];

const INCLUSION: &[Field] = &[Field("response_inclusion", Optional, Word(&["full", "excluded"]))];

const BM25: &[Field] = &[Field("name", Required, Word(&["tool_search_tool_bm25"]))];

const REGEX: &[Field] = &[Field("name", Required, Word(&["tool_search_tool_regex"]))];

const COMPUTER: &[Field] = &[
    Field("name", Required, Word(&["computer"])),
    Field("display_height_px", Required, Integer(1)),
    Field("display_width_px", Required, Integer(1)),
    Field("display_number", Optional, Integer(0)),
];

const ZOOM: &[Field] = &[Field("enable_zoom", Optional, Boolean)];

const ADVISOR: &[Field] = &[
    Field("name", Required, Word(&["advisor"])),
    Field("model", Required, Text),
    Field("caching", Optional, CACHE_CONTROL),
    Field("max_tokens", Optional, Integer(1)),
    Field("max_uses", Optional, Integer(1)),
];

const MCP: &[Field] = &[
    Field("mcp_server_name", Required, Text),
    Field("configs", Optional, Dictionary),
    Field("default_config", Optional, Dictionary),
    Field("tools", Optional, List(&Dictionary)),
];
