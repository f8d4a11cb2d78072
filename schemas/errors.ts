/**
 * Every failure that a user can meet has a code of this table; `docs/errors.md` lists them all (tested).
 * The text says what it means and what to do next.
 */
export const ERRORS = {
  USAGE:
    'The command line or a file named on it is not usable as given. The message names the argument and suggests a mend.',
  CONFIG_UNKNOWN_KEY: 'The configuration holds a key that is not known. The message suggests the nearest one.',
  INTERNAL: 'A defect of attestream. Please report it with the message and the stack.',

  SCHEMA_INVALID:
    'An Avro schema could not be parsed or is of a kind that is refused (zero-width items, excessive size).',
  SCHEMA_UNKNOWN:
    'A record names a writer schema that neither the trace nor the registry knows. It is kept as a dead letter.',
  SCHEMA_INCOMPATIBLE: 'A record was written with a schema that cannot be read as the one this version knows.',
  RECORD_INVALID: 'The bytes of a record do not decode by their own schema. The record is kept as a dead letter.',
  RECORD_UNEXPECTED: 'A record of a type that does not belong into this topic. It is kept as a dead letter.',
  RECORD_UNSIGNED:
    'A controller record has no valid signature by a pinned key, or its number does not increase. It is not acted on.',
  HOST_KEY_MISSING: 'A record has no key, so that no host can be told. It is kept as a dead letter.',
  TIME_OUT_OF_RANGE:
    'An event time lies outside of the representable or the plausible range. The record is kept as a dead letter.',

  TRACE_NOT_FOUND: 'The folder is not a trace: it does not exist or holds no TOPIC/PARTITION/*.avro files.',
  TRACE_FOREIGN:
    'A file in the trace is not an Avro object container file of attestream, or of a newer format version.',
  TRACE_CORRUPT:
    'A block inside a trace file is damaged. It is skipped to the next sync marker and reported as offsets [a, b).',
  TRACE_TORN:
    'The last block of a trace file is incomplete: its writer was interrupted. The tail is cut off and counted.',
  LOG_LOCKED: 'Another process holds the lock of this partition. Stop it, or wait until it ends.',
  LOG_CLOSED: 'The log was closed while it was in use.',
  LOG_UNSUPPORTED: 'The log URI names no known kind of log. Use kafka://HOST:PORT[,HOST:PORT] or a folder.',
  LOG_RANGE: 'The offset lies outside of what the log holds.',
  LEASE_LOST: 'Another processor owns this partition now; nothing of the refused commit became visible.',
  SNAPSHOT_FOREIGN:
    'A snapshot was made by another version of the fold or another machine. Reprocess from the start under a new name.',
  TOPIC_MISSING: 'A topic does not exist. Create it with `attestream topics create`.',
  TOPIC_REPARTITIONED:
    'A topic has another number of partitions than it was created with. Hosts would change partitions; stop and resize deliberately.',
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** Where in the input an error lies; any part may be absent. */
export interface ErrorPlace {
  /** File, topic/partition@offset or document path. */
  readonly path?: string;
  /** Byte offset or column in what `path` names. */
  readonly offset?: number;
}

/** A failure with a stable code. `message` says what happened, to what, and what to do next. */
export class AttestreamError extends Error {
  override readonly name = 'AttestreamError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly place: ErrorPlace = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** True for an error of ours, with that code if one is given. */
export const isAttestreamError = (error: unknown, code?: ErrorCode): error is AttestreamError =>
  error instanceof AttestreamError && (code === undefined || error.code === code);
