-- Calls of the gateway, as they ended.
CREATE TABLE gateway_calls (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    model TEXT NOT NULL,
    model_served TEXT NOT NULL,
    profile TEXT NOT NULL,
    outcome TEXT NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    web_searches INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    simulated INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL
) STRICT;

-- For the costs since a time. It grows at its end, as calls are booked about when they began.
CREATE INDEX gateway_calls_in_time ON gateway_calls (started_at);

-- The costs of these calls by client key and the day they ended on, kept in the same transaction,
-- so that budgets need not add up millions of calls.
CREATE TABLE gateway_spent (
    simulated INTEGER NOT NULL,
    key TEXT NOT NULL,
    -- Days since 1970 UTC.
    day INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    PRIMARY KEY (simulated, key, day)
) STRICT, WITHOUT ROWID;

-- Message batches made through the gateway. Until one is settled, its bound is held for it.
CREATE TABLE gateway_batches (
    -- In the order in which they were made.
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    profile TEXT NOT NULL,
    simulated INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    settled INTEGER NOT NULL,
    object TEXT NOT NULL
) STRICT;

CREATE INDEX gateway_batches_of_key ON gateway_batches (key, simulated, seq);
-- Small, as batches end within a day.
CREATE INDEX gateway_batches_unsettled ON gateway_batches (simulated, seq) WHERE settled = 0;
