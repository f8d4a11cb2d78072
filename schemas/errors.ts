/**
 * Every failure that a user can meet has a code of this table; `docs/errors.md` lists them all (tested).
 * The text says what it means and what to do next.
 */
export const ERRORS = {
  USAGE:
    'The command line or a file named on it is not usable as given. The message names the argument and suggests a mend.',
  CONFIG_UNKNOWN_KEY: 'The configuration holds a key that is not known. The message suggests the nearest one.',
  CONFIG_INVALID: 'A setting is not of its kind, or the configuration file cannot be read. The message names which.',
  SYSTEM:
    'The operating system refused something: no space, no permission, no connection. The message has its own words.',
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

  POLICY_INVALID:
    'A policy document is not valid. The message names each place in it, what is wrong there, and what to write instead.',
  SELECTOR_INVALID:
    'The selector of an assignment cannot be read. Write host=…,image=…,binary=…,container=… with globs.',
  MACHINE_TOO_LARGE:
    'A policy machine has too many states or combinations of states to be compiled. Split it into several policies, or use slices.',
  MACHINE_UNBOUNDED:
    'One event of a policy machine may set off transitions without end. The message names the states: let the loop wait for an event.',

  ENROLMENT_UNPROVEN:
    'A record of an enrolment does not follow from those before it: no request, no challenge, a wrong secret, other keys or no approval. It is kept as a dead letter, and the host is not enrolled by it.',
  EVIDENCE_INVALID:
    'A bundle of evidence, or a file with the keys of a host, is not of the documented form. The message names the place in it.',
  EVIDENCE_IGNORED:
    'Evidence that says nothing for or against a host: late, a copy, for no tick that is known here, or of a host that nobody enrolled. It is kept as a dead letter.',

  VERDICT_NOT_FOUND:
    'No verdict has that id where it was looked for. `attestream verdicts` lists them; a replay names them too.',
  DEMO_INCOMPLETE: 'The demonstration ran, but did not show what it promises. The message says what was missing.',
  EVENT_TOO_LATE:
    'An event came later than its policy can still take into account. It is kept as a dead letter, and its process is judged from an unknown state on.',

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
  LOG_READ_ONLY: 'The log was opened for reading only, and this would write to it.',
  LOG_RANGE: 'The offset lies outside of what the log holds.',
  LEASE_LOST: 'Another processor owns this partition now; nothing of the refused commit became visible.',
  SNAPSHOT_FOREIGN:
    'A snapshot was made by another version of the fold or another machine. Reprocess from the start under a new name.',
  STATE_MISMATCH:
    'The folder given as --state holds another replay: other events, policies or range. Name an empty folder, or repeat the same command.',
  TOPIC_MISSING: 'A topic does not exist. Create it with `attestream topics create`.',
  TOPIC_REPARTITIONED:
    'A topic has another number of partitions than it was created with. Hosts would change partitions; stop and resize deliberately.',

  KAFKA_UNREACHABLE:
    'No broker of the cluster answered in time. Check the address, the listener and TLS or SASL settings, and that the cluster runs.',
  KAFKA_UNSUPPORTED:
    'The brokers lack a protocol version that is needed, or the client library is not the one expected. The message names what is missing.',
  KAFKA_REFUSED: 'The brokers refused a request (authorisation, size, configuration). The message holds their reason.',
  REGISTRY_UNREACHABLE:
    'The schema registry did not answer in time. Check the address given with --registry and that it runs.',
  REGISTRY_REFUSED:
    'The schema registry refused a request: an incompatible schema, another compatibility level, or missing rights.',
  LOCAL_PART_FAILED:
    'A program that was to be started on this machine did not start. The message holds the end of its log.',

  IMPORT_EMPTY:
    'The file to be imported holds no row. Check that it is the right one and that it was written to its end.',
  IMPORT_FORMAT:
    'The file to be imported is of another format than it was read as, or none of its rows could be used. Name the format in the map.',
  IMPORT_MAP: 'The import map is not usable. The message names the place in it and suggests a mend.',
  IMPORT_EXISTS:
    'The log already holds records of this file under this stream name. Import into an empty folder, or name another stream with --stream.',
  IMPORT_HOSTS:
    'The file names more hosts than are kept track of. Name a coarser host column in the map, or split the file.',
  IMPORT_ROW:
    'A row of an imported file is not usable: ragged, not JSON, too long, or without a name. It is kept as a dead letter.',
  IMPORT_TIME: 'A time in an imported file cannot be read as the map says. The row is kept as a dead letter.',
  IMPORT_VALUE:
    'A parameter in an imported file is nested or not of its type. The map says by `unknown` what becomes of the row.',
  IMPORT_ENCODING:
    'A row of an imported file is not in the encoding of the file, or holds NUL. It is kept as a dead letter.',

  EMBEDDED_MISSING:
    'The embedded ClickHouse is not installed. Run `npm i chdb ffi-rs`, or name a server by its http(s) address.',
  EMBEDDED_BUSY: 'Another process holds the folder of the embedded ClickHouse but serves no queries. Stop it or wait.',
  EMBEDDED_NEWER: 'The folder was written by a newer embedded ClickHouse. Install that version or use another folder.',
  EMBEDDED_FAILED: 'The embedded ClickHouse did not start. The message shows the end of its log.',
  EMBEDDED_DISK_LOW:
    'Less than 512 MB of disk are left for the embedded ClickHouse: nothing is inserted until there is room.',
  CLICKHOUSE_UNREACHABLE: 'The ClickHouse server does not answer at the address given.',
  CLICKHOUSE_REFUSED: 'The ClickHouse server refused the login or a statement. The message holds its answer.',
  MIGRATION_CHANGED:
    'A migration that was already applied to this database has another text now. Use the version of attestream that applied it.',
  MIGRATION_NEWER: 'The database has migrations that this version does not know. Use the newer version of attestream.',
  ROW_REFUSED: 'ClickHouse refused a row as data. It is kept as a dead letter and leaves no hole in the numbering.',
  SINK_DIVERGED:
    'A chunk of rows that was cut off half-way cannot be repeated as it was. Run `attestream db audit` and see the message.',

  TPM_UNREACHABLE:
    'No TPM answers at the address given, or not in time. Check the device file or the socket, and the permissions.',
  TPM_COMMAND_FAILED: 'The TPM refused a command. The message has its response code by name and what it means.',
  TPM_BLOB_INVALID:
    'Bytes that should be a TPM structure (attestation, public area, signature, selection, credential) are not one. The message names the field.',

  CERTIFICATE_INVALID:
    'A certificate cannot be read: not X.509, too large, or with a key of no usable kind. Name a file in PEM or DER.',
  ENROL_REFUSED: 'A verifier refused to enrol this host. The message holds its reason.',
  ENROL_TIMEOUT:
    'No verifier answered in time. Is a controller running on this log, and is its key among those given with --trust?',
  HOST_UNKNOWN: 'The log knows no such host. `attestream host list` shows those that it knows.',

  TCG_INVALID:
    'A firmware event log does not hold together: a length, an algorithm or a PCR in it cannot be. The message names the byte.',
  IMA_INVALID:
    'A measurement list of IMA, or a record in it, does not hold together: a length, a name or a field is not as the kernel writes it. The message names the place.',

  ENGINE_UNREACHABLE:
    'The container engine did not answer. Check --docker-host, DOCKER_HOST or DOCKER_CONTEXT, and that this user may ask it.',
  CONTAINER_NOT_FOUND:
    'No running container has that name or an id that begins so, or several have. Give its name or more of its id.',
  CAPTURE_INVALID:
    'The folder given with --from is no capture of a process, or one of its files is missing, of another shape or beyond all bounds.',
  CAPTURE_EXISTS:
    'The folder given with --save already holds something. Evidence is never written over: name a new folder.',
  PROCESS_GONE: 'There is no such process (any more). Check the process id.',
  PROCESS_KERNEL_THREAD: 'The process is a thread of the kernel: it runs no program that could be looked at.',
  PROCESS_DENIED:
    'The process may not be looked at. Run as root, or as the user of the process where ptrace is allowed (CAP_SYS_PTRACE).',
  PROCESS_UNSUPPORTED:
    'The program is of a kind that cannot be looked at: not 64-bit x86, or the kernel does not tell where its threads stand.',
  PROCESS_START_FAILED: 'The program could not be started. Check its path and permissions.',
  ELF_INVALID: 'A program file does not hold together as ELF. Its functions have no names then.',
  DWARF_INVALID:
    'The debug information of a program file is damaged or too large. Its parameters are unavailable then.',
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
