import type { Assignment, Tick } from '../../schemas/records.js';
import { isSigned, type PinnedKeys } from '../../schemas/signed.js';

/** Why a controller record is not acted on; `copy`: an equal one was taken already, which is no fault. */
export type Refusal = { readonly refused: 'copy' } | { readonly refused: 'fault'; readonly message: string };

const fault = (message: string): Refusal => ({ refused: 'fault', message });

interface Remembered {
  readonly ticks: Readonly<Record<string, { number: number; signature: string }>>;
  readonly assignments: readonly { readonly [field: string]: unknown }[];
}

/**
 * What the controller said in one partition: newest tick per verifier, assignments in force. Records that a pinned key did
 * not sign, or whose number does not increase, are refused.
 */
export class Controller {
  readonly #keys: PinnedKeys;
  readonly #ticks = new Map<string, { number: number; signature: string }>();
  readonly #assignments = new Map<string, Assignment>();
  changed = false;

  constructor(keys: PinnedKeys) {
    this.#keys = keys;
  }

  tick(tick: Tick): Refusal | null {
    if (!isSigned('Tick', tick, this.#keys)) return fault(`tick ${tick.number} is not signed by a pinned key`);
    const verifier = tick.verifierId.toString('hex');
    const last = this.#ticks.get(verifier);
    const signature = tick.signature.toString('hex');
    if (last !== undefined && tick.number <= last.number)
      return tick.number === last.number && signature === last.signature
        ? { refused: 'copy' }
        : fault(`tick ${tick.number} comes after tick ${last.number}`);
    this.#ticks.set(verifier, { number: tick.number, signature });
    this.changed = true;
    return null;
  }

  assignment(assignment: Assignment): Refusal | null {
    if (!isSigned('Assignment', assignment, this.#keys))
      return fault(`assignment ${assignment.id} is not signed by a pinned key`);
    const last = this.#assignments.get(assignment.id);
    if (last !== undefined && assignment.version <= last.version)
      return assignment.signature.equals(last.signature)
        ? { refused: 'copy' }
        : fault(`assignment ${assignment.id} has version ${assignment.version}, ${last.version} is in force`);
    this.#assignments.set(assignment.id, assignment);
    this.changed = true;
    return null;
  }

  get assignments(): readonly Assignment[] {
    return [...this.#assignments.values()];
  }

  encode(): Buffer {
    const remembered: Remembered = {
      ticks: Object.fromEntries(this.#ticks),
      assignments: this.assignments.map((assignment) => ({
        ...assignment,
        verifierId: assignment.verifierId.toString('hex'),
        signature: assignment.signature.toString('hex'),
      })),
    };
    return Buffer.from(JSON.stringify(remembered));
  }

  restore(bytes: Buffer): void {
    const { ticks, assignments } = JSON.parse(bytes.toString('utf8')) as Remembered;
    for (const [verifier, tick] of Object.entries(ticks)) this.#ticks.set(verifier, tick);
    for (const plain of assignments) {
      const assignment = {
        ...plain,
        verifierId: Buffer.from(plain['verifierId'] as string, 'hex'),
        signature: Buffer.from(plain['signature'] as string, 'hex'),
      } as unknown as Assignment;
      this.#assignments.set(assignment.id, assignment);
    }
  }
}
