import { isAttestreamError } from '../../../schemas/errors.js';
import { parseEventLog } from '../../../schemas/tcg/event-log.js';
import { replayEventLog } from '../../../schemas/tcg/event-replay.js';
import { kernelCommandLines } from '../../../schemas/tcg/kernel-command-line.js';

const MAX_PARTS = 4096;
/** Event logs have 20 to 300 KB. */
const MAX_BYTES = 8 << 20;

/** What a firmware log that was read once amounts to. */
export interface FirmwareFacts {
  /** Register values in hex by `sha256:4`; a register that no event extended is not in it. */
  readonly values: ReadonlyMap<string, string>;
  readonly banks: readonly string[];
  /** Command lines of the kernel that an event proves. */
  readonly commandLines: readonly string[];
  /** Why the log explains nothing; null: it was read. */
  readonly fault: string | null;
}

/** A boot's firmware log, which comes in parts. The parts are forgotten once it is whole and read. */
export interface FirmwareLogParts {
  of: number;
  readonly parts: Map<number, Buffer>;
  facts: FirmwareFacts | null;
}

export const emptyFirmwareLog = (): FirmwareLogParts => ({ of: 0, parts: new Map(), facts: null });

/** The whole log once its last part came; null before. The part is copied. */
export const addFirmwarePart = (log: FirmwareLogParts, index: number, of: number, data: Buffer): Buffer | null => {
  if (of < 1 || of > MAX_PARTS || index < 0 || index >= of) return null;
  if (of !== log.of) {
    log.of = of;
    log.parts.clear();
  }
  log.parts.set(index, Buffer.from(data));
  let bytes = 0;
  for (const part of log.parts.values()) bytes += part.length;
  if (bytes > MAX_BYTES) {
    log.parts.clear();
    return null;
  }
  if (log.parts.size < of) return null;
  const whole = Buffer.concat(Array.from({ length: of }, (_, i) => log.parts.get(i)!));
  log.parts.clear();
  return whole;
};

const MAX_COMMAND_LINE = 65_536;

/** Reads a whole log. One that cannot be read has a fault and explains nothing. */
export const firmwareFacts = (bytes: Buffer, claimedCommandLine: string): FirmwareFacts => {
  try {
    const log = parseEventLog(bytes);
    const replayed = replayEventLog(log);
    const values = new Map<string, string>();
    for (const [bank, registers] of replayed)
      for (const [pcr, value] of registers) values.set(`${bank}:${pcr}`, value.toString('hex'));
    const claimed = claimedCommandLine === '' ? null : claimedCommandLine.slice(0, MAX_COMMAND_LINE);
    const commandLines = kernelCommandLines(log.events, claimed).map(({ text }) => text.slice(0, MAX_COMMAND_LINE));
    return { values, banks: [...replayed.keys()], commandLines: commandLines.slice(0, 16), fault: null };
  } catch (error) {
    if (!isAttestreamError(error)) throw error;
    return { values: new Map(), banks: [], commandLines: [], fault: error.message };
  }
};
