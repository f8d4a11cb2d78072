import { isAttestreamError } from '../../schemas/errors.js';
import { mutated } from './mutate.js';

/**
 * A parser to be fuzzed: `test/fuzz/NAME.fuzz.ts` exports one as `target`. Inputs are well-formed ones broken by seeded
 * mutations, so that most get past the first check.
 */
export interface FuzzTarget {
  /** Well-formed inputs, at least one; called once. */
  readonly seeds: () => readonly Buffer[];
  /**
   * Feeds one input. To return is fine, and so is an AttestreamError other than INTERNAL: input was refused. Anything else
   * that is thrown is a failure; throw one yourself where something was accepted that must not be.
   */
  readonly run: (input: Buffer) => void;
  /** Longest input, in bytes; default 64 KiB. */
  readonly maxBytes?: number;
  /** What one input may take, in ms of the processor; default 1000. */
  readonly maxMillis?: number;
  /** What one input may allocate as one buffer, in bytes; default 64 MiB. */
  readonly maxAllocation?: number;
}

export interface FuzzBudget {
  readonly seed: number;
  /** Stops after so many inputs… */
  readonly inputs?: number;
  /** …or after so many seconds of the processor. */
  readonly cpuSeconds?: number;
  /** Number of the first input; default 0. */
  readonly from?: number;
}

export interface FuzzFailure {
  readonly number: number;
  readonly reason: string;
  readonly input: Buffer;
}

export interface FuzzReport {
  readonly inputs: number;
  readonly refused: number;
  readonly cpuSeconds: number;
  readonly failure: FuzzFailure | null;
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Memory that is still held after a collection, where `--expose-gc` allows one. */
const held = (): number => {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** Growth over a whole run that is no longer noise. */
const MAX_GROWTH = 64 * 1024 * 1024;
/** Inputs until caches and compiled code stand as they will. */
const WARM = 2000;
const CHECK_EVERY = 64;

class TooLarge extends Error {}

/** Lets no buffer be made that is larger than `most`; gives back how to undo it. */
const guardAllocations = (most: number): (() => void) => {
  const names = ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const;
  const before = names.map((name) => Buffer[name]);
  for (const [i, name] of names.entries()) {
    const allocate = before[i] as (size: number, ...rest: unknown[]) => Buffer;
    Object.assign(Buffer, {
      [name]: (size: number, ...rest: unknown[]): Buffer => {
        if (size > most) throw new TooLarge(`Buffer.${name}(${size})`);
        return allocate.call(Buffer, size, ...rest);
      },
    });
  }
  return () => {
    for (const [i, name] of names.entries()) Object.assign(Buffer, { [name]: before[i] });
  };
};

/** What is wrong with how the target took the input; null if nothing is. `refused` counts with it. */
const failureOf = (target: FuzzTarget, input: Buffer, counts: { refused: number }): string | null => {
  const begun = cpuSeconds();
  try {
    target.run(input);
  } catch (error) {
    if (!isAttestreamError(error) || error.code === 'INTERNAL')
      return error instanceof Error ? (error.stack ?? error.message) : String(error);
    counts.refused++;
  }
  const took = (cpuSeconds() - begun) * 1000;
  const most = target.maxMillis ?? 1000;
  // A pause of the collector or a compilation is no fault of the input: it has to be slow again.
  if (took <= most) return null;
  const again = cpuSeconds();
  try {
    target.run(input);
  } catch {
    // Seen above.
  }
  const second = (cpuSeconds() - again) * 1000;
  return second <= most ? null : `took ${Math.round(second)} ms`;
};

/** Fuzzes in this process until the budget is spent or the first failure. `onInput` hears the number before each input. */
export const fuzz = (
  target: FuzzTarget,
  budget: FuzzBudget,
  onInput: (number: number) => void = () => {},
): FuzzReport => {
  const { seed, inputs = Number.POSITIVE_INFINITY, cpuSeconds: most = Number.POSITIVE_INFINITY, from = 0 } = budget;
  const seeds = target.seeds();
  const maxBytes = target.maxBytes ?? 64 * 1024;
  const counts = { refused: 0 };
  const begun = cpuSeconds();
  const report = (done: number, failure: FuzzFailure | null): FuzzReport => ({
    inputs: done,
    refused: counts.refused,
    cpuSeconds: cpuSeconds() - begun,
    failure,
  });
  for (const [i, input] of seeds.entries()) {
    const before = counts.refused;
    const reason = failureOf(target, Buffer.from(input), counts);
    if (reason !== null || counts.refused > before)
      return report(0, { number: -1, reason: `well-formed input ${i} is not accepted: ${reason ?? 'refused'}`, input });
  }
  const unguard = guardAllocations(target.maxAllocation ?? 64 * 1024 * 1024);
  let warm = 0;
  try {
    for (let done = 0; ; done++) {
      if (done >= inputs || (done % CHECK_EVERY === 0 && cpuSeconds() - begun >= most)) {
        const grown = done > 2 * WARM ? held() - warm : 0;
        if (grown <= MAX_GROWTH) return report(done, null);
        const reason = `memory grew by ${Math.round(grown / 2 ** 20)} MiB over the run`;
        return report(done, { number: from + done, reason, input: Buffer.alloc(0) });
      }
      if (done === WARM) warm = held();
      const number = from + done;
      onInput(number);
      const input = mutated(seeds, seed, number, maxBytes);
      const reason = failureOf(target, input, counts);
      if (reason !== null) return report(done + 1, { number, reason, input });
    }
  } finally {
    unguard();
  }
};
