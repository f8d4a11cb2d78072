import type { Snapshot } from '../../infra/log/event-log.js';
import { AttestreamError } from '../../schemas/errors.js';

/** Names the sink's snapshots; another version of it would cut or number rows otherwise. */
export const SINK_FOLD = 'sink@1';
export const SINK_GROUP = 'sink';

/** A chunk of rows that is about to be inserted: enough to make the same rows again. */
export interface Intent {
  /** Offsets [first, next) of the source partition. */
  readonly first: number;
  readonly next: number;
  readonly firstRow: number;
  readonly rows: number;
  /** µs */
  readonly ingestedAt: number;
}

/** How far one table's rows of one partition have come. */
export interface Position {
  /** All offsets below are done with, and took the rows below `row`. */
  readonly next: number;
  readonly row: number;
  /** The chunk sent last; done if it ends at or before `next`. */
  readonly intent: Intent | null;
}

const NONE = Buffer.alloc(0);

export const positionSnapshot = (table: string, position: Position): Snapshot => ({
  key: Buffer.from(table),
  fold: SINK_FOLD,
  clock: 0,
  lastAt: 0,
  issued: -1,
  state: Buffer.from(JSON.stringify(position)),
  timers: [],
  seen: [],
  told: [],
  digest: NONE,
  conclusions: NONE,
});

/** The position of `table` among a lease's snapshots; null if it never had one. Throws SNAPSHOT_FOREIGN. */
export const findPosition = async (table: string, snapshots: AsyncIterable<Snapshot>): Promise<Position | null> => {
  let found: Position | null = null;
  for await (const { key, fold, state } of snapshots) {
    if (key.toString() !== table || state === null) continue;
    if (fold !== SINK_FOLD)
      throw new AttestreamError(
        'SNAPSHOT_FOREIGN',
        `the sink's position in ${table} was left by ${fold}, not ${SINK_FOLD}`,
      );
    found = JSON.parse(state.toString()) as Position;
  }
  return found;
};
