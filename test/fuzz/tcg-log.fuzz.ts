import { describeEvent } from '../../schemas/tcg/event-description.js';
import { isDataMeasured } from '../../schemas/tcg/event-digest.js';
import { parseEventLog } from '../../schemas/tcg/event-log.js';
import { replayEventLog } from '../../schemas/tcg/event-replay.js';
import { kernelCommandLines } from '../../schemas/tcg/kernel-command-line.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { vector } from '../support/vectors.js';

const CLAIMED = vector('tcg/ovmf.cmdline').toString();

/** The log cut to SHA-1 events, as firmware for TPM 1.2 writes it. */
const legacy = (log: Buffer): Buffer =>
  Buffer.concat(
    parseEventLog(log)
      .events.slice(1)
      .map(({ pcr, type, digests, data }) => {
        const head = Buffer.alloc(8);
        head.writeUInt32LE(pcr, 0);
        head.writeUInt32LE(type, 4);
        const size = Buffer.alloc(4);
        size.writeUInt32LE(data.length);
        return Buffer.concat([head, digests[0]!.digest, size, data]);
      }),
  );

/** Firmware logs: parsed, replayed, described; a command line is never proven by a log that does not hash it. */
export const target: FuzzTarget = {
  seeds: () => {
    const logs = [vector('tcg/seabios.gz'), vector('tcg/ovmf.gz')];
    return [...logs, ...logs.map(legacy)];
  },
  maxBytes: 16 * 1024,
  run: (input) => {
    const log = parseEventLog(input);
    replayEventLog(log);
    for (const event of log.events) {
      describeEvent(event);
      isDataMeasured(event);
    }
    for (const { text } of kernelCommandLines(log.events, CLAIMED))
      if (text.trim() !== CLAIMED.trim())
        throw new Error(`a command line that was not hashed: ${JSON.stringify(text)}`);
  },
};
