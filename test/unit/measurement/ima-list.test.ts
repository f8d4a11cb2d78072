import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { ImaList } from '../../../producers/measurement/ima-list.js';
import { temporaryFolder } from '../../support/tmp.js';

const folder = temporaryFolder('ima-list');

const record = (name: string, fill = 1): Buffer => {
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const sized = (bytes: Buffer): Buffer => Buffer.concat([u32(bytes.length), bytes]);
  const digest = sized(Buffer.concat([Buffer.from('sha256:\0'), Buffer.alloc(32, fill)]));
  const data = Buffer.concat([digest, sized(Buffer.from(`${name}\0`))]);
  return Buffer.concat([u32(10), Buffer.alloc(20, fill), sized(Buffer.from('ima-ng')), sized(data)]);
};

const names = (records: readonly { readonly data: Buffer }[]): readonly string[] =>
  records.map(({ data }) => data.toString('latin1').slice(48, -1));

test('gives each record of a growing list once, and one that is cut when it is whole', () => {
  const path = join(folder, 'grows');
  writeFileSync(path, Buffer.concat([record('a'), record('b')]));
  const list = new ImaList(path);
  expect(names(list.next(1).records)).toEqual(['a']);
  expect(list.next(10)).toMatchObject({ first: 1, restarted: false, records: [{ pcr: 10, template: 'ima-ng' }] });
  const third = record('third');
  appendFileSync(path, third.subarray(0, 30));
  expect(list.next(10).records).toEqual([]);
  appendFileSync(path, Buffer.concat([third.subarray(30), record('fourth')]));
  expect(names(list.next(10).records)).toEqual(['third', 'fourth']);
  expect(list.index).toBe(4);
  list.close();
});

test('begins anew where the list began anew', () => {
  const path = join(folder, 'shrinks');
  writeFileSync(path, Buffer.concat([record('a'), record('b'), record('c')]));
  const list = new ImaList(path);
  expect(list.next(10).records).toHaveLength(3);
  writeFileSync(path, record('z'));
  const { records, first, restarted } = list.next(10);
  expect({ names: names(records), first, restarted }).toEqual({ names: ['z'], first: 0, restarted: true });
  list.close();
});

test('says by the count beside it whether it grew', () => {
  const path = join(folder, 'list');
  writeFileSync(path, record('a'));
  writeFileSync(join(folder, 'runtime_measurements_count'), '1\n');
  const list = new ImaList(path);
  expect(list.grown).toBe(true);
  list.next(10);
  expect(list.grown).toBe(false);
  list.close();
});

test('says where a list does not hold together', () => {
  const path = join(folder, 'broken');
  const broken = record('a');
  broken.writeUInt32LE(0xffffffff, 24);
  writeFileSync(path, broken);
  const list = new ImaList(path);
  expect(() => list.next(10)).toThrow(expect.objectContaining({ code: 'IMA_INVALID' }));
  list.close();
});
