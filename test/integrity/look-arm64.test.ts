import { beforeAll, describe, expect, test } from '@jest/globals';
import type { ParameterValue } from '../../producers/memory/dwarf/values.js';
import { asGdb, physical, type TrueThread, truthOf } from '../support/arm64-truth.js';
import { arm64Program, makeArm64Image, runArm64Machine } from '../support/arm64-vm.js';
import { noArm64Machine } from '../support/arm64-vm-parts.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';

/** A program as one of the vectors has it, with what gdb said of it there. */
interface Program {
  readonly vector: string;
  readonly program: string;
  readonly kind: string;
  /** Values that gdb knows and that hold in any run. */
  readonly values: number;
}
/** Signed return addresses beside the C library's, which are not; threads in four kinds of wait; and neither of both. */
const PROGRAMS: readonly Program[] = [
  { vector: 'c-O2-pac.epoll', program: 'c-O2-pac', kind: 'epoll', values: 5 },
  { vector: 'threads-O0', program: 'threads-O0', kind: '', values: 29 },
  { vector: 'c-O2.recv', program: 'c-O2', kind: 'recv', values: 5 },
];
const PROCESSORS = [
  { processor: 'max,pauth-impdef=on', signs: true },
  { processor: 'cortex-a72', signs: false },
] as const;

const INIT = `#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/local/bin HOME=/tmp
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs t /tmp; mount -t tmpfs t /run
grep -m1 Features /proc/cpuinfo
set --
${PROGRAMS.map(({ program, kind }) => `/opt/${program} ${kind} >/dev/null 2>&1 & set -- "$@" $!`).join('\n')}
usleep 500000
node /app/looks.mjs "$@" 2>&1
echo "STATUS $? at $(cat /proc/uptime)"
poweroff -f
`;

/** The command as it is shipped, for one process after another: to load it takes an emulated machine far longer than to look. */
const LOOKS = `const [first, ...others] = process.argv.slice(2);
process.argv.splice(2, Infinity, 'look', first, '--output', 'json');
await import('/app/dist/cli/main.js');
const { runCli } = await import('/app/dist/cli/run.js');
for (const pid of others) process.exitCode ||= await runCli(['look', pid, '--output', 'json']);
`;

interface Frame {
  readonly function: string | null;
  readonly foundBy: string;
  readonly file: string | null;
  readonly line: number | null;
  readonly inlined: boolean;
  readonly module: string | null;
  readonly parameters: readonly { readonly name: string; readonly value: ParameterValue }[];
}
interface Thread {
  readonly name: string;
  readonly complete: boolean;
  readonly outcome: string;
  readonly syscall: { readonly number: number };
  readonly frames: readonly Frame[];
}
interface Look {
  readonly architecture: string;
  readonly threads: readonly Thread[];
}

const looksIn = (text: string): Look[] =>
  text
    .split(/\r?\n/)
    .filter((line) => line.startsWith('{"at"'))
    .map((line) => JSON.parse(line) as Look);

interface Stack {
  readonly syscall: number;
  /** Frames of the C library that the wait goes through. */
  readonly within: number;
  readonly calls: readonly { readonly function: string | null; readonly place: string; readonly inlined: boolean }[];
}
const bySyscall = (stacks: Stack[]): Stack[] =>
  stacks.sort((a, b) => a.syscall - b.syscall || a.calls.length - b.calls.length);

/** The program's own calls: what lies before `main` is not the source's, and gdb does not tell it. */
const ourStack = ({ syscall, frames }: Thread, program: string): Stack => {
  const own = frames.filter(({ module, file }) => module === `/opt/${program}` && file !== null);
  return {
    syscall: syscall.number,
    within: frames.indexOf(own[0]!),
    calls: own.map((frame) => ({
      function: frame.function,
      place: `${frame.file}:${frame.line}`,
      inlined: frame.inlined,
    })),
  };
};

const ownFrames = (truth: TrueThread) =>
  truth.frames.filter(({ file, kind }) => file?.startsWith('src/') && kind !== 'tailcall');

const trueStack = (truth: TrueThread): Stack => ({
  syscall: Number.parseInt(truth.syscall, 10),
  within: physical(truth.frames).indexOf(physical(ownFrames(truth))[0]!),
  calls: ownFrames(truth).map(({ func, file, line, kind }) => ({
    function: func,
    place: `${file}:${line}`,
    inlined: kind === 'inline',
  })),
});

/** gdb's value as it is in every run: the text that a pointer leads to, or the place within a page of what the program itself holds. */
const lasting = (told: string): string | null => {
  if (told === '<optimized out>') return null;
  const pointer = /^0x([0-9a-f]+)( <[^>]*>)?(?: "(.*)")?$/.exec(told);
  if (pointer === null) return told;
  const [, address, symbol, text] = pointer;
  return text ?? (symbol === undefined ? null : `…${address!.slice(-3)}`);
};

const wrongValues = (
  { frames }: Thread,
  truth: TrueThread,
): { readonly wrong: string[]; readonly compared: number } => {
  const wrong: string[] = [];
  let compared = 0;
  for (const { func, args } of ownFrames(truth)) {
    const frame = frames.find((candidate) => candidate.function === func)!;
    for (const [name, told] of args) {
      const expected = name.endsWith('@entry') ? null : lasting(told);
      if (expected === null) continue;
      compared++;
      const value = frame.parameters.find((parameter) => parameter.name === name)!.value;
      const ours = value === null ? 'unavailable' : asGdb(value);
      const same = expected.startsWith('…') ? ours.endsWith(expected.slice(1)) : ours === expected;
      if (!same) wrong.push(`${func}: ${name} = ${ours}, gdb ${told}`);
    }
  }
  return { wrong, compared };
};

/** The thread of the vector that waits in the same call, called from the same function. */
const sameThread = (thread: Thread, program: string, truths: readonly TrueThread[]): TrueThread => {
  const ours = JSON.stringify(ourStack(thread, program));
  return truths.find((truth) => JSON.stringify(trueStack(truth)) === ours)!;
};

const folder = temporaryFolder('arm64');

realPart('an emulated arm64 machine', noArm64Machine)('looks at live arm64 programs', () => {
  const texts = new Map<string, string>();
  beforeAll(async () => {
    const files = Object.fromEntries(PROGRAMS.map(({ program }) => [`opt/${program}`, arm64Program(program)]));
    const image = makeArm64Image(folder, {
      ...files,
      'app/looks.mjs': Buffer.from(LOOKS),
      'sbin/init': Buffer.from(INIT),
    });
    await Promise.all(
      PROCESSORS.map(async ({ processor }) => texts.set(processor, await runArm64Machine(image, processor))),
    );
  }, 400_000);

  describe.each(PROCESSORS)('$processor', ({ processor, signs }) => {
    test('it is a processor of this kind, and looked at every program', () => {
      const text = texts.get(processor)!;
      expect(text.includes(' paca ')).toBe(signs);
      const looks = looksIn(text).map(({ architecture, threads }) => `${architecture} ${threads[0]?.name}`);
      const expected = PROGRAMS.map(({ program }) => `arm64 ${program}`);
      expect({ looks, text: looks.length === expected.length ? '' : text.slice(-4000) }).toEqual({
        looks: expected,
        text: '',
      });
      expect(text).toContain('STATUS 0 ');
    });

    test.each(PROGRAMS)('$vector: every frame up to the root, names, lines and values are gdb’s', (vector) => {
      const truths = Object.values(truthOf(vector.vector));
      const look = looksIn(texts.get(processor)!).find(({ threads }) => threads[0]?.name === vector.program)!;
      for (const { outcome, complete, frames } of look.threads) {
        expect({ outcome, complete }).toEqual({ outcome: 'sampled', complete: true });
        expect(frames.filter(({ foundBy }) => foundBy === 'scan')).toEqual([]);
      }
      expect(bySyscall(look.threads.map((thread) => ourStack(thread, vector.program)))).toEqual(
        bySyscall(truths.map(trueStack)),
      );
      const judged = look.threads.map((thread) => wrongValues(thread, sameThread(thread, vector.program, truths)));
      expect(judged.flatMap(({ wrong }) => wrong)).toEqual([]);
      expect(judged.reduce((sum, { compared }) => sum + compared, 0)).toBe(vector.values);
    });
  });
});
