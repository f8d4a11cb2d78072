import { describe, expect, test } from '@jest/globals';
import { imaEntry } from '../../../schemas/ima/entry.js';
import { readImaList } from '../../../schemas/ima/list-reader.js';
import { parseTemplateData } from '../../../schemas/ima/template.js';
import { named, ngRecord, record, templateData } from '../../support/ima-records.js';
import { vector, vectorNames } from '../../support/vectors.js';

const SHA256 = Buffer.alloc(32, 5);
const NAME = Buffer.from('/bin/x\0');

describe('fields', () => {
  test.each(vectorNames('ima'))('%s: each record says its name and digest', (name) => {
    const entries = readImaList(vector(`ima/${name}/binary_runtime_measurements.gz`)).map((read) => imaEntry(read));
    expect(entries[0]!.name).toBe('boot_aggregate');
    for (const entry of entries) {
      expect(entry.name).not.toContain('\0');
      expect(entry.fileDigest!.kind).toBe(name === 'fmt-all' || /v2$/.test(name) ? 'ima' : null);
    }
    const signed = entries.filter(({ signature }) => signature !== null);
    if (['ima-sig', 'ima-sigv2', 'fmt-all', 'ima-modsig'].includes(name)) expect(signed.length).toBeGreaterThan(0);
  });

  test('digests of fs-verity, signatures and buffers are told apart', () => {
    const verity = imaEntry(record('ima-sigv2', [named('verity:sha256', SHA256), NAME, Buffer.from([6, 3])]));
    expect(verity).toMatchObject({
      fileDigest: { kind: 'verity', algorithm: 'sha256' },
      signature: Buffer.from([6, 3]),
    });
    const buffer = imaEntry(record('ima-buf', [named('sha256', SHA256), NAME, Buffer.from('a key')]));
    expect(buffer).toMatchObject({ buffer: Buffer.from('a key'), signature: null });
    const custom = parseTemplateData(
      'ctr|kind|d-ngv2|n-ng',
      templateData([NAME, NAME, named('ima:sha256', SHA256), NAME]),
    );
    expect(custom.fields.map(({ id }) => id)).toEqual(['ctr', 'kind', 'd-ngv2', 'n-ng']);
    expect(custom).toMatchObject({ name: '/bin/x', fileDigest: { kind: 'ima' } });
    expect(parseTemplateData('h-ctr|d-vpcr', templateData([NAME, SHA256]))).toMatchObject({
      name: null,
      fileDigest: null,
    });
  });

  test('a violation is told by its template digest, a file without a digest by its own', () => {
    const violation = imaEntry(ngRecord('/f', '', { violation: true }));
    expect(violation).toMatchObject({ violation: true, unhashable: false });
    const zero = imaEntry(record('ima-ng', [named('sha256', Buffer.alloc(32)), NAME]));
    expect(zero).toMatchObject({ violation: false, unhashable: true });
    const relabelled = imaEntry({ ...ngRecord('/f', 'real'), templateDigest: Buffer.alloc(20) });
    expect(relabelled).toMatchObject({ violation: true, unhashable: false });
  });
});

describe('data that do not fit are refused', () => {
  const good = [named('sha256', SHA256), NAME];
  test.each([
    ['a field too few', 'ima-ng', templateData(good.slice(0, 1))],
    ['bytes behind the last', 'ima-ng', Buffer.concat([templateData(good), Buffer.from([0])])],
    ['a length beyond the end', 'ima-ng', templateData(good).subarray(0, 50)],
    ['a digest of another length', 'ima-ng', templateData([named('sha1', SHA256), NAME])],
    ['an algorithm that is none', 'ima-ng', templateData([named('sha257', SHA256), NAME])],
    ['a digest without algorithm', 'ima-ng', templateData([SHA256, NAME])],
    ['a kind that is none', 'ima-ngv2', templateData([named('evil:sha256', SHA256), NAME])],
    ['no kind where one belongs', 'ima-ngv2', templateData(good)],
    ['a template that is none', 'IMA NG', templateData(good)],
    ['a format without end', Array.from({ length: 40 }, () => 'd').join('|'), templateData(good)],
  ])('%s', (_what, template, data) => {
    expect(() => parseTemplateData(template, data)).toThrow(expect.objectContaining({ code: 'IMA_INVALID' }));
  });
});
