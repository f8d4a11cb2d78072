import { type Known, Opaque, Real, UNKNOWN, type Value } from '../../schemas/policy/value.js';

/** A value in a snapshot: JSON's own where it has one, else an object of one letter. */
export const valueToJson = (value: Known | undefined): unknown => {
  if (value === undefined) return { m: 1 };
  if (value === UNKNOWN) return { u: 1 };
  if (typeof value === 'bigint') return { b: value.toString() };
  if (value instanceof Real) return { r: Object.is(value.value, -0) ? '-0' : String(value.value) };
  if (value instanceof Opaque) return { h: value.hash };
  return value;
};

export const valueFromJson = (json: unknown): Known | undefined => {
  if (json === null || typeof json !== 'object') return json as Value;
  const tagged = json as { m?: 1; u?: 1; b?: string; r?: string; h?: string };
  if (tagged.m !== undefined) return undefined;
  if (tagged.b !== undefined) return BigInt(tagged.b);
  if (tagged.r !== undefined) return new Real(Number(tagged.r));
  if (tagged.h !== undefined) return new Opaque(tagged.h);
  return UNKNOWN;
};
