import { beforeAll, expect, test } from '@jest/globals';
import { arm64Program, makeArm64Image, runArm64Machine } from '../support/arm64-vm.js';
import { noArm64Machine } from '../support/arm64-vm-parts.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';

/** What each machine runs: a program in a kind of wait, and a look at it with the command as it is shipped. */
interface Machine {
  readonly processor: string;
  readonly program: string;
  readonly kind: string;
  readonly syscall: string;
}
const SIGNING: Machine = {
  processor: 'max,pauth-impdef=on',
  program: 'c-O2-pac',
  kind: 'epoll',
  syscall: 'epoll_pwait',
};
const PLAIN: Machine = { processor: 'cortex-a72', program: 'c-O2', kind: 'recv', syscall: 'recvfrom' };
const MACHINES = [SIGNING, PLAIN];

/** Which of them it is, the machine tells by its processor. */
const INIT = `#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/local/bin HOME=/tmp
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs t /tmp; mount -t tmpfs t /run
grep -m1 Features /proc/cpuinfo
if grep -q paca /proc/cpuinfo; then set -- ${SIGNING.program} ${SIGNING.kind}; else set -- ${PLAIN.program} ${PLAIN.kind}; fi
/opt/$1 $2 >/dev/null 2>&1 & P=$!
usleep 200000
node /app/dist/cli/main.js look $P --output json 2>&1
echo "STATUS $? at $(cat /proc/uptime)"
poweroff -f
`;

interface Frame {
  readonly function: string | null;
  readonly foundBy: string;
  readonly line: number | null;
  readonly parameters: readonly { readonly name: string; readonly value: unknown }[];
}
interface Look {
  readonly architecture: string;
  readonly threads: readonly {
    readonly complete: boolean;
    readonly outcome: string;
    readonly syscall: { readonly name: string };
    readonly frames: readonly Frame[];
  }[];
}

const looksIn = (text: string): Look[] =>
  text
    .split(/\r?\n/)
    .filter((line) => line.startsWith('{"at"'))
    .map((line) => JSON.parse(line) as Look);

const folder = temporaryFolder('arm64');

realPart('an emulated arm64 machine', noArm64Machine)('looks at live arm64 programs', () => {
  const texts = new Map<Machine, string>();
  beforeAll(async () => {
    const files = Object.fromEntries(MACHINES.map(({ program }) => [`opt/${program}`, arm64Program(program)]));
    const image = makeArm64Image(folder, { ...files, 'sbin/init': Buffer.from(INIT) });
    await Promise.all(
      MACHINES.map(async (machine) => texts.set(machine, await runArm64Machine(image, machine.processor))),
    );
  }, 400_000);

  test.each([
    ['with pointer authentication', SIGNING],
    ['without pointer authentication', PLAIN],
  ])('%s: every frame up to the root, and the values that gdb would tell', (_, machine) => {
    const text = texts.get(machine)!;
    expect(text.includes(' paca ')).toBe(machine === SIGNING);
    const looks = looksIn(text);
    expect({ looks: looks.length, text: looks.length === 1 ? '' : text.slice(-4000) }).toEqual({ looks: 1, text: '' });
    const [look] = looks;
    expect(look!.architecture).toBe('arm64');
    const { outcome, complete, syscall, frames } = look!.threads[0]!;
    expect({ outcome, complete, syscall: syscall.name }).toEqual({
      outcome: 'sampled',
      complete: true,
      syscall: machine.syscall,
    });
    expect(frames.some(({ foundBy }) => foundBy === 'scan')).toBe(false);
    expect(frames.slice(1, 4).map((frame) => frame.function)).toEqual(['inner', 'middle', 'main']);
    const values = new Map(
      frames.flatMap((frame) => frame.parameters.map(({ name, value }) => [`${frame.function}.${name}`, value])),
    );
    expect(values.get('inner.name')).toBe('sensor-1234569');
    expect(values.get('middle.reading')).toBe(1234569);
  });
});
