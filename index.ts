/** The library face of attestream: the contract's types and what reads and writes its records. The commands are `attestream --help`. */
export type { Batch, Bounds, Entry, EventLog, Lease, Partition } from './infra/log/event-log.js';
export { memoryLog } from './infra/log/memory-log.js';
export { openTrace } from './infra/log/trace/trace-log.js';
export { decodeRecord, encodeRecord, SCHEMAS, SchemaTable } from './schemas/codec.js';
export { AttestreamError, ERRORS, type ErrorCode, isAttestreamError } from './schemas/errors.js';
export type * from './schemas/records.js';
export { taggedHash } from './schemas/tagged-hash.js';
export { partitionOf, TOPICS } from './schemas/topics.js';
