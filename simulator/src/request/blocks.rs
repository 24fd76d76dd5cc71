//! The content blocks that a message may hold.

use super::shape::Kind::{
    Anything, Boolean, Dictionary, Either, Integer, Length, List, Record, Tagged, Text, Token, Word,
};
use super::shape::Presence::{Beta, Optional, Required};
use super::shape::{Field, Kind, Variant};

/// A cache breakpoint.
pub(crate) const CACHED: &[Field] = &[Field("cache_control", Optional, CACHE_CONTROL)];

/// `cache_control`.
pub(crate) const CACHE_CONTROL: Kind =
    Tagged(&[Variant("ephemeral", Optional, &[&[Field("ttl", Optional, Word(&["5m", "1h"]))]])]);

/// A text where nothing else may be: in `system`, in a system turn.
pub(crate) const ONLY_TEXT: Kind =
    Record(&[&[Field("type", Required, Word(&["text"]))], TEXT, CACHED]);

/// A text, or blocks of text.
pub(crate) const TEXTS: Kind = Either(&[Text, List(&ONLY_TEXT)]);

/// What a system turn may hold.
pub(crate) const SYSTEM_CONTENT: Kind = Either(&[
    Text,
    List(&Tagged(&[
        Variant("text", Optional, &[TEXT, CACHED]),
        Variant("tool_addition", Beta, &[TOOL_CHANGE, CACHED]),
        Variant("tool_removal", Beta, &[TOOL_CHANGE, CACHED]),
    ])),
]);

/// What a user's or assistant's turn may hold.
pub(crate) const CONTENT: Kind = Either(&[Text, List(&Tagged(BLOCKS))]);

/// Whether citations may be in the API's documents.
pub(crate) const CITATIONS: Kind = Record(&[&[Field("enabled", Optional, Boolean)]]);

const BLOCKS: &[Variant] = &[
    Variant("text", Optional, &[TEXT, CACHED]),
    Variant("image", Optional, &[IMAGE, CACHED]),
    Variant("document", Optional, &[DOCUMENT, CACHED]),
    Variant("search_result", Optional, &[SEARCH_RESULT, CACHED]),
    Variant(
        "thinking",
        Optional,
        &[&[Field("signature", Required, Text), Field("thinking", Required, Text)]],
    ),
    Variant("redacted_thinking", Optional, &[&[Field("data", Required, Text)]]),
    Variant("tool_use", Optional, &[CALL, TOOLSET, CACHED]),
    Variant("tool_result", Optional, &[RESULT, TOOLSET, CACHED]),
    Variant("server_tool_use", Optional, &[SERVER_CALL, CACHED]),
    Variant(
        "web_search_tool_result",
        Optional,
        &[&[Field("content", Required, Either(&[List(&Dictionary), Dictionary]))], SERVER, CACHED],
    ),
    Variant("web_fetch_tool_result", Optional, &[SERVER_RESULT, SERVER, CACHED]),
    Variant("code_execution_tool_result", Optional, &[SERVER_RESULT, SERVER, CACHED]),
    Variant("bash_code_execution_tool_result", Optional, &[SERVER_RESULT, SERVER, CACHED]),
    Variant("text_editor_code_execution_tool_result", Optional, &[SERVER_RESULT, SERVER, CACHED]),
    Variant("tool_search_tool_result", Optional, &[SERVER_RESULT, SERVER, CACHED]),
    Variant("container_upload", Optional, &[&[Field("file_id", Required, Text)], CACHED]),
    Variant("advisor_tool_result", Beta, &[SERVER_RESULT, SERVER, CACHED]),
    Variant("mcp_tool_use", Beta, &[CALL, &[Field("server_name", Required, Text)], CACHED]),
    Variant("mcp_tool_result", Beta, &[MCP_RESULT, CACHED]),
    Variant(
        "mcp_tool_listing",
        Beta,
        &[&[Field("mcp_server_name", Required, Text), Field("tools", Required, List(&Anything))]],
    ),
    Variant("compaction", Beta, &[COMPACTION, CACHED]),
    Variant("tool_addition", Beta, &[TOOL_CHANGE, CACHED]),
    Variant("tool_removal", Beta, &[TOOL_CHANGE, CACHED]),
    Variant(
        "fallback",
        Beta,
        &[&[
            Field("from", Required, Dictionary),
            Field("to", Required, Dictionary),
            Field("trigger", Optional, Anything),
        ]],
    ),
];

const TEXT: &[Field] =
    &[Field("text", Required, Text), Field("citations", Optional, List(&Tagged(LOCATIONS)))];

const LOCATIONS: &[Variant] = &[
    Variant(
        "char_location",
        Optional,
        &[
            CITED_DOCUMENT,
            &[
                Field("start_char_index", Required, Integer(0)),
                Field("end_char_index", Required, Integer(0)),
            ],
        ],
    ),
    Variant(
        "page_location",
        Optional,
        &[
            CITED_DOCUMENT,
            &[
                Field("start_page_number", Required, Integer(1)),
                Field("end_page_number", Required, Integer(1)),
            ],
        ],
    ),
    Variant("content_block_location", Optional, &[CITED_DOCUMENT, CITED_BLOCKS]),
    Variant(
        "web_search_result_location",
        Optional,
        &[&[
            Field("cited_text", Required, Text),
            Field("encrypted_index", Required, Text),
            Field("title", Optional, Text),
            Field("url", Required, Text),
        ]],
    ),
    Variant(
        "search_result_location",
        Optional,
        &[
            &[
                Field("cited_text", Required, Text),
                Field("search_result_index", Required, Integer(0)),
                Field("source", Required, Text),
                Field("title", Optional, Text),
            ],
            CITED_BLOCKS,
        ],
    ),
];

const CITED_DOCUMENT: &[Field] = &[
    Field("cited_text", Required, Text),
    Field("document_index", Required, Integer(0)),
    Field("document_title", Optional, Text),
    // Answers carry it, and are sent back as they are.
    Field("file_id", Optional, Text),
];

const CITED_BLOCKS: &[Field] = &[
    Field("start_block_index", Required, Integer(0)),
    Field("end_block_index", Required, Integer(0)),
];

const URL: Variant = Variant("url", Optional, &[&[Field("url", Required, Text)]]);

const FILE: Variant = Variant("file", Optional, &[&[Field("file_id", Required, Text)]]);

const IMAGE: &[Field] = &[
    Field(
        "source",
        Required,
        Tagged(&[
            Variant(
                "base64",
                Optional,
                &[&[
                    Field("data", Required, Text),
                    Field(
                        "media_type",
                        Required,
                        Word(&["image/jpeg", "image/png", "image/gif", "image/webp"]),
                    ),
                ]],
            ),
            URL,
            FILE,
        ]),
    ),
    Field(
        "transformations",
        Optional,
        Record(&[&[Field("oversized_image", Optional, Word(&["downsize", "error"]))]]),
    ),
];

const DOCUMENT: &[Field] = &[
    Field(
        "source",
        Required,
        Tagged(&[
            Variant(
                "base64",
                Optional,
                &[&[
                    Field("data", Required, Text),
                    Field("media_type", Required, Word(&["application/pdf"])),
                ]],
            ),
            Variant(
                "text",
                Optional,
                &[&[
                    Field("data", Required, Text),
                    Field("media_type", Required, Word(&["text/plain"])),
                ]],
            ),
            Variant("content", Optional, &[&[Field("content", Required, DOCUMENT_CONTENT)]]),
            URL,
            FILE,
        ]),
    ),
    Field("citations", Optional, CITATIONS),
    Field("context", Optional, Text),
    Field("title", Optional, Text),
];

const DOCUMENT_CONTENT: Kind = Either(&[
    Text,
    List(&Tagged(&[
        Variant("text", Optional, &[TEXT, CACHED]),
        Variant("image", Optional, &[IMAGE, CACHED]),
    ])),
]);

const SEARCH_RESULT: &[Field] = &[
    Field("content", Required, List(&ONLY_TEXT)),
    Field("source", Required, Text),
    Field("title", Required, Text),
    Field("citations", Optional, CITATIONS),
];

const ID: Kind = Token(usize::MAX);

/// A longer name is refused even if nothing is called by it.
const CALLED: Kind = Length(1, 200);

const CALL: &[Field] = &[
    Field("id", Required, ID),
    Field("input", Required, Dictionary),
    Field("name", Required, CALLED),
];

const TOOLSET: &[Field] =
    &[Field("caller", Optional, Dictionary), Field("toolset_name", Optional, Text)];

const RESULT: &[Field] = &[
    Field("tool_use_id", Required, ID),
    Field("content", Optional, RESULT_CONTENT),
    Field("is_error", Optional, Boolean),
];

const RESULT_CONTENT: Kind = Either(&[
    Text,
    List(&Tagged(&[
        Variant("text", Optional, &[TEXT, CACHED]),
        Variant("image", Optional, &[IMAGE, CACHED]),
        Variant("search_result", Optional, &[SEARCH_RESULT, CACHED]),
        Variant("document", Optional, &[DOCUMENT, CACHED]),
        Variant("tool_reference", Optional, &[&[Field("tool_name", Required, Text)], CACHED]),
        Variant(
            "browser_state",
            Optional,
            &[
                &[
                    Field("tabs", Required, List(&Dictionary)),
                    Field("state_changes", Optional, List(&Dictionary)),
                ],
                CACHED,
            ],
        ),
    ])),
]);

const SERVER: &[Field] =
    &[Field("tool_use_id", Required, ID), Field("caller", Optional, Dictionary)];

const SERVER_CALL: &[Field] = &[
    Field("id", Required, ID),
    Field("input", Required, Dictionary),
    Field(
        "name",
        Required,
        Word(&[
            "web_search",
            "web_fetch",
            "code_execution",
            "bash_code_execution",
            "text_editor_code_execution",
            "tool_search_tool_regex",
            "tool_search_tool_bm25",
            "advisor",
        ]),
    ),
    Field("caller", Optional, Dictionary),
];

/// Written by the API's own tools and sent back: only their frame is looked at.
const SERVER_RESULT: &[Field] = &[Field("content", Required, Dictionary)];

const MCP_RESULT: &[Field] = &[
    Field("tool_use_id", Required, ID),
    Field("content", Optional, TEXTS),
    Field("is_error", Optional, Boolean),
];

const COMPACTION: &[Field] = &[
    Field("content", Optional, Text),
    Field("encrypted_content", Optional, Text),
    Field("signature", Optional, Text),
    Field("tool_changes", Optional, List(&Dictionary)),
];

const TOOL_CHANGE: &[Field] = &[Field("tool", Required, Dictionary)];
