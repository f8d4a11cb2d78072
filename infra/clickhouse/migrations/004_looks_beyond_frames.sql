-- What a look tells beside live frames: arguments of the system call, calls that have returned, why it was made when, and watched globals.
ALTER TABLE looks
    ADD COLUMN arguments Array(Tuple(name LowCardinality(String), type Enum8('unknown' = 0, 'int' = 1, 'uint' = 2, 'double' = 3, 'bool' = 4, 'string' = 5, 'enum' = 6, 'hash' = 7),
        kind Enum8('unavailable' = 0, 'entry' = 1, 'current' = 2), int Nullable(Int64), real Nullable(Float64), text Nullable(String))) AFTER frames,
    ADD COLUMN residue Array(Tuple(function LowCardinality(String), alternatives Array(String), found_by LowCardinality(String), address Int64, return_address Int64,
        parameters Array(Tuple(name LowCardinality(String), type Enum8('unknown' = 0, 'int' = 1, 'uint' = 2, 'double' = 3, 'bool' = 4, 'string' = 5, 'enum' = 6, 'hash' = 7),
            kind Enum8('unavailable' = 0, 'entry' = 1, 'current' = 2), int Nullable(Int64), real Nullable(Float64), text Nullable(String))))) AFTER arguments,
    ADD COLUMN planned LowCardinality(String) AFTER bytes_read,
    ADD COLUMN due Nullable(DateTime64(6, 'UTC')) AFTER planned,
    ADD COLUMN stopped Bool AFTER due,
    ADD COLUMN globals Array(Tuple(name LowCardinality(String), type Enum8('unknown' = 0, 'int' = 1, 'uint' = 2, 'double' = 3, 'bool' = 4, 'string' = 5, 'enum' = 6, 'hash' = 7),
        kind Enum8('unavailable' = 0, 'entry' = 1, 'current' = 2), int Nullable(Int64), real Nullable(Float64), text Nullable(String))) AFTER stopped;
