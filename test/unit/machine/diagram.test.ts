import { describe, expect, test } from '@jest/globals';
import { dotOf, mermaidOf } from '../../../processors/runtime/machine/diagram.js';
import type { MachineConfig } from '../../../schemas/policy/policy.js';
import { thermostat } from '../../support/machine-policy.js';

const nested: MachineConfig = {
  initial: 'work',
  states: {
    work: {
      type: 'parallel',
      states: {
        p: { initial: 'on', states: { on: { on: { a: 'off' } }, off: { type: 'final' } } },
        q: { on: { b: {} } },
      },
      onDone: 'end',
    },
    end: { type: 'final', entry: { type: 'raise', params: { event: 'r' } } },
  },
};

describe('Mermaid', () => {
  test('draws the thermostat', () => {
    expect(mermaidOf(thermostat().machine)).toBe(`stateDiagram-v2
  classDef violation fill:#fdd,stroke:#b00
  state "machine" as s0 {
    state "idle" as s1
    state "deciding" as s2
    state "late" as s3
    class s3 violation
    [*] --> s1
  }
  s1 --> s2 : read_sensor
  s1 --> s3 : after 5000 ms
  s2 --> s1 : actuate #91;args.level <= 80 #38;#38; context.actuations < 1000#93; / actuations #58;= context.actuations + 1
`);
  });

  test('draws regions, ends, and what stays in a state', () => {
    const text = mermaidOf(nested);
    expect(text).toContain('    --\n');
    expect(text).toContain('s4 --> [*]');
    expect(text).toContain('"q · b forbidden"'.replace(/·/g, '#183;'));
    expect(text).toContain('entry / raise r');
    expect(text).toContain('s1 --> s6 : done');
  });

  test('lets no name end a statement', () => {
    const evil = 'x"\n  s9 --> s9 : %% `;{}';
    const text = mermaidOf({ initial: evil, states: { [evil]: {} } });
    expect(text.split('\n')).toHaveLength(7);
    expect(text).not.toContain('%%');
  });
});

describe('DOT', () => {
  test('draws the thermostat', () => {
    expect(dotOf(thermostat().machine)).toBe(`digraph machine {
  compound=true
  node [shape=box, style=rounded]
  subgraph cluster_s0 {
    label="machine"
    style="rounded"
    s0 [shape=point]
    s1 [label="idle"]
    s2 [label="deciding"]
    s3 [label="late", color="#bb0000"]
    s0 -> s1
  }
  s1 -> s2 [label="read_sensor"]
  s1 -> s3 [label="after 5000 ms"]
  s2 -> s1 [label="actuate [args.level <= 80 && context.actuations < 1000] / actuations := context.actuations + 1"]
}
`);
  });

  test('meets clusters at their border and quotes names', () => {
    expect(dotOf(nested)).toContain('s1 -> s6 [label="done", ltail=cluster_s1]');
    expect(dotOf({ initial: 'a"\\b', states: { 'a"\\b': {} } })).toContain('[label="a\\"\\\\b"]');
  });
});
