import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { openCapture } from '../../producers/memory/capture/capture.js';
import { lookAtCapture } from '../../producers/memory/capture/look-at-capture.js';
import type { ParameterValue } from '../../producers/memory/dwarf/values.js';
import { ProcessImage } from '../../producers/memory/locate/process-image.js';
import type { SeenThread } from '../../producers/memory/sample/look-result.js';
import type { StackFrame } from '../../producers/memory/unwind/stack-frame.js';
import { StackMemory } from '../../producers/memory/unwind/stack-memory.js';
import { unwind } from '../../producers/memory/unwind/unwind.js';
import { ARM64_VECTORS, asGdb, physical, type TrueFrame, truthOf } from '../support/arm64-truth.js';
import { vectorNames } from '../support/vectors.js';

const captures = vectorNames('arm64').filter((name) => name !== 'bin' && name !== 'lib');

const unwound = (name: string): { tid: number; frames: readonly StackFrame[]; complete: boolean }[] => {
  const { threads, image: source } = openCapture(join(ARM64_VECTORS, name));
  const image = new ProcessImage(source);
  try {
    return threads.map(({ tid, registers }) => {
      const { pc, sp } = registers!;
      const stack = new StackMemory({ address: sp, bytes: source.memory(sp, 65_536) });
      return { tid, ...unwind(image, pc, sp, stack) };
    });
  } finally {
    image.close();
  }
};

/** What gdb said of a parameter without the comments: `0x… "text"` is text or an address. */
const agrees = (ours: ParameterValue, type: string, theirs: string): boolean => {
  // A reference is told as what it refers to.
  const plain = theirs.replace(/^@0x[0-9a-f]+: /, '');
  const text = /^(0x[0-9a-f]+)(?: <[^>]*>)?(?: "(.*)")?$/.exec(plain);
  if (text !== null && (typeof ours === 'string' || type.includes('*') || type.includes('&')))
    return ours === text[1] || (text[2] !== undefined && ours === text[2]);
  return asGdb(ours) === plain;
};

const wrongValues = (thread: SeenThread, truth: readonly TrueFrame[]): { wrong: string[]; compared: number } => {
  const wrong: string[] = [];
  let compared = 0;
  for (const frame of thread.frames)
    for (const { name, type, value, valueKind, unavailable } of frame.parameters) {
      const there = truth.filter(
        ({ pc, args }) => Math.abs(Number(pc) - frame.pc) <= 4 && args.some(([arg]) => arg === name),
      );
      const told = there.find(({ func }) => func === frame.function) ?? (there.length === 1 ? there[0] : undefined);
      if (unavailable !== '' || told === undefined) continue;
      const at = (arg: string): string | undefined => told.args.find(([held]) => held === arg)?.[1];
      const entry = valueKind === 'entry' ? at(`${name}@entry`) : undefined;
      const theirs = entry === undefined || entry.includes('<optimized out>') ? at(name) : entry;
      // Whole objects of the C++ library are told in another shape, members that gdb does not know cannot be compared.
      if (
        theirs === undefined ||
        theirs.includes('<optimized out>') ||
        theirs.includes('_M_') ||
        theirs.includes('= @')
      )
        continue;
      compared++;
      if (!agrees(value, type, theirs))
        wrong.push(`${frame.function}: ${name} (${type}) = ${asGdb(value)}, gdb ${theirs}`);
    }
  return { wrong, compared };
};

describe('processes of an arm64 machine, decoded from what was kept of them', () => {
  test('there are captures of every kind', () => {
    expect(captures).toHaveLength(19);
  });

  test.each(captures)('%s: every frame is where gdb finds it, up to the root', (name) => {
    const truth = truthOf(name);
    for (const { tid, frames, complete } of unwound(name)) {
      expect(complete).toBe(true);
      expect(frames.filter(({ foundBy, sizedBy }) => foundBy === 'scan' || sizedBy === 'scan')).toEqual([]);
      const theirs = physical(truth[tid]?.frames ?? []);
      expect(frames.length).toBeGreaterThanOrEqual(theirs.length);
      theirs.forEach((frame, i) => {
        const ours = frames[i]!;
        // gdb stops the thread, which takes the pc of a call that can be begun anew back to its instruction.
        expect([Number(frame.pc), ...(i === 0 ? [Number(frame.pc) + 4] : [])]).toContain(ours.pc);
        if (frame.cfa !== undefined) expect(ours.cfa).toBe(Number(frame.cfa));
      });
    }
  });

  test.each(captures)('%s: saved registers are where gdb finds them', (name) => {
    const truth = truthOf(name);
    let compared = 0;
    for (const { tid, frames } of unwound(name))
      physical(truth[tid]?.frames ?? []).forEach(({ saved }, i) => {
        const slots = frames[i + 1]?.registerSlots;
        for (const [register, address] of Object.entries(saved ?? {})) {
          // The return address is no register of the caller's.
          if (register === 'x30' || !register.startsWith('x')) continue;
          compared++;
          expect(slots?.get(Number(register.slice(1)))).toBe(Number(address));
        }
      });
    if (truth[Object.keys(truth)[0]!]!.frames.some(({ saved }) => saved !== undefined))
      expect(compared).toBeGreaterThan(3);
  });

  test('no value contradicts gdb, and most that gdb knows are told', () => {
    let compared = 0;
    const wrong: string[] = [];
    for (const name of captures) {
      const truth = truthOf(name);
      for (const thread of lookAtCapture(openCapture(join(ARM64_VECTORS, name)), 'all').threads) {
        const told = wrongValues(thread, truth[thread.tid]?.frames ?? []);
        compared += told.compared;
        wrong.push(...told.wrong.map((what) => `${name} ${what}`));
      }
    }
    expect(wrong).toEqual([]);
    expect(compared).toBeGreaterThan(120);
  });

  test('what the program says of itself is there: names, a structure, and system calls of arm64', () => {
    const look = lookAtCapture(openCapture(join(ARM64_VECTORS, 'c-O2.recv')), 'all');
    expect(look.architecture).toBe('arm64');
    const values = new Map(
      look.threads[0]!.frames.flatMap(({ function: named, parameters }) =>
        parameters.map((parameter) => [`${named}.${parameter.name}`, parameter.value] as const),
      ),
    );
    expect(values.get('inner.name')).toBe('sensor-1234569');
    expect(values.get('middle.reading')).toBe(1234569);
    expect(look.threads[0]!.syscall!.number).toBe(207);
  });
});
