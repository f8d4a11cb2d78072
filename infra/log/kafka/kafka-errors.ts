import { AttestreamError, type ErrorPlace } from '../../../schemas/errors.js';

/** The protocol's name of an error (`NOT_LEADER_FOR_PARTITION`), wherever the client has wrapped it. */
export const protocolError = (error: unknown): string | null => {
  let current: unknown = error;
  for (let depth = 0; depth < 8 && typeof current === 'object' && current !== null; depth++) {
    const { type, cause, originalError } = current as { type?: unknown; cause?: unknown; originalError?: unknown };
    if (typeof type === 'string' && type !== '' && type !== 'system') return type;
    current = cause ?? originalError;
  }
  return null;
};

/** Another producer with the same transactional id was initialised later: ours may never commit again. */
const FENCED = new Set([
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_ID_MAPPING',
  'UNKNOWN_PRODUCER_ID',
]);
export const isFenced = (error: unknown): boolean => FENCED.has(protocolError(error) ?? '');

/** The coordinator or leader has moved, or is not done with what was asked before: ask again soon. */
const PASSING = new Set([
  'BROKER_NOT_AVAILABLE',
  'CONCURRENT_TRANSACTIONS',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'GROUP_LOAD_IN_PROGRESS',
  'KAFKA_STORAGE_ERROR',
  'LEADER_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'NOT_CONTROLLER',
  'NOT_COORDINATOR',
  'NOT_COORDINATOR_FOR_GROUP',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'NOT_LEADER_FOR_PARTITION',
  'OFFSET_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'REQUEST_TIMED_OUT',
  'UNKNOWN_LEADER_EPOCH',
  // A broker that has just become leader may not know the topic yet; whether it exists is asked beforehand.
  'UNKNOWN_TOPIC_OR_PARTITION',
]);

const CONNECTION =
  /^KafkaJS(Connection|ConnectionClosed|RequestTimeout|BrokerNotFound|LockTimeout|TopicMetadataNotLoaded|MetadataNotLoaded|GroupCoordinatorNotFound)/;

/** True for what goes away by itself as a rule. */
export const isPassing = (error: unknown): boolean => {
  const type = protocolError(error);
  if (type !== null) return PASSING.has(type);
  let current: unknown = error;
  for (let depth = 0; depth < 8 && typeof current === 'object' && current !== null; depth++) {
    const { name, code, cause } = current as { name?: unknown; code?: unknown; cause?: unknown };
    if (typeof name === 'string' && CONNECTION.test(name)) return true;
    if (typeof code === 'string' && /^E(CONN|PIPE|HOST|NET|TIMEDOUT)/.test(code)) return true;
    current = cause;
  }
  return false;
};

/** A failure of the client as one of ours. */
export const kafkaError = (error: unknown, doing: string, place: ErrorPlace = {}): AttestreamError => {
  if (error instanceof AttestreamError) return error;
  const { message } = error as Error;
  const code = isPassing(error) ? 'KAFKA_UNREACHABLE' : 'KAFKA_REFUSED';
  return new AttestreamError(code, `${doing}: ${message}`, place, { cause: error });
};
