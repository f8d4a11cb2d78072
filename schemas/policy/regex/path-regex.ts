import { setHolds, singleOf } from './character-set.js';
import { parseRegex } from './parse.js';
import { compileRegex, type Instruction } from './program.js';
import type { Regex } from './syntax.js';

const NEWLINE = 10;

/** Characters that every match begins with. */
const prefixOf = (regex: Regex): string => {
  let prefix = '';
  for (const part of regex.kind === 'sequence' ? regex.parts : [regex]) {
    if (part.kind === 'begin' && prefix === '') continue;
    const single = part.kind === 'set' ? singleOf(part.set) : undefined;
    if (single === undefined) break;
    prefix += String.fromCodePoint(single);
  }
  return prefix;
};

/**
 * A regular expression over paths that matches as Python's `re.match`: from the beginning, and not necessarily to the end. All
 * ways through it are followed at once, so that the work is at most its size times the length of the path.
 */
export class PathRegex {
  /** Steps of the program, for those who bound how much a document may hold. */
  readonly size: number;
  readonly #program: readonly Instruction[];
  readonly #prefix: string;
  /** By place in the program, the round in which it was reached last. */
  readonly #reached: Uint32Array;
  #round = 0;

  /** Throws RegexRefused. */
  constructor(readonly text: string) {
    const regex = parseRegex(text);
    this.#program = compileRegex(regex);
    this.#prefix = prefixOf(regex);
    this.size = this.#program.length;
    this.#reached = new Uint32Array(this.size);
  }

  matches(path: string): boolean {
    if (!path.startsWith(this.#prefix)) return false;
    const points = Array.from(path, (c) => c.codePointAt(0)!);
    let places = [0];
    for (let at = 0; ; at++) {
      const open = this.#follow(places, points, at);
      if (open === null) return true;
      const point = points[at];
      if (point === undefined || open.length === 0) return false;
      places = open.filter((place) => this.#takes(place, point)).map((place) => place + 1);
    }
  }

  #takes(place: number, point: number): boolean {
    const instruction = this.#program[place]!;
    return instruction.op === 'set' && setHolds(instruction.set, point);
  }

  /** All sets that can be reached without taking a character; null: the end can. */
  #follow(from: readonly number[], points: readonly number[], at: number): number[] | null {
    this.#newRound();
    const open: number[] = [];
    const stack = [...from];
    for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
      if (this.#reached[place] === this.#round) continue;
      this.#reached[place] = this.#round;
      const instruction = this.#program[place]!;
      if (instruction.op === 'match') return null;
      if (instruction.op === 'set') open.push(place);
      else if (instruction.op === 'jump') stack.push(instruction.to);
      else if (instruction.op === 'split') stack.push(instruction.to, instruction.or);
      else if (holdsAt(instruction.op, points, at)) stack.push(place + 1);
    }
    return open;
  }

  #newRound(): void {
    if (this.#round === 0xffffffff) {
      this.#reached.fill(0);
      this.#round = 0;
    }
    this.#round++;
  }
}

const holdsAt = (place: 'begin' | 'end' | 'very-end', points: readonly number[], at: number): boolean => {
  if (place === 'begin') return at === 0;
  if (at === points.length) return true;
  return place === 'end' && at === points.length - 1 && points[at] === NEWLINE;
};
