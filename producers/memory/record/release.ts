import { createHmac, randomBytes } from 'node:crypto';
import type { Policy } from '../../../schemas/policy/policy.js';
import type { Parameter, ValueType } from '../../../schemas/records.js';
import type { DecodedParameter } from '../dwarf/values.js';

const TYPES: Readonly<Record<DecodedParameter['kind'], ValueType>> = {
  int: 'int',
  char: 'int',
  uint: 'uint',
  bool: 'bool',
  float: 'double',
  enum: 'enum',
  pointer: 'uint',
  text: 'string',
  other: 'unknown',
};

const NOTHING = { int: null, real: null, text: null } as const;

const unavailable = (name: string, why: string): Parameter => ({
  name,
  type: 'unknown',
  kind: 'unavailable',
  ...NOTHING,
  text: why,
});

const wholeNumber = (value: number | bigint): Pick<Parameter, 'int' | 'real' | 'text'> =>
  typeof value === 'bigint' ? { ...NOTHING, text: value.toString() } : { ...NOTHING, int: value };

const inClear = (parameter: DecodedParameter): Parameter => {
  const { name, value, number } = parameter;
  const head = { name, type: TYPES[parameter.kind], kind: parameter.valueKind };
  switch (parameter.kind) {
    case 'bool':
      return { ...head, ...NOTHING, int: value === true ? 1 : 0 };
    case 'float':
      return { ...head, ...NOTHING, real: Number(value) };
    case 'enum':
      return { ...head, ...wholeNumber(number ?? 0), ...(typeof value === 'string' ? { text: value } : {}) };
    case 'text':
      return { ...head, ...NOTHING, text: String(value) };
    case 'pointer':
      return { ...head, ...wholeNumber(number ?? 0) };
    default:
      return { ...head, ...wholeNumber(value as number | bigint) };
  }
};

/** Equal values have equal texts, whatever width the program stores them in. */
const canonical = ({ kind, value, number }: DecodedParameter): string =>
  kind === 'enum' || kind === 'pointer'
    ? `whole:${number}`
    : kind === 'int' || kind === 'uint' || kind === 'char'
      ? `whole:${value}`
      : `${kind}:${value}`;

/** What of a watched function's parameters may leave the host: nothing that the policy does not name. */
export class Release {
  readonly #policy: Policy | null;
  readonly #key: Buffer;

  /** `key` makes hashes comparable within what shares it, and nowhere else. */
  constructor(policy: Policy | null, key: Buffer = randomBytes(32)) {
    this.#policy = policy;
    this.#key = key;
  }

  apply(functionName: string, parameters: readonly DecodedParameter[]): Parameter[] {
    const rules = this.#policy?.functions.get(functionName)?.parameters;
    if (rules === undefined) return [];
    return parameters.map((parameter) => {
      const release = rules.get(parameter.name)?.release ?? 'none';
      if (release === 'none') return unavailable(parameter.name, 'not released by the policy');
      if (parameter.value === null) return unavailable(parameter.name, parameter.unavailable);
      if (release === 'clear') return inClear(parameter);
      const text = createHmac('sha256', this.#key).update(canonical(parameter), 'utf8').digest('hex');
      return { name: parameter.name, type: 'hash', kind: parameter.valueKind, ...NOTHING, text };
    });
  }
}
