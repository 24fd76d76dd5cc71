-- Marks the file as a journal ("polp"), so that no other database is taken for one.
PRAGMA application_id = 1886350448;

-- Times are milliseconds since 1970 UTC, money is nanodollars: integers, so that sums are exact.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    results_path TEXT NOT NULL UNIQUE,
    tasks_path TEXT NOT NULL,
    simulated INTEGER NOT NULL,
    holder_pid INTEGER NOT NULL,
    holder_since INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    appended_seq INTEGER NOT NULL DEFAULT 0,
    appended_bytes INTEGER NOT NULL DEFAULT 0,
    rewrite_pending INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A call without an outcome is in flight, or was when its process died.
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id),
    task TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    profile TEXT NOT NULL,
    reserved INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    outcome TEXT,
    model_served TEXT,
    input INTEGER NOT NULL DEFAULT 0,
    output INTEGER NOT NULL DEFAULT 0,
    cache_read INTEGER NOT NULL DEFAULT 0,
    cache_write_5m INTEGER NOT NULL DEFAULT 0,
    cache_write_1h INTEGER NOT NULL DEFAULT 0,
    web_searches INTEGER NOT NULL DEFAULT 0,
    cost INTEGER NOT NULL DEFAULT 0,
    priced INTEGER NOT NULL DEFAULT 1,
    ended_at INTEGER
) STRICT;

CREATE INDEX calls_of_task ON calls (run, task, id);
-- Small, as it holds what is in flight and nothing else.
CREATE INDEX calls_in_flight ON calls (run) WHERE outcome IS NULL;

-- The line is the last column, so that nobody reads over it to get at the others.
CREATE TABLE results (
    seq INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id),
    custom_id TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    profile TEXT NOT NULL,
    metadata TEXT,
    -- The latest call of the task at the commit: later ones are not in this result's costs.
    last_call INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    line TEXT NOT NULL,
    UNIQUE (run, custom_id)
) STRICT;

CREATE INDEX results_in_order ON results (run, seq);
