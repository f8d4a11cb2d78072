import { describe, expect, test } from '@jest/globals';
import { isAttestreamError } from '../../../schemas/errors.js';
import { parsePolicy, policyDigest, policyFromDocument } from '../../../schemas/policy/parse.js';
import { Real } from '../../../schemas/policy/value.js';

const THERMOSTAT = `id: thermostat
binary: /app/thermostat
functions:
  read_sensor: { parameters: { id: clear } }
  actuate:     { parameters: { level: { type: int, release: clear }, valve: hash } }
machine:
  initial: idle
  context: { actuations: 0 }
  states:
    idle:
      on:    { read_sensor: deciding }
      after: { 5000: late }
    deciding:
      on:
        actuate:
          guard:   "args.level <= 80 && context.actuations < 1000"
          actions: { type: assign, params: { actuations: "context.actuations + 1" } }
          target:  idle
    late: { tags: [violation] }
unexpected: violation
afterViolation: latch
openAtExit: ignore
onFork: copy
slice: { session: { read_sensor: id, actuate: valve } }
lateness: { within: 10s, beyond: list }
doubtAbove: 0.05
stop: never
assume: { minDuration: { actuate: 4ms }, minCpu: {}, callsOnlyFrom: {}, stable: [actuate.level] }
`;

const MINIMAL = 'id: m\nfunctions: {f: }\nmachine: {initial: a, states: {a: {on: {f: a}}}}\n';

/** The lines of the message below its first. */
const problemsOf = (text: string): string[] => {
  try {
    parsePolicy(text, 'p.yaml');
  } catch (error) {
    if (isAttestreamError(error, 'POLICY_INVALID'))
      return error.message
        .split('\n')
        .slice(1)
        .map((line) => line.trim());
    throw error;
  }
  return [];
};

describe('a policy', () => {
  test('is read with all that it says', () => {
    const policy = parsePolicy(THERMOSTAT, 'thermostat.yaml');
    expect(policy.id).toBe('thermostat');
    expect(policy.parameterNames).toEqual(['id', 'level', 'valve']);
    expect(policy.functions.get('actuate')?.parameters.get('level')).toEqual({ type: 'int', release: 'clear' });
    expect(policy.functions.get('actuate')?.parameters.get('valve')).toEqual({ type: 'hash', release: 'hash' });
    expect(policy.functions.get('read_sensor')?.parameters.get('id')).toEqual({ type: 'dyn', release: 'clear' });
    expect(policy.variables).toEqual([{ name: 'actuations', type: 'int', initial: 0 }]);
    expect(policy.slice).toEqual({
      name: 'session',
      by: 'parameter',
      keys: new Map([
        ['read_sensor', 'id'],
        ['actuate', 'valve'],
      ]),
    });
    expect(policy.lateness).toEqual({ within: 10_000_000, events: 100_000, beyond: 'list' });
    expect(policy.doubtAbove).toBe(50_000);
    expect(policy.afterViolation).toBe('latch');
    expect(policy.assume.minDuration).toEqual(new Map([['actuate', 4000]]));
    expect(policy.assume.stable).toEqual(new Set(['actuate.level']));
    expect(policy.machine.states?.['idle']?.after).toEqual({ 5000: 'late' });
  });

  test('has defaults for everything but id, functions and machine', () => {
    expect(parsePolicy(MINIMAL, 'm.yaml')).toMatchObject({
      binary: 'any',
      image: null,
      unexpected: 'violation',
      afterViolation: null,
      openAtExit: 'ignore',
      onFork: 'copy',
      slice: null,
      maxSlices: 10_000,
      lateness: { within: 10_000_000, events: 100_000, beyond: 'list' },
      doubtAbove: 50_000,
      stop: 'never',
    });
  });

  test('is named by the hash of its document, whatever its spelling', () => {
    const yaml = parsePolicy(MINIMAL, 'm.yaml');
    const json = parsePolicy(
      '{"machine":{"states":{"a":{"on":{"f":"a"}}},"initial":"a"},"id":"m","functions":{"f":null}}',
      'm.json',
    );
    expect(json.digest).toBe(yaml.digest);
    // echo -n '{"functions":{"f":null},"id":"m","machine":{"initial":"a","states":{"a":{"on":{"f":"a"}}}}}' | sha256sum
    expect(yaml.digest).toBe('sha256:3ff4136e2336415e2c6e3d703f3accc2d3914a608a76e24e2da15a0b9f2e0330');
    expect(policyDigest({ id: 'm', unexpected: 'violation' })).not.toBe(policyDigest({ id: 'm' }));
  });

  test('takes types of variables from their first values', () => {
    const policy = policyFromDocument(
      {
        id: 'v',
        functions: { f: {} },
        machine: { initial: 'a', context: { n: 3, r: 0.5, s: 'x', b: true, any: null }, states: { a: {} } },
      },
      'v',
    );
    expect(policy.variables).toEqual([
      { name: 'n', type: 'int', initial: 3 },
      { name: 'r', type: 'double', initial: new Real(0.5) },
      { name: 's', type: 'string', initial: 'x' },
      { name: 'b', type: 'bool', initial: true },
      { name: 'any', type: 'dyn', initial: null },
    ]);
  });
});
