// `npm run fuzz [-- NAME… --inputs N | --seconds S --seed N --from N]`: feeds mutated inputs to the parsers of test/fuzz.
// A failure tells the seed and the number of its input, keeps it in .cache/fuzz, and ends with exit code 1.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import '../test/support/typescript.mjs';

const usage = (message) => {
  console.error(`${message}\nusage: npm run fuzz [-- NAME… --inputs N | --seconds S --seed N --from N]`);
  process.exit(2);
};

const number = (name, text) => {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) usage(`--${name} is not a number: ${text}`);
  return value;
};

const read = () => {
  const text = { type: 'string' };
  try {
    return parseArgs({ allowPositionals: true, options: { inputs: text, seconds: text, seed: text, from: text } });
  } catch (error) {
    return usage(error.message);
  }
};

const { values, positionals } = read();
const { fuzzAll, fuzzTargets } = await import('../test/support/fuzz-run.ts');
const known = fuzzTargets();
for (const name of positionals) if (!known.includes(name)) usage(`no target ${name}; there are ${known.join(', ')}`);

const budget = {
  seed: values.seed === undefined ? (Math.random() * 2 ** 31) | 0 : number('seed', values.seed),
  ...(values.from === undefined ? {} : { from: number('from', values.from) }),
  ...(values.seconds === undefined ? {} : { cpuSeconds: number('seconds', values.seconds) }),
  ...(values.inputs === undefined && values.seconds !== undefined
    ? {}
    : { inputs: number('inputs', values.inputs ?? '1000000') }),
};
console.error(`seed ${budget.seed}`);
const results = await fuzzAll(
  positionals.length > 0 ? positionals : known,
  () => budget,
  availableParallelism(),
  (result) => {
    const { name, inputs, refused, cpuSeconds, problem } = result;
    const rate = cpuSeconds > 0 ? Math.round(inputs / cpuSeconds).toLocaleString('en-US') : '-';
    console.log(
      `${name}: ${problem === null ? 'ok' : 'FAILED'}, ${inputs.toLocaleString('en-US')} inputs, ${refused.toLocaleString('en-US')} refused, ${cpuSeconds.toFixed(1)} CPU-seconds, ${rate}/s`,
    );
    if (problem !== null) console.log(`  ${problem}`);
  },
);
process.exitCode = results.some(({ problem }) => problem !== null) ? 1 : 0;
