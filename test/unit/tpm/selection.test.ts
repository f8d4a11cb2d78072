import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  marshalSelection,
  type PcrSelection,
  parseSelection,
  sameSelection,
  selectionFromText,
  selectionText,
} from '../../../schemas/tpm/selection.js';

const selections: fc.Arbitrary<PcrSelection> = fc
  .uniqueArray(fc.constantFrom('sha1', 'sha256', 'sha384', 'sha512'), { minLength: 1, maxLength: 4 })
  .chain((hashes) =>
    fc.tuple(
      ...hashes.map((hash) =>
        fc
          .uniqueArray(fc.integer({ min: 0, max: 23 }), { minLength: 1 })
          .map((pcrs) => ({ hash, pcrs: pcrs.sort((a, b) => a - b) })),
      ),
    ),
  );

test('a selection survives the wire and the text, and equals only itself', () => {
  fc.assert(
    fc.property(selections, selections, (selection, other) => {
      expect(parseSelection(marshalSelection(selection))).toEqual(selection);
      expect(selectionFromText(selectionText(selection))).toEqual(selection);
      expect(sameSelection(selection, [...selection])).toBe(true);
      expect(sameSelection(selection, other)).toBe(selectionText(selection) === selectionText(other));
    }),
  );
});

test('known bytes', () => {
  const bytes = Buffer.from('00000002000b03011400000403000400', 'hex');
  expect(parseSelection(bytes)).toEqual([
    { hash: 'sha256', pcrs: [0, 10, 12] },
    { hash: 'sha1', pcrs: [10] },
  ]);
  expect(marshalSelection(selectionFromText('sha256:0,10,12+sha1:10'))).toEqual(bytes);
});

test('another order of banks is another selection, and a register twice is one', () => {
  const [one, two] = [selectionFromText('sha256:1+sha1:1'), selectionFromText('sha1:1+sha256:1')];
  expect(sameSelection(one, two)).toBe(false);
  expect(selectionFromText('sha256:7,3,7')).toEqual([{ hash: 'sha256', pcrs: [3, 7] }]);
});

test.each([
  '',
  'sha256',
  'sha256:',
  'sha256:24',
  'md5:1',
  'sha256:1+sha256:2',
  'sha256:1,',
  'sha256:-1',
  'x'.repeat(5000),
])('text %j is refused', (text) => {
  expect(() => selectionFromText(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test.each(['00000011', '00000001000b21', '00000001000b03ff', '00000000ff', 'ffffffff'])(
  'bytes %s are refused',
  (hex) => {
    expect(() => parseSelection(Buffer.from(hex, 'hex'))).toThrow(
      expect.objectContaining({ code: 'TPM_BLOB_INVALID' }),
    );
  },
);
