import { createHmac, randomBytes } from 'node:crypto';
import { integerParameter } from '../../../schemas/parameter.js';
import type { ParameterRule, Policy } from '../../../schemas/policy/policy.js';
import type { Parameter, ValueType } from '../../../schemas/records.js';
import type { DecodedParameter, ParameterValue } from '../dwarf/values.js';

const TYPES: Readonly<Record<DecodedParameter['kind'], ValueType>> = {
  int: 'int',
  char: 'int',
  uint: 'uint',
  bool: 'bool',
  float: 'double',
  enum: 'enum',
  pointer: 'uint',
  text: 'string',
  struct: 'string',
  array: 'string',
  other: 'unknown',
};

/** One literal with every member written out: copying objects into objects costs several times more, for each value of each look. */
const told = (
  name: string,
  type: ValueType,
  kind: Parameter['kind'],
  int: number | null,
  real: number | null,
  text: string | null,
): Parameter => ({ name, type, kind, int, real, text });

const unavailable = (name: string, why: string): Parameter => told(name, 'unknown', 'unavailable', null, null, why);

/** Structures and arrays as JSON, integers in full. */
const compositeText = (value: ParameterValue): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'bigint' || (typeof part === 'number' && !Number.isFinite(part)) ? String(part) : part,
  );

const inClear = ({ name, value, number, kind, valueKind }: DecodedParameter): Parameter => {
  const type = TYPES[kind];
  switch (kind) {
    case 'bool':
      return told(name, type, valueKind, value === true ? 1 : 0, null, null);
    case 'float':
      return told(name, type, valueKind, null, Number(value), null);
    case 'enum': {
      if (typeof value !== 'string') return integerParameter(name, number ?? 0, valueKind, type);
      // A number too large for its place leaves the name alone.
      return told(name, type, valueKind, integerParameter(name, number ?? 0, valueKind, type).int, null, value);
    }
    case 'text':
      return told(name, type, valueKind, null, null, String(value));
    case 'struct':
    case 'array':
      return told(name, type, valueKind, null, null, typeof value === 'string' ? value : compositeText(value));
    case 'pointer':
      return integerParameter(name, number ?? 0, valueKind, type);
    default:
      return integerParameter(name, value as number | bigint, valueKind, type);
  }
};

/** Equal values have equal texts, whatever width the program stores them in. */
const canonical = ({ kind, value, number }: DecodedParameter): string =>
  kind === 'enum' || kind === 'pointer'
    ? `whole:${number}`
    : kind === 'int' || kind === 'uint' || kind === 'char'
      ? `whole:${value}`
      : `${kind}:${typeof value === 'object' ? compositeText(value) : value}`;

/** What a policy lets leave the host. */
export type ReleaseRules = Pick<Policy, 'functions' | 'globals' | 'syscalls' | 'threadNames'>;

/** The rules of a policy, apart from the rest of it; without a policy nothing but names of functions leaves. */
export const releaseRules = (policy: ReleaseRules | null): ReleaseRules => ({
  functions: policy?.functions ?? new Map(),
  globals: policy?.globals ?? new Map(),
  syscalls: policy?.syscalls ?? new Map(),
  threadNames: policy?.threadNames ?? 'none',
});

/** What of a program's values may leave the host: nothing that the policy does not name. */
export class Release {
  readonly #rules: ReleaseRules;
  readonly #key: Buffer;

  /** `key` makes hashes comparable within what shares it, and nowhere else. */
  constructor(rules: ReleaseRules | null, key: Buffer = randomBytes(32)) {
    this.#rules = rules ?? releaseRules(null);
    this.#key = key;
  }

  /** Parameters of a call. */
  apply(functionName: string, parameters: readonly DecodedParameter[]): Parameter[] {
    const rules = this.#rules.functions.get(functionName)?.parameters;
    return rules === undefined ? [] : parameters.map((parameter) => this.#release(parameter, rules));
  }

  globals(values: readonly DecodedParameter[]): Parameter[] {
    return values.map((value) => this.#release(value, this.#rules.globals));
  }

  /** Arguments of a system call as the kernel prints them, `0x…`; those that the policy does not name do not even show their place. */
  syscall(name: string | null, values: readonly string[]): Parameter[] {
    const rules = name === null ? undefined : this.#rules.syscalls.get(name);
    if (rules === undefined) return [];
    return values.flatMap((value, i): Parameter[] => {
      const release = rules.get(`a${i}`) ?? 'none';
      if (release === 'none') return [];
      const number = BigInt(value);
      const name = `a${i}`;
      if (release === 'hash') return [told(name, 'hash', 'current', null, null, this.#hash(`whole:${number}`))];
      return [integerParameter(name, number, 'current', 'uint')];
    });
  }

  threadName(name: string): string {
    const release = this.#rules.threadNames;
    return release === 'clear' ? name : release === 'hash' ? this.#hash(`name:${name}`) : '';
  }

  #release(parameter: DecodedParameter, rules: ReadonlyMap<string, ParameterRule>): Parameter {
    const release = rules.get(parameter.name)?.release ?? 'none';
    if (release === 'none') return unavailable(parameter.name, 'not released by the policy');
    if (parameter.value === null)
      // Why there is no value may tell of the value: an address, a length.
      return unavailable(parameter.name, release === 'clear' ? parameter.unavailable : 'no value');
    if (release === 'clear') return inClear(parameter);
    return told(parameter.name, 'hash', parameter.valueKind, null, null, this.#hash(canonical(parameter)));
  }

  #hash(text: string): string {
    return createHmac('sha256', this.#key).update(text, 'utf8').digest('hex');
  }
}
