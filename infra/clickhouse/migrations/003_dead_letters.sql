-- Bytes that could not be processed; `source_…` says where they lay.
CREATE TABLE dead_letters
(
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64 CODEC(DoubleDelta, ZSTD),
    ordinal UInt32,
    row UInt64 CODEC(DoubleDelta, ZSTD),
    ingested_at DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD),
    source_topic LowCardinality(String),
    source_partition Int32,
    source_offset Int64,
    source_end Int64,
    code LowCardinality(String),
    message String CODEC(ZSTD),
    timestamp Int64 CODEC(DoubleDelta, ZSTD),
    key Nullable(String),
    value Nullable(String) CODEC(ZSTD),
    schema Nullable(String)
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (source_topic, source_partition, source_offset)
TTL toDateTime(ingested_at) + toIntervalDay(365)
SETTINGS non_replicated_deduplication_window = 10000;
