import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MAX_POLICY_BYTES } from '../../../schemas/policy/document.js';
import { parseHostPolicy } from '../../../schemas/policy/host/parse.js';
import { jsonFault } from '../../../schemas/policy/json-keys.js';
import { parsePolicy } from '../../../schemas/policy/parse.js';
import '../../support/seed.js';

const HEX = 'ab'.repeat(32);
const COUNT = 12_000;

const large = (more: string): string => {
  const files = Array.from({ length: COUNT }, (_, i) => `"/usr/lib/${'x'.repeat(20)}/${i}":"sha256:${HEX}"`).join(
    ',\n',
  );
  const text = `{"kind":"host","id":"h","files":{${files}}${more}}`;
  expect(text.length).toBeGreaterThan(MAX_POLICY_BYTES);
  return text;
};

const refusal = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

test('reference values of a whole distribution are taken as JSON', () => {
  expect(parseHostPolicy(large(''), 'p').files?.get(`sha256:${HEX}`)).toHaveLength(COUNT);
});

test('but not as YAML, not as a policy of processes, not with a key twice, and not too deep', () => {
  const processes = large('').replace('"kind":"host"', '"kind":"none"');
  expect(refusal(() => parsePolicy(processes, 'p'))).toContain('only policies of hosts');
  expect(refusal(() => parseHostPolicy(`#\n${large('')}`, 'p'))).toContain('only policies of hosts');
  expect(refusal(() => parseHostPolicy(large(',"id":"other"'), 'p'))).toContain('"id" stands here a second time');
  expect(refusal(() => parseHostPolicy(large(`,"description":${'['.repeat(65)}${']'.repeat(65)}`), 'p'))).toContain(
    'deeper',
  );
  expect(refusal(() => parseHostPolicy(large(',"unlistd":"allow"'), 'p'))).toContain('unlisted');
  expect(refusal(() => parseHostPolicy(large(','), 'p'))).toContain('not JSON');
});

test('a key that stands twice in one object is found, however it is spelled, and no other', () => {
  expect(jsonFault('{"a":1,"b":{"a":2,"\\u0061":3}}', 64)).toMatchObject({ what: 'repeated', key: 'a', offset: 18 });
  expect(jsonFault('{"a":["a","a",{"a":"a"},[]],"b":"a","c":"\\"a\\":"}', 64)).toBeUndefined();
  expect(jsonFault('[[[]]]', 2)).toMatchObject({ what: 'depth' });
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), (text) => {
      expect(jsonFault(text, 64)).toBeUndefined();
    }),
  );
  fc.assert(
    fc.property(fc.json(), fc.json(), fc.string(), (one, other, key) => {
      const name = JSON.stringify(key);
      expect(jsonFault(`[{${name}: ${one}, ${name}: ${other}}]`, 64)).toMatchObject({ what: 'repeated', key });
    }),
  );
});
