import type { MachineConfig, Policy } from '../../schemas/policy/policy.js';
import type { ScalarType, Value } from '../../schemas/policy/value.js';

/** A policy around a machine, without the loader: functions with int parameters, and variables. */
export const machinePolicy = (
  machine: MachineConfig,
  functions: Readonly<Record<string, Readonly<Record<string, ScalarType>>>>,
  variables: Policy['variables'] = [],
): Policy => ({
  digest: `sha256:${'0'.repeat(64)}`,
  document: {},
  id: 'test',
  binary: 'any',
  image: null,
  functions: new Map(
    Object.entries(functions).map(([name, parameters]) => [
      name,
      { parameters: new Map(Object.entries(parameters).map(([key, type]) => [key, { type, release: 'clear' }])) },
    ]),
  ),
  parameterNames: [...new Set(Object.values(functions).flatMap((parameters) => Object.keys(parameters)))].sort(),
  machine,
  variables,
  unexpected: 'violation',
  afterViolation: null,
  openAtExit: 'ignore',
  onFork: 'copy',
  slice: null,
  maxSlices: 1000,
  lateness: { within: 10_000_000, events: 1000, beyond: 'list' },
  doubtAbove: 50_000,
  stop: 'never',
  globals: new Map(),
  syscalls: new Map(),
  threadNames: 'none',
  assume: { minDuration: new Map(), minCpu: new Map(), callsOnlyFrom: new Map(), stable: new Set() },
});

export const intVariable = (name: string, initial: Value = 0): Policy['variables'][number] => ({
  name,
  type: 'int',
  initial,
});

/** The thermostat of the documentation. */
export const thermostat = (): Policy =>
  machinePolicy(
    {
      initial: 'idle',
      context: { actuations: 0 },
      states: {
        idle: { on: { read_sensor: 'deciding' }, after: { 5000: 'late' } },
        deciding: {
          on: {
            actuate: {
              guard: 'args.level <= 80 && context.actuations < 1000',
              actions: { type: 'assign', params: { actuations: 'context.actuations + 1' } },
              target: 'idle',
            },
          },
        },
        late: { tags: ['violation'] },
      },
    },
    { read_sensor: { id: 'int' }, actuate: { level: 'int', valve: 'int' } },
    [intVariable('actuations')],
  );
