import type { ShapeKind } from './shapes.js';

/**
 * A value as JSON has it, with integers beyond 2^53 as bigints. A pointer is its address, an enum its name, or its number where it
 * has none; a character its code, characters in a row are text; a structure an object. Null within one: not known, or too deep.
 */
export type ParameterValue =
  | number
  | bigint
  | boolean
  | string
  | null
  | readonly ParameterValue[]
  | { readonly [member: string]: ParameterValue };

/** A parameter as a look shows it. Exactly one of `value` and `unavailable` is set. */
export interface DecodedParameter {
  readonly name: string;
  /** As the source has it: `int`, `const char *`. */
  readonly type: string;
  readonly kind: ValueKind;
  readonly value: ParameterValue;
  /** `entry`: what was passed; `current`: what it is by now, which may be another value. */
  readonly valueKind: 'entry' | 'current';
  /** Number behind an enum's name or a pointer; null otherwise. */
  readonly number: number | bigint | null;
  /** `fbreg -20`, '' if nowhere. */
  readonly location: string;
  /** '' if there is a value. */
  readonly unavailable: string;
}

export type ValueKind = Exclude<ShapeKind, 'reference'>;

/** A value, or why there is none. */
export interface Decoded {
  readonly kind: ValueKind;
  readonly value: ParameterValue;
  readonly number: number | bigint | null;
  readonly why: string;
}
