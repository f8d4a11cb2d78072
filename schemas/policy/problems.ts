import { AttestreamError } from '../errors.js';

/** Where in a document something stands: keys and list positions from the top. */
export type Path = readonly (string | number)[];

export interface Problem {
  readonly path: Path;
  readonly what: string;
  /** What to do instead; empty if the text of the problem says it all. */
  readonly suggestion: string;
}

/** More would help nobody. */
const MAX_SHOWN = 50;

const PLAIN = /^[A-Za-z_$][\w$-]*$/;

/** `machine.states.idle.on["a b"][0]`, the form in which messages name a place. */
export const showPath = (path: Path): string =>
  path.length === 0
    ? '(document)'
    : path
        .map((step, i) =>
          typeof step === 'number'
            ? `[${step}]`
            : PLAIN.test(step)
              ? `${i === 0 ? '' : '.'}${step}`
              : `[${JSON.stringify(step)}]`,
        )
        .join('');

/**
 * Collects what is wrong with a document, so that one run shows it all: up to MAX_SHOWN problems, since the document chooses
 * how many there are and each costs a search for what was meant. `locate` gives `LINE:COLUMN` of a path, where it is known.
 */
export class Problems {
  readonly found: Problem[] = [];

  constructor(
    readonly file: string,
    readonly locate: (path: Path) => string | undefined = () => undefined,
  ) {}

  /** Throws POLICY_INVALID at the last one that is shown. */
  add(path: Path, what: string, suggestion = ''): void {
    this.found.push({ path, what, suggestion });
    if (this.found.length >= MAX_SHOWN) this.throwIfAny();
  }

  /** Throws POLICY_INVALID if anything was found. */
  throwIfAny(): void {
    const [first] = this.found;
    if (first === undefined) return;
    const { length } = this.found;
    const count = length === 1 ? 'a problem' : length < MAX_SHOWN ? `${length} problems` : `${length} problems or more`;
    const lines = this.found.map(({ path, what, suggestion }) => {
      const place = this.locate(path);
      return `  ${place === undefined ? '' : `${place} `}${showPath(path)}: ${what}${suggestion === '' ? '' : `; ${suggestion}`}`;
    });
    throw new AttestreamError('POLICY_INVALID', `${this.file}: ${count} in the policy\n${lines.join('\n')}`, {
      path: `${this.file}#${showPath(first.path)}`,
    });
  }
}
