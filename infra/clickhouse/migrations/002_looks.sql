-- What was seen of each thread at each look; columns after the coordinates in the order of the record's fields.
CREATE TABLE looks
(
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64 CODEC(DoubleDelta, ZSTD),
    ordinal UInt32,
    row UInt64 CODEC(DoubleDelta, ZSTD),
    ingested_at DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD),
    host LowCardinality(String),
    stream FixedString(32),
    seq Int64 CODEC(DoubleDelta, ZSTD),
    at DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD),
    not_before DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD),
    process String,
    tid Int64,
    thread LowCardinality(String),
    thread_at DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD),
    outcome LowCardinality(String),
    run_time Int64,
    slices Int64,
    complete Bool,
    as_before Bool,
    syscall Nullable(Int64),
    frames Array(Tuple(function LowCardinality(String), alternatives Array(String), found_by LowCardinality(String), address Int64, return_address Int64,
        parameters Array(Tuple(name LowCardinality(String), type Enum8('unknown' = 0, 'int' = 1, 'uint' = 2, 'double' = 3, 'bool' = 4, 'string' = 5, 'enum' = 6, 'hash' = 7),
            kind Enum8('unavailable' = 0, 'entry' = 1, 'current' = 2), int Nullable(Int64), real Nullable(Float64), text Nullable(String))))),
    micros Int64,
    bytes_read Int64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (host, process, at, tid)
TTL toDateTime(ingested_at) + toIntervalDay(365)
SETTINGS non_replicated_deduplication_window = 10000;
