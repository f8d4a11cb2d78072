import { expect, test } from '@jest/globals';
import type { DecodedParameter } from '../../../producers/memory/dwarf/values.js';
import { Release } from '../../../producers/memory/record/release.js';
import { lookJson } from '../../../producers/memory/sample/look-json.js';
import type { LookResult } from '../../../producers/memory/sample/look-result.js';
import { parsePolicy } from '../../../schemas/policy/parse.js';

const policy = parsePolicy(
  `id: p
functions:
  f: { parameters: { open: clear, secret: hash, never: none } }
machine: { initial: a, states: { a: { on: { f: a } } } }
`,
  'p.yaml',
);

const parameter = (
  name: string,
  kind: DecodedParameter['kind'],
  value: DecodedParameter['value'],
  more: Partial<DecodedParameter> = {},
): DecodedParameter => ({
  name,
  type: kind,
  kind,
  value,
  valueKind: 'current',
  number: null,
  location: 'fbreg -20',
  unavailable: '',
  ...more,
});

const key = Buffer.alloc(32, 1);

test('nothing leaves that the policy does not name', () => {
  const release = new Release(policy, key);
  const told = release.apply(
    'f',
    ['never', 'other'].map((name) => parameter(name, 'int', 4711)),
  );
  expect(told.map(({ kind }) => kind)).toEqual(['unavailable', 'unavailable']);
  expect(JSON.stringify(told)).not.toContain('4711');
  expect(release.apply('g', [parameter('open', 'int', 1)])).toEqual([]);
  expect(new Release(null, key).apply('f', [parameter('open', 'int', 1)])).toEqual([]);
});

test('a hash tells equality under one key, across widths, and no more', () => {
  const hash = (release: Release, kind: DecodedParameter['kind'], value: number | string): string =>
    release.apply('f', [parameter('secret', kind, value)])[0]!.text!;
  const release = new Release(policy, key);
  expect(hash(release, 'int', 42)).toBe(hash(release, 'uint', 42));
  expect(hash(release, 'int', 42)).not.toBe(hash(release, 'int', 43));
  expect(hash(release, 'int', 42)).not.toBe(hash(release, 'text', '42'));
  expect(hash(release, 'int', 42)).not.toBe(hash(new Release(policy), 'int', 42));
});

test('an integer that the encoding of records cannot hold leaves as text, whatever a program puts there', () => {
  const release = new Release(policy, key);
  for (const value of [2 ** 53 - 1, -(2 ** 53 - 1), 2 ** 52 + 1]) {
    const [told] = release.apply('f', [parameter('open', 'int', value)]);
    expect(told).toMatchObject({ type: 'int', int: null, text: String(value) });
    const [named] = release.apply('f', [parameter('open', 'enum', 'OPEN', { number: value })]);
    expect(named).toMatchObject({ type: 'enum', int: null, text: 'OPEN' });
  }
  expect(release.apply('f', [parameter('open', 'int', 2 ** 52 - 1)])[0]).toMatchObject({
    int: 2 ** 52 - 1,
    text: null,
  });
});

test('each kind of value stands where its type has it', () => {
  const release = new Release(policy, key);
  const told = (kind: DecodedParameter['kind'], value: DecodedParameter['value'], more?: Partial<DecodedParameter>) =>
    release.apply('f', [parameter('open', kind, value, more)])[0];
  expect(told('int', -3)).toMatchObject({ type: 'int', kind: 'current', int: -3, text: null });
  expect(told('uint', 2n ** 63n)).toMatchObject({ type: 'uint', int: null, text: '9223372036854775808' });
  expect(told('bool', true)).toMatchObject({ type: 'bool', int: 1 });
  expect(told('float', 1.5)).toMatchObject({ type: 'double', real: 1.5 });
  expect(told('enum', 'OPEN', { number: 2 })).toMatchObject({ type: 'enum', int: 2, text: 'OPEN' });
  expect(told('text', 'a/b')).toMatchObject({ type: 'string', text: 'a/b' });
  expect(told('pointer', '0x10', { number: 16 })).toMatchObject({ type: 'uint', int: 16 });
  expect(told('int', null, { unavailable: 'optimised away' })).toMatchObject({
    kind: 'unavailable',
    text: 'optimised away',
  });
});

test('a look as JSON keeps big numbers, addresses and what is unavailable', () => {
  const look: LookResult = {
    pid: 7,
    startTime: '99',
    from: 1,
    at: 2,
    replaced: false,
    gone: false,
    refused: '',
    reopened: 0,
    runtime: 'native',
    architecture: 'x86-64',
    micros: 12,
    bytesRead: 4300,
    threads: [
      {
        tid: 7,
        name: 'x',
        at: 2,
        outcome: 'sampled',
        runTime: 5,
        slices: 6,
        complete: true,
        asBefore: false,
        syscall: { number: 230, arguments: ['0x0', '0x1', '0x2', '0x3', '0x4', '0x5'] },
        frames: [
          {
            pc: 0x7fd68074b2ad,
            function: null,
            linkageName: '',
            source: '',
            line: 0,
            inlined: false,
            file: '',
            foundBy: 'syscall',
            sizedBy: 'call-site',
            frameAddress: 0x7ffd0010,
            returnAddress: 1,
            parameters: [
              parameter('n', 'uint', 2n ** 60n),
              parameter('x', 'float', Number.NaN),
              parameter('y', 'int', null, { location: '', unavailable: 'optimised away' }),
            ],
          },
        ],
      },
    ],
  };
  expect(JSON.parse(JSON.stringify(lookJson(look, 1000)))).toMatchObject({
    at: 1002,
    pid: 7,
    startTime: '99',
    cost: { micros: 12, bytesRead: 4300 },
    threads: [
      {
        outcome: 'sampled',
        syscall: { number: 230, name: 'clock_nanosleep' },
        residue: [],
        frames: [
          {
            index: 0,
            address: '0x7fd68074b2ad',
            function: null,
            foundBy: 'call-site',
            parameters: [
              { name: 'n', value: '1152921504606846976', unavailable: null },
              { name: 'x', value: 'NaN' },
              { name: 'y', value: null, valueKind: 'current', location: null, unavailable: 'optimised away' },
            ],
          },
        ],
      },
    ],
  });
});
