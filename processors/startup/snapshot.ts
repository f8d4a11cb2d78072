import { decodeRecord, encodeRecord } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';
import { ImaReplay } from '../../schemas/ima/replay.js';
import type { HostState, Waiting } from './host-state.js';

const VERSION = 1;

/** What JSON cannot hold, by a tag of its own: bytes, maps, sets, big integers. */
const pack = (value: unknown): unknown => {
  if (Buffer.isBuffer(value)) return { $b: value.toString('base64') };
  if (typeof value === 'bigint') return { $n: value.toString() };
  if (value instanceof Map) return { $m: [...value].map(([key, held]) => [key, pack(held)]) };
  if (value instanceof Set) return { $s: [...value] };
  if (value instanceof ImaReplay) return { $r: value.encode().toString('utf8') };
  if (value === Number.POSITIVE_INFINITY) return { $i: 1 };
  if (Array.isArray(value)) return value.map(pack);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, pack(held)]));
  return value;
};

const unpack = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(unpack);
  if (typeof value !== 'object' || value === null) return value;
  const tagged = value as Readonly<Record<string, unknown>>;
  if ('$b' in tagged) return Buffer.from(tagged['$b'] as string, 'base64');
  if ('$n' in tagged) return BigInt(tagged['$n'] as string);
  if ('$m' in tagged) return new Map((tagged['$m'] as [unknown, unknown][]).map(([key, held]) => [key, unpack(held)]));
  if ('$s' in tagged) return new Set(tagged['$s'] as unknown[]);
  if ('$r' in tagged) return ImaReplay.decode(Buffer.from(tagged['$r'] as string, 'utf8'));
  if ('$i' in tagged) return Number.POSITIVE_INFINITY;
  return Object.fromEntries(Object.entries(tagged).map(([name, held]) => [name, unpack(held)]));
};

/** An evidence that waits goes as its Avro body; keys are parsed anew. */
export const encodeHost = (state: HostState): Buffer => {
  const { keys: _, waiting, ...rest } = state;
  const held =
    waiting === null ? null : { ...waiting, evidence: encodeRecord('Evidence', waiting.evidence).toString('base64') };
  return Buffer.from(JSON.stringify({ version: VERSION, ...(pack({ ...rest, waiting: held }) as object) }));
};

type Packed = Omit<HostState, 'keys' | 'waiting'> & {
  readonly version: number;
  readonly waiting: (Omit<Waiting, 'evidence'> & { readonly evidence: string }) | null;
};

/** Throws SNAPSHOT_FOREIGN. */
export const decodeHost = (host: string, bytes: Buffer): HostState => {
  let packed: Packed;
  try {
    packed = unpack(JSON.parse(bytes.toString('utf8'))) as Packed;
  } catch (cause) {
    throw new AttestreamError('SNAPSHOT_FOREIGN', `the snapshot of host ${host} cannot be read`, {}, { cause });
  }
  const { version, waiting, ...rest } = packed;
  if (version !== VERSION)
    throw new AttestreamError('SNAPSHOT_FOREIGN', `a snapshot of version ${version} is not one of version ${VERSION}`);
  return {
    ...rest,
    host,
    keys: new Map(),
    waiting:
      waiting === null
        ? null
        : { ...waiting, evidence: decodeRecord('Evidence', Buffer.from(waiting.evidence, 'base64')) },
  };
};
