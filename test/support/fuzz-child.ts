// node --expose-gc --import ./test/support/typescript.mjs test/support/fuzz-child.ts NAME BUDGET-JSON MARK-FILE
import { openSync, writeSync } from 'node:fs';
import { type FuzzBudget, type FuzzTarget, fuzz } from './fuzz.js';

const [name, budget, mark] = process.argv.slice(2) as [string, string, string];
const { target } = (await import(new URL(`../fuzz/${name}.fuzz.ts`, import.meta.url).href)) as { target: FuzzTarget };
// The number of the input at work, where whoever has to kill this process finds it.
const file = openSync(mark, 'w');
const number = Buffer.alloc(8);
const report = fuzz(target, JSON.parse(budget) as FuzzBudget, (at) => {
  number.writeDoubleLE(at);
  writeSync(file, number, 0, 8, 0);
});
const { failure } = report;
const told = { ...report, failure: failure === null ? null : { ...failure, input: failure.input.toString('base64') } };
process.stdout.write(`${JSON.stringify(told)}\n`, () => process.exit(0));
