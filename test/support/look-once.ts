// node --import …/typescript.mjs look-once.ts PID FUNCTION COUNT: what looks at a process tell, as one JSON array.
import { readdirSync } from 'node:fs';
import { openTarget } from '../../producers/memory/sample/look.js';

const [pid, name, count] = process.argv.slice(2);
const target = openTarget(Number(pid));
const told = Array.from({ length: Number(count) }, () => {
  const look = target.look();
  return {
    threads: look.threads.length,
    found: look.threads.filter(({ frames }) => frames.some((frame) => frame.function === name)).length,
    reopened: look.reopened,
    open: readdirSync('/proc/self/fd').length,
    micros: look.micros,
  };
});
target.close();
console.log(JSON.stringify(told));
