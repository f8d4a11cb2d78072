import type { World } from '../../processors/engine/fold.js';
import { type RuntimeEvents, runtimeFold } from '../../processors/runtime/fold.js';
import type { HostState } from '../../processors/runtime/host-state.js';
import type { Policy } from '../../schemas/policy/policy.js';
import type { Gap, Look, ProcessEvent, RecordName, Records, Verdict } from '../../schemas/records.js';
import { taggedHash } from '../../schemas/tagged-hash.js';
import type { Said } from './runtime.js';
import type { Choices } from './timeline-random.js';
import { PROCESS, type Unplaced } from './timeline-sample.js';

export const STREAM = taggedHash('test', 'timeline');

export type Placed = { readonly type: RuntimeEvents; readonly record: Look | ProcessEvent | Gap };

/** Numbers records; `lost` ones leave a hole in the numbers, `dropped` ones were never written, `told` ones are replaced by a gap. */
export const place = (
  records: readonly Unplaced[],
  choices: Choices,
  shape: { readonly lost: number; readonly dropped: number; readonly told: number },
): Placed[] => {
  const placed: Placed[] = [];
  let seq = 0;
  for (const { type, record } of records) {
    if (type === 'Look') {
      if (choices.chance(shape.dropped)) continue;
      if (choices.chance(shape.lost)) {
        seq++;
        continue;
      }
      if (choices.chance(shape.told)) {
        const { at, notBefore } = record;
        placed.push({
          type: 'Gap',
          record: {
            stream: STREAM,
            seq: seq++,
            at,
            notBefore,
            process: choices.of(['', PROCESS]),
            reason: 'test',
            lost: 1,
          },
        });
        continue;
      }
    }
    placed.push({ type, record: { ...record, stream: STREAM, seq: seq++ } as Look | ProcessEvent });
  }
  return placed;
};

export const saidOf = (placed: readonly Placed[], host = 'h'): Said[] =>
  placed.map(({ type, record }) => ({ host, type: type as RecordName, record: record as Records[RecordName] }));

/** Feeds a fold without an engine, one record at a time, so that its state can be looked into. */
export class Judge {
  readonly fold;
  readonly verdicts: Verdict[] = [];
  state: HostState;
  #seq = -1;
  #now = 0;

  constructor(policy: Policy) {
    this.fold = runtimeFold({ policies: [policy] });
    this.state = this.fold.initial('h');
  }

  take({ type, record }: Placed): void {
    const missing = record.seq - this.#seq - 1;
    this.#seq = record.seq;
    const late = record.at < this.#now;
    this.#now = Math.max(this.#now, record.notBefore);
    const world: World = {
      now: this.#now,
      late,
      coordinates: { topic: 'memory', partition: 0, offset: record.seq },
      stream: STREAM.toString('hex'),
      seq: record.seq,
      tick: null,
      missing,
      head: null,
      follow: () => null,
      reached: () => -1,
      say: () => undefined,
      emit: (verdict) => this.verdicts.push(verdict),
      wake: () => {},
      sleep: () => {},
      refuse: (_code, reason) => {
        throw new Error(reason);
      },
    };
    this.state = this.fold.step(this.state, type, record as never, world);
  }
}
