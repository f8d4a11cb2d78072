import { AttestreamError } from '../errors.js';

/** Where in a document something stands: keys and list positions from the top. */
export type Path = readonly (string | number)[];

export interface Problem {
  readonly path: Path;
  readonly what: string;
  /** What to do instead; empty if the text of the problem says it all. */
  readonly suggestion: string;
}

/** More would help nobody, and the document chooses how many there are. */
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

/** Collects everything that is wrong with a document, so that one run shows it all. */
export class Problems {
  readonly found: Problem[] = [];

  add(path: Path, what: string, suggestion = ''): void {
    this.found.push({ path, what, suggestion });
  }

  /** Throws POLICY_INVALID if anything was found. `locate` gives `LINE:COLUMN` of a path, where it is known. */
  throwIfAny(file: string, locate: (path: Path) => string | undefined = () => undefined): void {
    if (this.found.length === 0) return;
    const count = this.found.length === 1 ? 'a problem' : `${this.found.length} problems`;
    const lines = this.found.slice(0, MAX_SHOWN).map(({ path, what, suggestion }) => {
      const place = locate(path);
      return `  ${place === undefined ? '' : `${place} `}${showPath(path)}: ${what}${suggestion === '' ? '' : `; ${suggestion}`}`;
    });
    if (this.found.length > MAX_SHOWN) lines.push(`  … and ${this.found.length - MAX_SHOWN} more`);
    throw new AttestreamError('POLICY_INVALID', `${file}: ${count} in the policy\n${lines.join('\n')}`, {
      path: `${file}#${showPath(this.found[0]!.path)}`,
    });
  }
}
