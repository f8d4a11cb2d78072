import type { Instance } from './instance.js';
import type { Process } from './process.js';
import type { AttestedStreams } from './streams.js';

/** Everything that is known of one host. */
export interface HostState {
  readonly host: string;
  readonly processes: Map<string, Process>;
  /** Instances by the number of their timer. */
  readonly wakes: Map<number, Instance>;
  nextId: number;
  readonly streams: AttestedStreams;
}
