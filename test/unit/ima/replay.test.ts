import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { bootAggregateOf, checkBootAggregate } from '../../../schemas/ima/boot-aggregate.js';
import { imaEntry } from '../../../schemas/ima/entry.js';
import { readImaList } from '../../../schemas/ima/list-reader.js';
import { ImaPrefixSearch, type QuotedPcr } from '../../../schemas/ima/prefix-search.js';
import { ImaReplay } from '../../../schemas/ima/replay.js';
import { BANK_BYTES, IMA_BANKS, type ImaBank } from '../../../schemas/ima/template-hash.js';
import { ngRecord } from '../../support/ima-records.js';
import { pcrVector, vector, vectorNames } from '../../support/vectors.js';

const hash = (bank: string, ...parts: Buffer[]): Buffer => {
  const made = createHash(bank);
  for (const part of parts) made.update(part);
  return made.digest();
};

const quotedOf = (name: string): QuotedPcr[] =>
  pcrVector(`ima/${name}/pcrs.txt.gz`)
    .filter(({ pcr }) => pcr === 10)
    .map(({ bank, pcr, value }) => ({ bank: bank as ImaBank, pcr, value }));

describe.each(vectorNames('ima'))('what the kernel wrote: %s', (name) => {
  const files = vectorNames(`ima/${name}`).filter((file) => file.includes('runtime_measurements'));

  test.each(files)('%s explains PCR 10 in every bank', (file) => {
    const records = readImaList(vector(`ima/${name}/${file}`));
    const replay = new ImaReplay();
    const quoted = quotedOf(name);
    const search = new ImaPrefixSearch(replay, quoted);
    for (const read of records) search.extend(read);
    const match = search.match!;
    expect(match.count).toBe(records.length);
    const padded = name === 'linux-6.1' ? ['sha384', 'sha512'] : [];
    for (const { bank, pcr, value } of quoted) {
      const mode = padded.includes(bank) ? 'padded-sha1' : 'per-bank';
      expect(match.modes[bank]).toBe(mode);
      expect(match.replay.value(bank, mode, pcr)).toEqual(value);
    }
    expect(quoted.length).toBe(name === 'sha256-only-tpm' ? 1 : 4);
    expect(match.replay.badTemplateHashes).toBe(0);
    expect(match.replay.violations).toBe(records.filter((read) => imaEntry(read).violation).length);
  });

  test('its boot aggregate is that of the PCRs', () => {
    if (name === 'sha256-only-tpm') return;
    const first = imaEntry(readImaList(vector(`ima/${name}/binary_runtime_measurements.gz`))[0]!);
    const aggregate = bootAggregateOf(first)!;
    const pcrs = pcrVector(`ima/${name}/pcrs.txt.gz`);
    const value = (bank: string, pcr: number): Buffer | null =>
      pcrs.find((known) => known.bank === bank && known.pcr === pcr)?.value ?? null;
    expect(checkBootAggregate(aggregate, value)).toEqual({
      result: 'equal',
      lastPcr: aggregate.algorithm === 'sha1' ? 7 : 9,
    });
    const changed = (bank: string, pcr: number): Buffer | null => (pcr === 7 ? Buffer.alloc(20) : value(bank, pcr));
    expect(checkBootAggregate(aggregate, changed)).toEqual({ result: 'different' });
    expect(checkBootAggregate(aggregate, (bank, pcr) => (pcr === 3 ? null : value(bank, pcr)))).toEqual({
      result: 'unchecked',
    });
  });
});

/** The rules by themselves, to compare with: every bank, every way to fill it. */
const expected = (
  bank: ImaBank,
  fill: 'per-bank' | 'padded' | 'all-padded',
  records: ReturnType<typeof ngRecord>[],
): Buffer => {
  const bytes = BANK_BYTES[bank];
  let value: Buffer = Buffer.alloc(bytes);
  for (const { templateDigest, data } of records) {
    const violation = templateDigest.every((byte) => byte === 0);
    const full = Buffer.alloc(bytes, 0xff);
    if (fill === 'all-padded') full.fill(0, 20);
    const digest = fill === 'per-bank' ? hash(bank, data) : Buffer.concat([hash('sha1', data)], bytes);
    value = hash(bank, value, violation ? full : digest);
  }
  return value;
};

/** Lengths around every edge of a block, one violation among them, one far too long for any batch. */
const LENGTHS = [
  0, 1, 2, 30, 40, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 100, 107, 108, 109, 110, 111, 120,
  128, 200, 255, 1000, 70_000,
];
const MIXED = LENGTHS.flatMap((length, i) => [
  ngRecord(`/${'x'.repeat(length)}`, String(i)),
  ...(i === 20 ? [ngRecord('/violated', '', { violation: true })] : []),
]);

describe('replay', () => {
  test.each(IMA_BANKS)('%s: names of every length, a violation, both modes', (bank) => {
    const replay = new ImaReplay();
    for (const read of MIXED) replay.extend(read);
    expect(replay.value(bank, 'per-bank', 10)).toEqual(expected(bank, 'per-bank', MIXED));
    expect(replay.value(bank, 'padded-sha1', 10)).toEqual(
      expected(bank, bank === 'sha1' ? 'per-bank' : 'padded', MIXED),
    );
    expect(replay.count).toBe(MIXED.length);
    expect(replay.violations).toBe(1);
  });

  test('many records, more than a batch, over several PCRs', () => {
    const records = Array.from({ length: 3000 }, (_, i) =>
      ngRecord(`/f${i}`, String(i), { pcr: i % 7 === 0 ? 11 : 10 }),
    );
    const replay = new ImaReplay({ banks: ['sha1', 'sha256'] });
    for (const read of records) replay.extend(read);
    for (const pcr of [10, 11])
      for (const bank of ['sha1', 'sha256'] as const)
        expect(replay.value(bank, 'per-bank', pcr)).toEqual(
          expected(
            bank,
            'per-bank',
            records.filter((read) => read.pcr === pcr),
          ),
        );
    expect(replay.pcrs()).toEqual([10, 11]);
    expect(replay.value('sha256', 'per-bank', 12)).toEqual(Buffer.alloc(32));
    expect(replay.value('sha512', 'per-bank', 10)).toBeNull();
    expect(replay.values()).toMatchObject({
      sha1: { 'per-bank': { 10: replay.value('sha1', 'per-bank', 10)!.toString('hex') } },
    });
  });

  test('a template digest that is not the hash of the data is counted and told, and the data count', () => {
    const bad: number[] = [];
    const replay = new ImaReplay({ onBadTemplateHash: (index) => bad.push(index) });
    const records = [
      ngRecord('/a', 'a'),
      { ...ngRecord('/b', 'b'), templateDigest: Buffer.alloc(20, 1) },
      ngRecord('/c', 'c'),
    ];
    for (const read of records) replay.extend(read);
    expect(replay.value('sha256', 'per-bank', 10)).toEqual(expected('sha256', 'per-bank', records));
    expect(replay.badTemplateHashes).toBe(1);
    expect(bad).toEqual([1]);
    const padded = new ImaReplay();
    const made = ngRecord('/b', 'b');
    padded.extend({ ...made, templateDigest: Buffer.concat([made.templateDigest], 48) });
    expect(padded.badTemplateHashes).toBe(0);
    padded.extend({ ...made, templateDigest: Buffer.concat([made.templateDigest, Buffer.from([1])], 48) });
    expect(padded.badTemplateHashes).toBe(1);
  });

  test('goes on from a snapshot, and the same state is the same bytes', () => {
    const whole = new ImaReplay();
    const first = new ImaReplay();
    for (const [i, read] of MIXED.entries()) {
      whole.extend(read);
      if (i < 22) first.extend(read);
    }
    const second = ImaReplay.decode(first.encode());
    for (const read of MIXED.slice(22)) second.extend(read);
    expect(second.encode()).toEqual(whole.encode());
    expect(second.values()).toEqual(whole.values());
    expect(first.count).toBe(22);
    for (const bytes of [Buffer.alloc(0), Buffer.from('{}'), Buffer.from('[1]')])
      expect(() => ImaReplay.decode(bytes)).toThrow(expect.objectContaining({ code: 'SNAPSHOT_FOREIGN' }));
  });

  test('several replays at once do not disturb one another', () => {
    const replays = [new ImaReplay(), new ImaReplay({ banks: ['sha256'] }), new ImaReplay()];
    for (const read of MIXED) for (const replay of replays) replay.extend(read);
    for (const replay of replays)
      expect(replay.value('sha256', 'per-bank', 10)).toEqual(expected('sha256', 'per-bank', MIXED));
  });
});

describe('search for a prefix', () => {
  const records = Array.from({ length: 1500 }, (_, i) =>
    ngRecord(`/f${i}`, String(i), { pcr: i % 10 === 3 ? 11 : 10 }),
  );
  const at = (bank: ImaBank, fill: 'per-bank' | 'padded' | 'all-padded', pcr: number, count: number): QuotedPcr => ({
    bank,
    pcr,
    value: expected(
      bank,
      fill,
      records.slice(0, count).filter((read) => read.pcr === pcr),
    ),
  });
  const searched = (quoted: QuotedPcr[], start = new ImaReplay(), from = 0): ImaPrefixSearch => {
    const search = new ImaPrefixSearch(start, quoted);
    for (const read of records.slice(from)) search.extend(read);
    return search;
  };

  test.each([0, 1, 2, 3, 4, 5, 511, 512, 513, 1023, 1024, 1025, 1499, 1500])(
    'of %d entries, all PCRs and banks at once',
    (count) => {
      const quoted = [
        at('sha1', 'per-bank', 10, count),
        at('sha256', 'per-bank', 10, count),
        at('sha256', 'per-bank', 11, count),
      ];
      const { match } = searched(quoted);
      expect(match).toMatchObject({ count, modes: { sha1: 'per-bank', sha256: 'per-bank' } });
      expect(match!.replay.count).toBe(count);
      const straight = new ImaReplay();
      for (const read of records.slice(0, count)) straight.extend(read);
      expect(match!.replay.values()).toEqual(straight.values());
    },
  );

  test('the replay of a match goes on with what follows', () => {
    const first = searched([at('sha256', 'per-bank', 10, 700)]).match!;
    const second = searched([at('sha256', 'per-bank', 10, 1400)], first.replay, first.count).match!;
    expect(second.count).toBe(1400);
    expect(searched([at('sha256', 'per-bank', 10, 600)], first.replay, first.count).match).toBeNull();
  });

  test('one mode a bank: values of different modes are no match', () => {
    expect(searched([at('sha256', 'padded', 10, 900), at('sha256', 'padded', 11, 900)]).match).toMatchObject({
      count: 900,
      modes: { sha256: 'padded-sha1' },
    });
    const { match, nearest } = searched([at('sha256', 'padded', 10, 900), at('sha256', 'per-bank', 11, 900)]);
    expect(match).toBeNull();
    expect(nearest.explained.length).toBe(1);
    const known = new ImaPrefixSearch(new ImaReplay(), [at('sha256', 'padded', 10, 900)], { sha256: 'per-bank' });
    for (const read of records) known.extend(read);
    expect(known.match).toBeNull();
  });

  test('says how near it came', () => {
    const { match, nearest } = searched([
      at('sha1', 'per-bank', 10, 800),
      at('sha256', 'per-bank', 10, 800),
      { bank: 'sha256', pcr: 11, value: Buffer.alloc(32, 1) },
      at('sha384', 'per-bank', 10, 1200),
    ]);
    expect(match).toBeNull();
    expect(nearest).toMatchObject({ count: 800, alone: [800, 800, null, 1200] });
    expect(nearest.explained.map(({ bank, pcr }) => [bank, pcr])).toEqual([
      ['sha1', 10],
      ['sha256', 10],
    ]);
    expect(nearest.missing.length).toBe(2);
  });

  test('kernels that pad violations too', () => {
    const list = [ngRecord('/a', 'a'), ngRecord('/b', '', { violation: true }), ngRecord('/c', 'c')];
    const value = expected('sha256', 'all-padded', list);
    expect(value).not.toEqual(expected('sha256', 'padded', list));
    const search = new ImaPrefixSearch(new ImaReplay(), [{ bank: 'sha256', pcr: 10, value }]);
    for (const read of list) search.extend(read);
    expect(search.match).toMatchObject({ count: 3, modes: { sha256: 'padded-sha1' } });
    expect(search.match!.replay.value('sha256', 'padded-sha1', 10)).toEqual(value);
    const again = ImaReplay.decode(search.match!.replay.encode());
    expect(again.value('sha256', 'padded-sha1', 10)).toEqual(value);
  });

  test('a mode that is settled is the only one that is replayed on', () => {
    const { replay, modes } = searched([at('sha1', 'per-bank', 10, 1000), at('sha256', 'padded', 10, 1000)]).match!;
    replay.settle(modes);
    expect(replay.value('sha256', 'per-bank', 10)).toBeNull();
    for (const read of records.slice(1000)) replay.extend(read);
    expect(replay.value('sha256', 'padded-sha1', 10)).toEqual(at('sha256', 'padded', 10, 1500).value);
    expect(replay.value('sha512', 'per-bank', 10)).toEqual(at('sha512', 'per-bank', 10, 1500).value);
  });
});
