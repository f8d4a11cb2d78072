import type { Known } from '../../schemas/policy/value.js';
import type { Call } from './call.js';
import type { Kept } from './history.js';
import { valueFromJson, valueToJson } from './value-json.js';

/** What calls of one function have in common. */
interface Kind {
  readonly function: string;
  readonly events: readonly number[];
  readonly callers: readonly string[];
  /** Length of the arguments, and the places of those that the function has. */
  readonly arity: number;
  readonly places: readonly number[];
}

/**
 * Calls in a snapshot, column by column: a history is written at every commit, and numbers in lists cost a tenth of objects.
 * Times, sequence numbers and offsets are differences from the call before.
 */
export interface CallColumns {
  readonly kinds: readonly Kind[];
  readonly streams: readonly string[];
  readonly kind: readonly number[];
  readonly thread: readonly number[];
  readonly at: readonly number[];
  /** `at` − `notBefore`. */
  readonly width: readonly number[];
  readonly stream: readonly number[];
  readonly seq: readonly number[];
  readonly offset: readonly number[];
  /** As many as the call's kind has places. */
  readonly args: readonly unknown[];
}

const sameList = <T>(a: readonly T[], b: readonly T[]): boolean => {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};

const fits = (kind: Kind, { events, callers, args }: Call): boolean => {
  if (kind.arity !== args.length || !sameList(kind.events, events) || !sameList(kind.callers, callers)) return false;
  let places = 0;
  for (let i = 0; i < args.length; i++) if (args[i] !== undefined && kind.places[places++] !== i) return false;
  return places === kind.places.length;
};

const kindOf = ({ function: name, events, callers, args }: Call): Kind => ({
  function: name,
  events,
  callers,
  arity: args.length,
  places: [...args.keys()].filter((place) => args[place] !== undefined),
});

export const callsToJson = (calls: readonly Call[]): CallColumns => {
  const kinds: Kind[] = [];
  const byFunction = new Map<string, number[]>();
  const streams = new Map<string, number>();
  const columns = {
    kind: [] as number[],
    thread: [] as number[],
    at: [] as number[],
    width: [] as number[],
    stream: [] as number[],
    seq: [] as number[],
    offset: [] as number[],
    args: [] as unknown[],
  };
  let at = 0;
  let seq = 0;
  let offset = 0;
  for (const call of calls) {
    const { source, args } = call;
    const known = byFunction.get(call.function);
    let kind = known?.find((one) => fits(kinds[one]!, call));
    if (kind === undefined) {
      kind = kinds.push(kindOf(call)) - 1;
      if (known === undefined) byFunction.set(call.function, [kind]);
      else known.push(kind);
    }
    let stream = streams.get(source.stream);
    if (stream === undefined) {
      stream = streams.size;
      streams.set(source.stream, stream);
    }
    columns.kind.push(kind);
    columns.thread.push(call.thread);
    columns.at.push(call.at - at);
    columns.width.push(call.at - call.notBefore);
    columns.stream.push(stream);
    columns.seq.push(source.seq - seq);
    columns.offset.push(source.offset - offset);
    for (let i = 0; i < args.length; i++) if (args[i] !== undefined) columns.args.push(valueToJson(args[i]));
    ({ at } = call);
    ({ seq, offset } = source);
  }
  return { kinds, streams: [...streams.keys()], ...columns };
};

export const callsFromJson = (columns: CallColumns): Kept[] => {
  let at = 0;
  let seq = 0;
  let offset = 0;
  let next = 0;
  return columns.kind.map((number, i) => {
    const kind = columns.kinds[number]!;
    const args = new Array<Known | undefined>(kind.arity).fill(undefined);
    for (const place of kind.places) args[place] = valueFromJson(columns.args[next++]);
    at += columns.at[i]!;
    seq += columns.seq[i]!;
    offset += columns.offset[i]!;
    return {
      events: kind.events,
      function: kind.function,
      thread: columns.thread[i]!,
      callers: kind.callers,
      args,
      notBefore: at - columns.width[i]!,
      at,
      source: { stream: columns.streams[columns.stream[i]!]!, seq, offset },
    };
  });
};
