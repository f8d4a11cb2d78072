import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { FuzzBudget, FuzzReport, FuzzTarget } from './fuzz.js';
import { mutated } from './mutate.js';
import { ROOT } from './sources.js';

/** Without a new input for so long, a child hangs: it is killed and the input reported. */
const HANGS_AFTER_MS = 60_000;

const FOLDER = join(ROOT, 'test/fuzz');

/** Names of the targets: `test/fuzz/NAME.fuzz.ts`. */
export const fuzzTargets = (): string[] =>
  readdirSync(FOLDER)
    .filter((file) => file.endsWith('.fuzz.ts'))
    .map((file) => file.slice(0, -'.fuzz.ts'.length))
    .sort();

export interface FuzzResult {
  readonly name: string;
  readonly inputs: number;
  readonly refused: number;
  readonly cpuSeconds: number;
  /** What went wrong, with how to repeat it; null if nothing did. */
  readonly problem: string | null;
}

const inputOf = async (name: string, budget: FuzzBudget, number: number): Promise<Buffer> => {
  const { target } = (await import(`../fuzz/${name}.fuzz.ts`)) as { target: FuzzTarget };
  return mutated(target.seeds(), budget.seed, number, target.maxBytes ?? 64 * 1024);
};

const described = (name: string, budget: FuzzBudget, number: number, reason: string, input: Buffer): string => {
  const folder = join(ROOT, '.cache/fuzz');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name.replace(/\W+/g, '-')}-${budget.seed}-${number}.bin`);
  writeFileSync(file, input);
  return `${reason}\n  seed ${budget.seed}, input ${number}, ${input.length} bytes, kept as ${relative(ROOT, file)}\n  repeat: npm run fuzz -- ${name} --seed ${budget.seed} --from ${number} --inputs 1`;
};

/** Fuzzes one target in a process of its own, so that a hang, a crash or memory without end is caught and told. */
export const fuzzTarget = async (
  name: string,
  budget: FuzzBudget,
  hangsAfterMs: number = HANGS_AFTER_MS,
): Promise<FuzzResult> => {
  const folder = mkdtempSync(join(tmpdir(), 'attestream-fuzz-'));
  const mark = join(folder, 'mark');
  writeFileSync(mark, '');
  const at = (): number => {
    const bytes = readFileSync(mark);
    return bytes.length === 8 ? bytes.readDoubleLE(0) : -1;
  };
  const child = spawn(
    process.execPath,
    [
      '--expose-gc',
      '--max-old-space-size=512',
      '--disable-warning=ExperimentalWarning',
      '--import',
      './test/support/typescript.mjs',
      'test/support/fuzz-child.ts',
      name,
      JSON.stringify(budget),
      mark,
    ],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  try {
    // It takes what processor time others leave: some suites beside it look at live programs.
    if (child.pid !== undefined) setPriority(child.pid, 10);
  } catch {
    // It has ended already.
  }
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (data: Buffer) => output.push(data));
  child.stderr.on('data', (data: Buffer) => errors.push(data));
  let hung = false;
  let last = -1;
  let since = performance.now();
  const watch = setInterval(() => {
    const now = at();
    if (now !== last) {
      last = now;
      since = performance.now();
    } else if (performance.now() - since > hangsAfterMs) {
      hung = true;
      child.kill('SIGKILL');
    }
  }, 500);
  try {
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.on('close', (exit, by) => resolve([exit, by]));
      child.on('error', reject);
    });
    const text = Buffer.concat(output).toString('utf8');
    if (code !== 0 || text === '') {
      const number = at();
      const why = hung ? `no answer in ${hangsAfterMs / 1000} s` : `the process ended (${code ?? signal})`;
      const said = Buffer.concat(errors).toString('utf8').trim().slice(-2000);
      if (number < 0) return { name, inputs: 0, refused: 0, cpuSeconds: 0, problem: `${why}: ${said}` };
      const problem = described(name, budget, number, `${why}: ${said}`, await inputOf(name, budget, number));
      return { name, inputs: number, refused: 0, cpuSeconds: 0, problem };
    }
    const { failure, inputs, refused, cpuSeconds } = JSON.parse(text) as Omit<FuzzReport, 'failure'> & {
      failure: { number: number; reason: string; input: string } | null;
    };
    const problem =
      failure === null
        ? null
        : described(name, budget, failure.number, failure.reason, Buffer.from(failure.input, 'base64'));
    return { name, inputs, refused, cpuSeconds, problem };
  } finally {
    clearInterval(watch);
    rmSync(folder, { recursive: true, force: true });
  }
};

/** Fuzzes several targets, so many at once; results in the order of the names. */
export const fuzzAll = async (
  names: readonly string[],
  budgetOf: (name: string) => FuzzBudget,
  atOnce: number,
  onResult: (result: FuzzResult) => void = () => {},
): Promise<FuzzResult[]> => {
  const results: FuzzResult[] = new Array(names.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < names.length; i = next++) {
      results[i] = await fuzzTarget(names[i]!, budgetOf(names[i]!));
      onResult(results[i]!);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return results;
};
