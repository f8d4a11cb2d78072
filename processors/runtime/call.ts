import type { Policy } from '../../schemas/policy/policy.js';
import { type Known, Opaque, Real, type ScalarType, UNKNOWN } from '../../schemas/policy/value.js';
import type { Micros, Parameter } from '../../schemas/records.js';

/** Where an event stands: what a verdict rests on. */
export interface Source {
  readonly stream: string;
  readonly seq: number;
  readonly offset: number;
}

/** One call as a machine takes it. */
export interface Call {
  /** Index into `Machine.events`; several where the frame's address belongs to more than one function. */
  readonly events: readonly number[];
  readonly function: string;
  readonly thread: number;
  readonly callers: readonly string[];
  /** In the order of `Policy.parameterNames`; undefined: the function has no such parameter. */
  readonly args: readonly (Known | undefined)[];
  /** The call started in [notBefore, at]. */
  readonly notBefore: Micros;
  readonly at: Micros;
  readonly source: Source;
}

const integer = (parameter: Parameter): Known => {
  if (parameter.int !== null) return parameter.int;
  if (parameter.text === null || !/^-?\d{1,20}$/.test(parameter.text)) return UNKNOWN;
  const value = BigInt(parameter.text);
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
};

const observed = (parameter: Parameter): Known => {
  switch (parameter.type) {
    case 'int':
    case 'uint':
      return integer(parameter);
    case 'enum':
      return parameter.text ?? integer(parameter);
    case 'bool':
      return parameter.int === null ? UNKNOWN : parameter.int === 1;
    case 'double':
      return parameter.real === null ? UNKNOWN : new Real(parameter.real);
    case 'string':
      return parameter.text ?? UNKNOWN;
    case 'hash':
      return parameter.text === null ? UNKNOWN : new Opaque(parameter.text);
    default:
      return UNKNOWN;
  }
};

/** An observed value as the policy's type; unknown where it does not fit, since a wrong value is worse than none. */
const typed = (value: Known, type: ScalarType): Known => {
  if (value === UNKNOWN) return UNKNOWN;
  switch (type) {
    case 'dyn':
      return value;
    case 'int':
    case 'uint':
      return typeof value === 'number' || typeof value === 'bigint'
        ? value
        : typeof value === 'boolean'
          ? Number(value)
          : UNKNOWN;
    case 'double':
      return value instanceof Real
        ? value
        : typeof value === 'number' || typeof value === 'bigint'
          ? new Real(Number(value))
          : UNKNOWN;
    case 'bool':
      return typeof value === 'boolean' ? value : value === 0 ? false : value === 1 ? true : UNKNOWN;
    case 'string':
      return typeof value === 'string' ? value : UNKNOWN;
    case 'enum':
      return typeof value === 'string' || typeof value === 'number' ? value : UNKNOWN;
    case 'hash':
      return value instanceof Opaque ? value : UNKNOWN;
  }
};

/** How calls of one function are taken by one policy: made once per function. */
export interface CallPlan {
  /** Its index in `Machine.events`, alone: complete observations know the function. */
  readonly events: readonly [number];
  /** Template of `args`: UNKNOWN where the function has the parameter, undefined elsewhere. */
  readonly blank: readonly (Known | undefined)[];
  readonly places: ReadonlyMap<string, { readonly place: number; readonly type: ScalarType; readonly stable: boolean }>;
  /** Place of the parameter that is the key of the slice; −1: none. */
  readonly slicePlace: number;
}

export const callPlan = (policy: Policy, name: string, event: number): CallPlan => {
  const rule = policy.functions.get(name);
  const blank = policy.parameterNames.map((parameter): Known | undefined =>
    rule?.parameters.has(parameter) ? UNKNOWN : undefined,
  );
  const places = new Map(
    [...(rule?.parameters ?? [])].map(([parameter, { type }]) => [
      parameter,
      {
        place: policy.parameterNames.indexOf(parameter),
        type,
        stable: policy.assume.stable.has(`${name}.${parameter}`),
      },
    ]),
  );
  const key = policy.slice?.by === 'parameter' ? policy.slice.keys.get(name) : undefined;
  return { events: [event], blank, places, slicePlace: key === undefined ? -1 : policy.parameterNames.indexOf(key) };
};

/**
 * Writes a call's arguments into `into`. What was not observed, and what shows a value now instead of the argument (unless the
 * policy declares it stable), stays unknown. Returns the names of the stable declarations that it relied on.
 */
export const fillArguments = (
  plan: CallPlan,
  parameters: readonly Parameter[],
  into: (Known | undefined)[],
): boolean => {
  const { blank, places } = plan;
  for (let i = 0; i < blank.length; i++) into[i] = blank[i];
  let stable = false;
  for (let i = 0; i < parameters.length; i++) {
    const parameter = parameters[i]!;
    const place = places.get(parameter.name);
    if (place === undefined || parameter.kind === 'unavailable') continue;
    if (parameter.kind === 'current') {
      if (!place.stable) continue;
      stable = true;
    }
    into[place.place] = typed(observed(parameter), place.type);
  }
  return stable;
};
