import { createHash } from 'node:crypto';
import { ImaListReader } from '../schemas/ima/list-reader.js';
import type { RecordSpan } from '../schemas/ima/record-span.js';
import { ImaReplay, type ReplayOptions } from '../schemas/ima/replay.js';
import { replayWithKeylime } from './peer-keylime.js';

interface Result {
  readonly name: string;
  readonly figure: number;
  readonly unit: string;
  readonly baseline?: number | string;
  readonly ratio?: number;
}

const ENTRIES = 50_000;
/** As a reader of the kernel's file gets it. */
const CHUNK = 64 * 1024;

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** A list of template ima-ng with names as long as those of a distribution's files, in binary and as text. */
const makeList = (): { readonly binary: Buffer; readonly text: string } => {
  const records: Buffer[] = [];
  const lines: string[] = [];
  for (let i = 0; i < ENTRIES; i++) {
    const name = `/usr/lib/x86_64-linux-gnu/${i % 3 === 0 ? 'perl-base/unicore/' : ''}lib${i}.so.${i % 7}`;
    const digest = createHash('sha256').update(name).digest();
    const fields = [Buffer.concat([Buffer.from('sha256:\0'), digest]), Buffer.from(`${name}\0`)];
    const data = Buffer.concat(fields.flatMap((field) => [u32(field.length), field]));
    const hash = createHash('sha1').update(data).digest();
    records.push(u32(10), hash, u32(6), Buffer.from('ima-ng'), u32(data.length), data);
    lines.push(`10 ${hash.toString('hex')} ima-ng sha256:${digest.toString('hex')} ${name}\n`);
  }
  return { binary: Buffer.concat(records), text: lines.join('') };
};

const read = (list: Buffer, take: (span: RecordSpan) => void): void => {
  const reader = new ImaListReader();
  for (let at = 0; at < list.length; at += CHUNK) reader.push(list.subarray(at, at + CHUNK), take);
  reader.end(take);
};

const replayed = (list: Buffer, options: ReplayOptions): ImaReplay => {
  const replay = new ImaReplay(options);
  read(list, (span) => replay.extendSpan(span));
  return replay;
};

/** The same through Node's `crypto` alone: two hashes of the data and two extends for each record. */
const replayedByNode = (list: Buffer): string => {
  const pcrs = { sha1: Buffer.alloc(20), sha256: Buffer.alloc(32) };
  read(list, ({ bytes, dataStart, dataEnd }) => {
    const data = bytes.subarray(dataStart, dataEnd);
    for (const bank of ['sha1', 'sha256'] as const)
      pcrs[bank] = createHash(bank).update(pcrs[bank]).update(createHash(bank).update(data).digest()).digest();
  });
  return pcrs.sha256.toString('hex');
};

const processorSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Millions of entries a second of the processor: the best of several runs, as other work shares the machine. */
const rate = (work: () => void, runs: number): number => {
  work();
  let best = 0;
  for (let run = 0; run < runs; run++) {
    const begun = processorSeconds();
    work();
    best = Math.max(best, ENTRIES / (processorSeconds() - begun) / 1e6);
  }
  return best;
};

/** A measurement list of 50,000 entries, read and replayed; beside it Keylime's own function on the same list, and Node's hashes. */
export const bench = async (): Promise<Result[]> => {
  const { binary, text } = makeList();
  const two: ReplayOptions = { banks: ['sha1', 'sha256'], modes: { sha256: 'per-bank' } };
  const value = replayed(binary, two).value('sha256', 'per-bank', 10)!.toString('hex');
  if (replayedByNode(binary) !== value) throw new Error('two ways to replay a list differ');
  const ours = rate(() => replayed(binary, two).values(), 10);
  const all = rate(() => replayed(binary, {}).values(), 4);
  const node = rate(() => replayedByNode(binary), 3);
  const keylime = await replayWithKeylime(text, 'sha256');
  if ('value' in keylime && keylime.value !== value) throw new Error('Keylime comes to another PCR');
  return [
    {
      name: 'list replay, sha1 and sha256, beside Keylime (sha256)',
      figure: ours,
      unit: 'M entries/s',
      ...('missing' in keylime
        ? { baseline: `skipped: ${keylime.missing}` }
        : { baseline: keylime.rate / 1e6, ratio: (ours * 1e6) / keylime.rate }),
    },
    {
      name: "the same, beside Node's createHash",
      figure: ours,
      unit: 'M entries/s',
      baseline: node,
      ratio: ours / node,
    },
    { name: 'all four banks, both modes each', figure: all, unit: 'M entries/s' },
  ];
};
