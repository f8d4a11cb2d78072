import { describe, expect, test } from '@jest/globals';
import { imaEntry } from '../../../schemas/ima/entry.js';
import { ImaListReader, readImaList } from '../../../schemas/ima/list-reader.js';
import { recordOf } from '../../../schemas/ima/record-span.js';
import { binaryList, ngRecord, plainRecord, record } from '../../support/ima-records.js';
import { vector, vectorNames } from '../../support/vectors.js';

const TEMPLATES = vectorNames('ima');
const binary = (name: string): Buffer => vector(`ima/${name}/binary_runtime_measurements.gz`);

describe('binary lists', () => {
  test.each([
    ['little', 'sha1'],
    ['little', 'sha256'],
    ['little', 'sha384'],
    ['little', 'sha512'],
    ['big', 'sha1'],
    ['big', 'sha256'],
    ['big', 'sha384'],
    ['big', 'sha512'],
  ] as const)('%s endian with digests of %s: found out by themselves', (order, bank) => {
    const records = ['a', 'b', 'c'].map((name) => ngRecord(`/bin/${name}`, name, { order, bank }));
    const reader = new ImaListReader();
    const read: unknown[] = [];
    reader.push(binaryList(records, order), (span) => read.push(recordOf(span)));
    reader.end(() => {});
    expect(read).toEqual(records);
    expect(reader.byteOrder).toBe(order);
    expect(reader.format).toBe('binary');
  });

  test.each(['little', 'big'] as const)('template ima, %s endian: no length before its data', (order) => {
    const records = [plainRecord('boot_aggregate', 'x', order), plainRecord('/bin/with space', 'y', order)];
    const read = readImaList(binaryList(records, order));
    expect(read).toEqual(records);
    expect(imaEntry(read[1]!, order)).toMatchObject({
      name: '/bin/with space',
      fileDigest: { algorithm: 'sha1', kind: null },
    });
  });

  test('a list that begins with a violation, or is nothing else, is read too', () => {
    const records = [ngRecord('/a', '', { violation: true }), ngRecord('/b', '', { violation: true })];
    expect(readImaList(binaryList(records))).toEqual(records);
    expect(readImaList(binaryList(records, 'big').subarray(0, 0))).toEqual([]);
    const big = [ngRecord('/a', '', { violation: true, order: 'big' })];
    expect(readImaList(binaryList(big, 'big'))).toEqual(big);
  });

  test.each(TEMPLATES)('%s: cut into chunks anywhere, the records are the same', (name) => {
    const bytes = binary(name);
    const whole = readImaList(bytes);
    for (const size of [1, 7, 64, 1000]) {
      const reader = new ImaListReader();
      const read: unknown[] = [];
      for (let at = 0; at < bytes.length; at += size)
        reader.push(bytes.subarray(at, at + size), (span) => read.push(recordOf(span)));
      reader.end((span) => read.push(recordOf(span)));
      expect(read).toEqual(whole);
    }
  });

  test('what lies is refused with its offset, and never read beyond', () => {
    const good = binaryList([ngRecord('/a', 'a'), ngRecord('/b', 'b')]);
    const first = good.length / 2;
    const at = (offset: number, value: number): Buffer => {
      const bytes = Buffer.from(good);
      bytes.writeUInt32LE(value, offset);
      return bytes;
    };
    const refused = (bytes: Buffer): unknown => {
      try {
        return readImaList(bytes);
      } catch (error) {
        return error;
      }
    };
    const invalid = { code: 'IMA_INVALID', place: { offset: first } };
    expect(refused(at(first, 4711))).toMatchObject(invalid);
    expect(refused(at(first + 24, 0))).toMatchObject(invalid);
    expect(refused(at(first + 24, 0xffffffff))).toMatchObject(invalid);
    expect(refused(at(first + 34, 0x7fffffff))).toMatchObject(invalid);
    expect(refused(good.subarray(0, good.length - 1))).toMatchObject(invalid);
    expect(refused(Buffer.from('not a list at all, but some text'))).toMatchObject({ code: 'IMA_INVALID' });
    expect(refused(Buffer.alloc(100, 0xff))).toMatchObject({ code: 'IMA_INVALID' });
  });

  test('a large promise costs nothing until its bytes come', () => {
    const reader = new ImaListReader({ format: 'binary', byteOrder: 'little', digestBytes: 20 });
    const bytes = binaryList([ngRecord('/a', 'a')]);
    bytes.writeUInt32LE(15 * 1024 * 1024, 34);
    const before = process.memoryUsage().arrayBuffers;
    reader.push(bytes, () => {});
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
    expect(() => reader.end(() => {})).toThrow('ends within a record');
  });
});

describe('lists in text', () => {
  test.each(TEMPLATES)('%s: says the same as the binary list, byte for byte', (name) => {
    const read = readImaList(vector(`ima/${name}/ascii_runtime_measurements.gz`));
    expect(read).toEqual(readImaList(binary(name)));
  });

  test.each(['sha256', 'sha384', 'sha512'])('the list of the %s bank is that bank in binary', (bank) => {
    expect(readImaList(vector(`ima/critical-data/ascii_runtime_measurements_${bank}.gz`))).toEqual(
      readImaList(vector(`ima/critical-data/binary_runtime_measurements_${bank}.gz`)),
    );
  });

  const line = (
    { pcr, templateDigest, template }: { pcr: number; templateDigest: Buffer; template: string },
    rest: string,
  ) => `${pcr} ${templateDigest.toString('hex')} ${template} ${rest}\n`;
  const digestOf = (made: ReturnType<typeof ngRecord>): string =>
    `sha256:${imaEntry(made).fileDigest!.digest.toString('hex')}`;

  test('spaces and newlines in names, even ones that look like a record, are told by the hash', () => {
    const forged = `/tmp/x\n10 ${'ab'.repeat(20)} ima-ng sha256:${'cd'.repeat(32)} /bin/innocent`;
    const records = ['/a b c', '/two\nlines', forged, '/end'].map((name) => ngRecord(name, name));
    const names = ['/a b c', '/two\nlines', forged, '/end'];
    const text = records.map((made, i) => line(made, `${digestOf(made)} ${names[i]}`)).join('');
    expect(readImaList(Buffer.from(text))).toEqual(records);
  });

  test('an empty signature that an editor cut off with its space is still empty', () => {
    const fields = [...['/a b', '/c']].map((name) => {
      const made = ngRecord(name, name);
      return record('ima-sig', [imaFieldOf(made), Buffer.from(`${name}\0`), Buffer.alloc(0)]);
    });
    const text = fields.map((made) => line(made, `${digestOf(made)} ${imaEntry(made).name}`)).join('');
    expect(readImaList(Buffer.from(text))).toEqual(fields);
  });

  const imaFieldOf = (made: ReturnType<typeof ngRecord>): Buffer =>
    Buffer.concat([Buffer.from('sha256:\0'), imaEntry(made).fileDigest!.digest]);

  test('integers of a big-endian host are found by the hash', () => {
    const made = ngRecord('/a', 'a', { order: 'big' });
    const shown = digestOf(ngRecord('/a', 'a'));
    const reader = new ImaListReader();
    const read: unknown[] = [];
    reader.push(Buffer.from(line(made, `${shown} /a`)), (span) => read.push(recordOf(span)));
    reader.end((span) => read.push(recordOf(span)));
    expect(read).toEqual([made]);
    expect(reader.byteOrder).toBe('big');
  });

  test('a record whose hash nothing explains is given as it stands; what is no record is refused', () => {
    const made = { ...ngRecord('/a', 'a'), templateDigest: Buffer.alloc(20, 1) };
    expect(readImaList(Buffer.from(line(made, `${digestOf(made)} /a`)))).toEqual([made]);
    for (const text of ['10 abc ima-ng x /a\n', 'x\n', `10 ${'00'.repeat(20)} no-such sha256:00 /a\n`])
      expect(() => readImaList(Buffer.from(text), { format: 'ascii' })).toThrow(
        expect.objectContaining({ code: 'IMA_INVALID' }),
      );
  });
});
