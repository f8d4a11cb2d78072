import { readFileSync } from 'node:fs';

/** When a process began, in clock ticks after boot (field 22 of /proc/PID/stat); null if there is no such process. */
export const processStartTime = (pid: number): string | null => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in parentheses and may hold anything, also parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTime] = [fields[0], fields[19]];
    return state === 'Z' || state === 'X' ? null : (startTime ?? null);
  } catch {
    return null;
  }
};
