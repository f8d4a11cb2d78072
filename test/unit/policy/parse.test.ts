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
    expect(policy.lateness).toEqual({ within: 10_000_000, events: 256, beyond: 'list' });
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
      lateness: { within: 10_000_000, events: 256, beyond: 'list' },
      doubtAbove: 50_000,
      stop: 'never',
      globals: new Map(),
      syscalls: new Map(),
      threadNames: 'none',
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

const withMachine = (machine: string): string =>
  `id: m\nfunctions: {open: {parameters: {user: clear, key: hash, secret: none}}, close: {parameters: {level: {type: int, release: clear}}}}\nmachine:\n${machine
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')}\n`;

describe('what is wrong is named with its place and a way out', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    [
      'an unknown key',
      `${MINIMAL}fucntions: {}\n`,
      '4:1 fucntions: unknown key "fucntions"; did you mean "functions"?',
    ],
    [
      'a wrong word',
      `${MINIMAL}unexpected: violaton\n`,
      '4:1 unexpected: "violaton" is none of violation, ignore; did you mean "violation"?',
    ],
    [
      'a missing part',
      'id: m\nfunctions: {f: {}}\n',
      '1:1 machine: is missing; every policy has id, functions and machine',
    ],
    [
      'a bare number for a duration',
      `${MINIMAL}lateness: {within: 10}\n`,
      '4:12 lateness.within: 10 is no duration; write a number and a unit: 250us, 4ms, 10s, 5m, 1h',
    ],
    [
      'a type where the release stands',
      'id: m\nfunctions: {f: {parameters: {n: int}}}\nmachine: {initial: a, states: {a: {}}}\n',
      '2:30 functions.f.parameters.n: "int" says nothing of release; write {type: int, release: clear}',
    ],
    [
      'an unknown event',
      withMachine('initial: a\nstates: {a: {on: {opne: a}}}'),
      '5:21 machine.states.a.on.opne: no function or event "opne"; did you mean "open"?',
    ],
    [
      'an unknown target',
      withMachine('initial: idle\nstates: {idle: {on: {open: idel}}}'),
      '5:24 machine.states.idle.on.open: the machine has no state "idel"; did you mean "idle"?',
    ],
    [
      'an unknown id',
      withMachine('initial: a\nstates: {a: {id: one, on: {open: "#two"}}}'),
      '5:30 machine.states.a.on.open: no state has the id "two"; known: (machine), one',
    ],
    [
      'a target from the root',
      withMachine('initial: a\non: {open: a}\nstates: {a: {}}'),
      '5:8 machine.on.open: target "a" is not reachable by that name from the machine itself; did you mean ".a"?',
    ],
    [
      'no initial',
      withMachine('states: {a: {}, b: {}}'),
      '3:1 machine: no "initial"; say in which state it starts: a, b',
    ],
    [
      'a wrong initial',
      withMachine('initial: c\nstates: {aa: {}, b: {}}'),
      '4:3 machine.initial: no state "c" here; known: aa, b',
    ],
    [
      'an unknown parameter',
      withMachine('initial: a\nstates: {a: {on: {close: {target: a, guard: "1 < 2 && args.levle < 3"}}}}'),
      '5:40 machine.states.a.on.close.guard: column 15: no such name: levle; did you mean "level"?',
    ],
    [
      'a parameter of another function',
      withMachine('initial: a\nstates: {a: {on: {close: {target: a, guard: "args.user == 3"}}}}'),
      '5:40 machine.states.a.on.close.guard: close has no parameter "user"; known: level',
    ],
    [
      'a parameter that stays',
      withMachine('initial: a\nstates: {a: {on: {open: {target: a, guard: "args.secret == 3"}}}}'),
      '5:39 machine.states.a.on.open.guard: column 6: parameter "secret" never leaves the host; release it as clear or hash to use it',
    ],
    [
      'a guard that is no bool',
      withMachine('initial: a\nstates: {a: {on: {close: {target: a, guard: "args.level"}}}}'),
      '5:40 machine.states.a.on.close.guard: column 1: the expression is of type int, expected bool',
    ],
    [
      'a variable of another type',
      withMachine('initial: a\ncontext: {n: 0}\nstates: {a: {entry: {type: assign, params: {n: "\'x\'"}}}}'),
      '6:47 machine.states.a.entry.params.n: column 1: the expression is of type string, expected int',
    ],
    [
      'an unknown variable',
      withMachine('initial: a\ncontext: {count: 0}\nstates: {a: {entry: {type: assign, params: {cuont: 1}}}}'),
      '6:47 machine.states.a.entry.params.cuont: no context variable "cuont"; did you mean "count"?',
    ],
    [
      'a loop that never rests',
      withMachine(
        'initial: a\nstates: {a: {always: b}, b: {always: [{guard: "1 > 2", target: c}, {target: a}]}, c: {}}',
      ),
      '5:16 machine.states.a.always: "always" without a guard goes round for ever: a → b → a; give one of them a guard',
    ],
    [
      'a loop of one',
      withMachine('initial: a\nstates: {a: {always: {actions: []}}}'),
      '5:16 machine.states.a.always: "always" without a guard goes round for ever: a → a; give one of them a guard',
    ],
    [
      'a parent that calls its child for ever',
      withMachine('initial: p\nstates: {p: {initial: a, always: .b, states: {a: {}, b: {}}}}'),
      '5:28 machine.states.p.always: "always" without a guard goes round for ever: p → p; give one of them a guard',
    ],
    [
      'an unreachable candidate',
      withMachine('initial: a\nstates: {a: {on: {open: [a, {guard: "1 > 2"}]}}}'),
      '5:31 machine.states.a.on.open[1]: never reached: the transition before it has no guard; put the one without a guard last',
    ],
    [
      'an unknown slice function',
      `${withMachine('initial: a\nstates: {a: {}}')}slice: {session: {opne: user}}\n`,
      '6:19 slice.session.opne: no function "opne"; did you mean "open"?',
    ],
    [
      'an unknown stable parameter',
      `${withMachine('initial: a\nstates: {a: {}}')}assume: {stable: [open.usr]}\n`,
      '6:19 assume.stable[0]: no parameter "open.usr"; did you mean "open.user"?',
    ],
    [
      'a duplicate id',
      withMachine('initial: a\nstates: {a: {id: x}, b: {id: x}}'),
      '5:28 machine.states.b.id: a second state with the id "x"',
    ],
  ];
  test.each(cases)('%s', (_name, text, expected) => {
    expect(problemsOf(text)).toEqual([expected]);
  });

  test('all of it in one go', () => {
    expect(
      problemsOf('id: 3\nfunctions: {f: 7}\nmachine: {initial: a, states: {a: 3}}\nstop: no\nimge: x\n'),
    ).toHaveLength(5);
  });
});

describe('of XState, refused with a reason', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['initial: a\nstates: {a: {invoke: {src: x}}}', 'starts no actors'],
    ['initial: a\nstates: {a: {type: history}}', 'remembered state'],
    ['initial: a\nstates: {a: {history: deep}}', 'remembered state'],
    ['initial: a\nstates: {a: {after: {soon: a}}}', 'named delays are refused'],
    ['initial: a\nstates: {a: {after: {0: a}}}', 'use "always"'],
    ['initial: a\nstates: {a: {after: {1.5: a}}}', 'whole milliseconds'],
    ['initial: a\nstates: {a: {on: {open.*: a}}}', 'names of functions hold dots'],
    ['initial: a\nstates: {a: {on: {open: {target: [a, a]}}}}', 'several targets'],
    ['initial: a\nstates: {a: {on: {open: null}}}', 'write TARGET, or {}'],
    ['initial: a\nstates: {a: {on: {open: {guard: {type: stateIn, params: {}}}}}}', 'keep what you need to know'],
    ['initial: a\nstates: {a: {on: {open: {guard: {type: not, guards: []}}}}}', 'write !'],
    ['initial: a\nstates: {a: {on: {open: {cond: x}}}}', 'XState 5 writes "guard"'],
    ['initial: a\nstates: {a: {entry: {type: spawnChild}}}', 'starts no actors'],
    ['initial: a\nstates: {a: {entry: notify}}', 'an action "notify" is refused'],
    ['initial: a\nstates: {a: {entry: {type: raise, params: {event: x, delay: 5}}}}', 'a delayed raise'],
    ['initial: a\nstates: {a: {entry: {type: raise, params: {event: open}}}}', 'must not look like a call'],
    ['initial: a\nstates: {a: {output: 3}}', 'has no output'],
    ['initial: {target: a}\nstates: {a: {}}', 'use "entry"'],
    ['initial: a\nstates: {a: {type: final, on: {open: a}}}', 'has no way on'],
    ['initial: a\nstates: {a.b: {}, a: {}}', 'a state is named without'],
    ['initial: a\nstates: {a: {}}\nonDone: .a', 'nothing to go on to'],
    ['type: parallel\ninitial: a\nstates: {a: {}}', 'starts in all its regions'],
    ['initial: a\nstates: {a: {on: {"": a}}}', 'writes "always"'],
  ];
  test.each(cases)('%j', (machine, reason) => {
    expect(problemsOf(withMachine(machine)).join('\n')).toContain(reason);
  });
});

test('what XState offers and a policy keeps is taken', () => {
  const machine = `initial: work
id: lock
context: { n: 0, last: null }
on: { $exit: .over, "*": { actions: [] } }
states:
  work:
    type: parallel
    tags: busy
    description: both at once
    meta: { colour: 3 }
    onDone: over
    states:
      door:
        initial: shut
        states:
          shut: { on: { open: [{ guard: "has(args.user) && args.key == context.last", target: ajar, reenter: true }, "#gone"] } }
          ajar: { on: { close: { target: "#lock.over" } }, after: { 10: shut, 20: { target: shut } } }
          end: { type: final }
      lamp:
        initial: off
        entry: { type: assign, params: { n: 3 } }
        exit: [{ type: raise, params: { event: dark } }]
        states: { off: { on: { dark: on } }, on: { id: gone, always: { guard: "context.n > 5", target: [off] } } }
  over: { type: final, tags: [violation] }`;
  expect(problemsOf(withMachine(machine))).toEqual([]);
});

describe('hostile documents end in an error, soon', () => {
  const bomb = `a: &a [x, x, x, x, x, x, x, x, x]\n${'bcdefghi'
    .split('')
    .map((letter, i) => `${letter}: &${letter} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(', ')}]`)
    .join('\n')}\n`;
  const cases: readonly (readonly [string, string])[] = [
    ['brackets', '['.repeat(200_000)],
    ['dashes', `${'- '.repeat(100_000)}x`],
    ['indentation', Array.from({ length: 700 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')],
    ['aliases', bomb],
    ['a cycle', 'id: &a [*a]\n'],
    ['size', `id: ${'x'.repeat(2 << 20)}`],
    ['a tag', 'id: !!js/function "x"\n'],
    ['a prototype', '{"id": "m", "__proto__": {"functions": {}}}'],
    ['a large integer', 'id: 9007199254740993\n'],
    ['infinity', 'id: .inf\n'],
    ['a repeated key', 'id: a\nid: b\n'],
    ['nothing', ''],
    ['two documents', 'id: a\n---\nid: b\n'],
    ['a long expression', withMachine(`initial: a\nstates: {a: {on: {open: {guard: "${'('.repeat(3000)}"}}}}`)],
    ['a deep expression', withMachine(`initial: a\nstates: {a: {on: {open: {guard: "${'!'.repeat(3000)}true"}}}}`)],
  ];
  test.each(cases)('%s', (_name, text) => {
    const begun = performance.now();
    expect(() => parsePolicy(text, 'p')).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
    // Generous: a shared machine; what must not be is exponential or quadratic in a megabyte.
    expect(performance.now() - begun).toBeLessThan(5000);
  });

  test('data from code', () => {
    const cyclic: Record<string, unknown> = { id: 'x' };
    cyclic['self'] = cyclic;
    expect(() => policyFromDocument(cyclic, 'p')).toThrow('nested deeper');
    expect(() => policyFromDocument({ id: () => 3 }, 'p')).toThrow('a policy is data, never code');
    expect(() => policyFromDocument({ id: new Date(0) }, 'p')).toThrow('a Date is not JSON data');
  });
});
