import { decodeRecord, encodeRecord } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';
import type { ImaRecord } from '../../schemas/ima/entry.js';
import { ImaReplay } from '../../schemas/ima/replay.js';
import { HeadWindow } from '../engine/head-window.js';
import type { HostState, StreamState, Waiting } from './host-state.js';
import type { BootLists } from './lists/boot-lists.js';
import type { KernelList } from './lists/kernel-list.js';
import { RecordTail } from './lists/record-tail.js';
import { noHeads } from './streams.js';

const VERSION = 1;

/** What JSON cannot hold, by a tag of its own: bytes, maps, sets, big integers. */
const pack = (value: unknown): unknown => {
  if (Buffer.isBuffer(value)) return { $b: value.toString('base64') };
  if (typeof value === 'bigint') return { $n: value.toString() };
  if (value instanceof HeadWindow || value instanceof RecordTail)
    return pack(new Map<number, unknown>(value.entries()));
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
  if ('$r' in tagged) return ImaReplay.decode(Buffer.from(tagged['$r'] as string, 'utf8'), false);
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

type PackedStream = Omit<StreamState, 'heads'> & { readonly heads: ReadonlyMap<number, Buffer> };

const streamOf = (packed: PackedStream): StreamState => {
  const heads = noHeads();
  for (const [seq, head] of packed.heads) heads.add(seq, head);
  return { ...packed, heads };
};

type PackedLists = Omit<BootLists, 'kernel'> & {
  readonly kernel: Omit<KernelList, 'tail'> & { readonly tail: ReadonlyMap<number, ImaRecord> };
};

const listsOf = (packed: PackedLists): BootLists => {
  const tail = new RecordTail();
  for (const [index, record] of packed.kernel.tail) tail.set(index, record);
  return { ...packed, kernel: { ...packed.kernel, tail } };
};

const mapped = <P, T>(map: ReadonlyMap<string, P>, of: (packed: P) => T): Map<string, T> =>
  new Map([...map].map(([key, packed]) => [key, of(packed)]));

type Packed = Omit<HostState, 'keys' | 'waiting' | 'streams' | 'boots'> & {
  readonly version: number;
  readonly streams: ReadonlyMap<string, PackedStream>;
  readonly boots: ReadonlyMap<string, PackedLists>;
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
  const { version, ...rest } = packed;
  const { waiting, streams, boots } = rest;
  if (version !== VERSION)
    throw new AttestreamError('SNAPSHOT_FOREIGN', `a snapshot of version ${version} is not one of version ${VERSION}`);
  return {
    ...rest,
    // In the order in which they stood: the same state is to give the same bytes.
    host,
    streams: mapped(streams, streamOf),
    boots: mapped(boots, listsOf),
    keys: new Map(),
    waiting:
      waiting === null
        ? null
        : { ...waiting, evidence: decodeRecord('Evidence', Buffer.from(waiting.evidence, 'base64')) },
  };
};
