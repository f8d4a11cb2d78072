import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { parseElf } from '../../producers/memory/elf/elf.js';
import { CallFrameInfo } from '../../producers/memory/unwind/cfi.js';
import type { RegisterRule, UnwindRow } from '../../producers/memory/unwind/unwind-row.js';
import { noCompiler } from '../support/device.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';
import { vector } from '../support/vectors.js';

const folder = temporaryFolder('cfi');

const noReadelf = (): string | null => {
  try {
    execFileSync('readelf', ['--version'], { stdio: 'ignore' });
    return null;
  } catch {
    return 'readelf is not installed';
  }
};

const X86 = [
  'rax',
  'rdx',
  'rcx',
  'rbx',
  'rsi',
  'rdi',
  'rbp',
  'rsp',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
];

const numberOf = (name: string, arm: boolean): number => {
  if (!arm) return name === 'ra' ? 16 : X86.indexOf(name);
  if (name === 'ra') return 30;
  if (name === 'sp') return 31;
  return name.startsWith('x')
    ? Number(name.slice(1))
    : name.startsWith('d') || name.startsWith('v')
      ? 64 + Number(name.slice(1))
      : -1;
};

/** One row as readelf prints it, with the last address that it holds for. */
interface Expected {
  readonly from: number;
  readonly to: number;
  readonly cfa: string;
  readonly rules: ReadonlyMap<number, string>;
}

/** Rows of a file's call frame information, by readelf. Only what its tables show: entries without rows of their own are left out. */
const rowsOf = (file: string, arm: boolean): Expected[] => {
  // It also complains of separate debug files, which have no such section of their own.
  const { stdout: text } = spawnSync('readelf', ['--wide', '--debug-dump=frames-interp', file], {
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const rows: Expected[] = [];
  let end = 0;
  let columns: string[] = [];
  let open: { from: number; cfa: string; rules: Map<number, string> }[] = [];
  const close = (): void => {
    for (const [i, row] of open.entries()) rows.push({ ...row, to: open[i + 1]?.from ?? end });
    open = [];
  };
  for (const line of text.split('\n')) {
    const entry = / FDE .*pc=[0-9a-f]+\.\.([0-9a-f]+)/.exec(line);
    if (entry !== null || line.includes(' CIE ')) {
      close();
      end = entry === null ? -1 : Number.parseInt(entry[1]!, 16);
    } else if (line.startsWith('   LOC')) columns = line.trim().split(/\s+/).slice(2);
    else if (/^[0-9a-f]{16} \S/.test(line) && end > 0 && !line.includes('=')) {
      const [from, cfa, ...cells] = line
        .replace(/ \([^)]*\)/g, '')
        .trim()
        .split(/\s+/);
      open.push({
        from: Number.parseInt(from!, 16),
        cfa: cfa!,
        rules: new Map(columns.map((name, i) => [numberOf(name, arm), cells[i]!])),
      });
    }
  }
  close();
  return rows.filter(({ from, to }) => to > from);
};

const ruleText = (rule: RegisterRule | undefined): string => {
  if (rule === undefined) return 'u';
  switch (rule.kind) {
    case 'offset':
      return `c${rule.offset >= 0 ? '+' : ''}${rule.offset}`;
    case 'value-offset':
      return `v${rule.offset >= 0 ? '+' : ''}${rule.offset}`;
    case 'same':
      return 's';
    case 'undefined':
      return 'u';
    case 'register':
      return `r${rule.register}`;
    default:
      return 'exp';
  }
};

const cfaText = ({ cfa }: UnwindRow, arm: boolean): string => {
  if (cfa.expression !== null) return 'exp';
  const name = arm ? (cfa.register === 31 ? 'sp' : `x${cfa.register}`) : X86[cfa.register];
  return `${name}${cfa.offset >= 0 ? '+' : ''}${cfa.offset}`;
};

/** Differences between our rows and readelf's, at the first and the last address of each. */
const differences = (cfi: CallFrameInfo, rows: readonly Expected[], arm: boolean): string[] => {
  const found: string[] = [];
  for (const row of rows)
    for (const at of [row.from, row.to - 1]) {
      const ours = cfi.at(at);
      if (ours === null) {
        found.push(`${at.toString(16)}: no row`);
        continue;
      }
      if (cfaText(ours, arm) !== row.cfa) found.push(`${at.toString(16)}: ${cfaText(ours, arm)}, readelf ${row.cfa}`);
      for (const [register, theirs] of row.rules) {
        const told = ruleText(ours.registers.get(register));
        // readelf shows vexp and exp, and an unmentioned return register as u, as it does what is undefined.
        if (register >= 0 && told !== theirs.replace('vexp', 'exp'))
          found.push(`${at.toString(16)} ${register}: ${told}, readelf ${theirs}`);
      }
    }
  return found;
};

realPart('readelf', noReadelf)('call frame information', () => {
  const libc = ['/lib/x86_64-linux-gnu/libc.so.6', '/lib/aarch64-linux-gnu/libc.so.6'].find((path) => existsSync(path));

  (libc === undefined ? test.skip : test)('of libc: every row is as readelf has it', () => {
    const elf = parseElf(sourceOfBuffer(readFileSync(libc!)));
    const rows = rowsOf(libc!, libc!.includes('aarch64'));
    expect(rows.length).toBeGreaterThan(5000);
    expect(differences(new CallFrameInfo(elf), rows, libc!.includes('aarch64')).slice(0, 10)).toEqual([]);
  });

  test.each(['lib/libc.so.6', 'bin/cxx-O0', 'bin/c-O2-static'])(
    'of arm64 %s: with its table, without, and without sections',
    (name) => {
      const bytes = vector(`arm64/${name}.gz`);
      const file = join(folder, name.replace('/', '-'));
      writeFileSync(file, bytes);
      const rows = rowsOf(file, true);
      expect(rows.length).toBeGreaterThan(50);
      const found = (image: Buffer): string[] =>
        differences(new CallFrameInfo(parseElf(sourceOfBuffer(image))), rows, true).slice(0, 10);
      expect(found(bytes)).toEqual([]);
      // PT_GNU_EH_FRAME becomes PT_NULL: then only the section leads there.
      const withoutTable = Buffer.from(bytes);
      const segments = Number(bytes.readBigUInt64LE(0x20));
      for (let i = 0; i < bytes.readUInt16LE(0x38); i++)
        if (bytes.readUInt32LE(segments + i * 56) === 0x6474e550) withoutTable.writeUInt32LE(0, segments + i * 56);
      expect(found(withoutTable)).toEqual([]);
      // Only the segment leads there then; a static program of this age has none.
      if (parseElf(sourceOfBuffer(bytes)).ehFrameHeader === null) return;
      const withoutSections = Buffer.from(bytes);
      withoutSections.writeUInt16LE(0, 0x3c);
      withoutSections.writeUInt16LE(0, 0x3e);
      expect(found(withoutSections)).toEqual([]);
    },
  );

  (noCompiler === '' ? test : test.skip)(
    'of every directive that an assembler knows, in .eh_frame and .debug_frame of 32 and 64 bits',
    () => {
      const source = join(folder, 'all.s');
      writeFileSync(source, EVERY_DIRECTIVE);
      for (const [kind, flags] of [
        ['eh', []],
        ['debug', []],
        ['pie', ['-pie']],
      ] as const) {
        const object = join(folder, `all-${kind}.o`);
        const program = join(folder, `all-${kind}`);
        writeFileSync(source, `.cfi_sections ${kind === 'debug' ? '.debug_frame' : '.eh_frame'}\n${EVERY_DIRECTIVE}`);
        execFileSync('gcc', ['-c', source, '-o', object]);
        execFileSync('gcc', ['-nostdlib', ...(flags.length === 0 ? ['-no-pie'] : flags), '-o', program, object]);
        const rows = rowsOf(program, false);
        expect(rows.length).toBeGreaterThan(8);
        expect(differences(new CallFrameInfo(parseElf(sourceOfBuffer(readFileSync(program)))), rows, false)).toEqual(
          [],
        );
      }
    },
  );
});

const EVERY_DIRECTIVE = `
  .text
  .globl _start
_start:
  .cfi_startproc
  .cfi_undefined rip
  nop
  .cfi_endproc
  .globl all
  .type all, @function
all:
  .cfi_startproc
  nop
  .cfi_def_cfa_offset 16
  .cfi_offset rbx, -16
  nop
  .cfi_remember_state
  .cfi_def_cfa rbp, 32
  .cfi_rel_offset r12, 8
  nop
  .cfi_restore_state
  nop
  .cfi_restore rbx
  .cfi_same_value r13
  nop
  .cfi_register r14, r15
  .cfi_val_offset r12, 24
  nop
  .cfi_adjust_cfa_offset 8
  .cfi_escape 0x2e, 0x10
  nop
  .cfi_escape 0x0f, 0x03, 0x77, 0x08, 0x06
  nop
  .cfi_escape 0x10, 0x03, 0x02, 0x77, 0x10
  .cfi_escape 0x16, 0x06, 0x02, 0x77, 0x18
  nop
  .cfi_def_cfa rsp, 8
  .cfi_escape 0x12, 0x07, 0x7f
  nop
  .cfi_escape 0x13, 0x7e
  nop
  .skip 300, 0x90
  .cfi_def_cfa_register rbp
  nop
  .skip 70000, 0x90
  .cfi_def_cfa_offset 64
  nop
  .cfi_endproc
`;
