/** What `/proc/PID/stat` says of a process that looking needs. */
export interface ProcessStat {
  readonly name: string;
  /** R, S, D, T, t, Z, X … */
  readonly state: string;
  readonly parent: number;
  readonly flags: number;
  /** Clock ticks since boot, decimal. */
  readonly startTime: string;
}

/** The name may hold spaces and parentheses: the last `)` ends it. Null if the text has another shape. */
export const parseStat = (text: string): ProcessStat | null => {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return null;
  const fields = text.slice(close + 2).split(' ');
  const startTime = fields[19];
  if (startTime === undefined || !/^\d+$/.test(startTime)) return null;
  return {
    name: text.slice(open + 1, close),
    state: fields[0] ?? '',
    parent: Number(fields[1]),
    flags: Number(fields[6]),
    startTime,
  };
};

export interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly executable: boolean;
  readonly offset: number;
  /** major:minor of the device, as the kernel prints it. */
  readonly device: string;
  readonly inode: number;
  /** As the process sees it, ` (deleted)` cut off; '' for anonymous memory, `[stack]` and the like kept. */
  readonly path: string;
}

const MAPS_LINE = /^([0-9a-f]+)-([0-9a-f]+) (.{4}) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+) *(.*)$/;

/** Lines of another shape are left out. */
export const parseMaps = (text: string): Mapping[] => {
  const mappings: Mapping[] = [];
  for (const line of text.split('\n')) {
    const match = MAPS_LINE.exec(line);
    if (match === null) continue;
    const path = match[7]!.replace(/ \(deleted\)$/, '').replace(/\\012/g, '\n');
    mappings.push({
      start: Number.parseInt(match[1]!, 16),
      end: Number.parseInt(match[2]!, 16),
      executable: match[3]![2] === 'x',
      offset: Number.parseInt(match[4]!, 16),
      device: match[5]!,
      inode: Number(match[6]),
      path,
    });
  }
  return mappings;
};

/** The mapping that holds an address, of a list sorted by address as the kernel gives it. */
export const mappingAt = (mappings: readonly Mapping[], address: number): Mapping | null => {
  let low = 0;
  let high = mappings.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (mappings[middle]!.end <= address) low = middle + 1;
    else high = middle;
  }
  const found = mappings[low];
  return found !== undefined && address >= found.start ? found : null;
};

const hexDigit = (byte: number): number => (byte <= 57 ? byte - 48 : (byte | 32) - 87);

/** Where a thread stands, from the bytes of its `syscall` file. */
export interface Registers {
  sp: number;
  pc: number;
  /** Number of the system call; -1 outside of one. */
  syscall: number;
}

/**
 * Reads the line `nr a0…a5 sp pc` or `-1 sp pc` from `bytes[0, length)` into `out` without making strings.
 * False if the thread was on a CPU (`running`) or has no stack any more.
 */
export const parseSyscall = (bytes: Uint8Array, length: number, out: Registers): boolean => {
  if (length < 8 || bytes[0] === 0x72) return false;
  let at = length - 1;
  while (at > 0 && bytes[at] === 10) at--;
  for (let token = 0; token < 2; token++) {
    let value = 0;
    let scale = 1;
    for (; at >= 0 && bytes[at] !== 0x78; at--) {
      value += hexDigit(bytes[at]!) * scale;
      scale *= 16;
    }
    if (token === 0) out.pc = value;
    else out.sp = value;
    at -= 3;
  }
  let number = 0;
  const negative = bytes[0] === 0x2d;
  for (let i = negative ? 1 : 0; i < length && bytes[i]! >= 48 && bytes[i]! <= 57; i++)
    number = number * 10 + bytes[i]! - 48;
  out.syscall = negative ? -number : number;
  return out.sp > 0;
};

/** The six arguments of the system call a thread is in, "0x…"; none outside of one. */
export const syscallArguments = (line: string): string[] => {
  const tokens = line.trim().split(' ');
  return tokens.length === 9 ? tokens.slice(1, 7) : [];
};

/** `run-time run-delay timeslices`: the first and the last number. */
export const parseSchedstat = (bytes: Uint8Array, length: number): { runTime: number; slices: number } => {
  const numbers = [0, 0, 0];
  let field = 0;
  for (let i = 0; i < length && field < 3; i++) {
    const byte = bytes[i]!;
    if (byte >= 48 && byte <= 57) numbers[field] = numbers[field]! * 10 + byte - 48;
    else field++;
  }
  return { runTime: numbers[0]!, slices: numbers[2]! };
};
