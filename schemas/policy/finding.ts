import { type Path, showPath } from './problems.js';

/** Something that a valid policy says and its writer hardly means. */
export interface Finding {
  readonly code:
    | 'unreachable-state'
    | 'unused-function'
    | 'dead-end'
    | 'unused-parameter'
    | 'unused-variable'
    | 'constant-guard'
    | 'unreachable-deadline'
    | 'never-violated';
  /** Place in the document, e.g. `machine.states.idle`. */
  readonly path: string;
  readonly message: string;
}

export const finding = (code: Finding['code'], path: Path, message: string): Finding => ({
  code,
  path: showPath(path),
  message,
});
