import { bankHash } from './event-digest.js';
import type { EventLog, FirmwareEvent } from './event-log.js';
import { EV_NO_ACTION } from './event-type.js';

/** PCR values by bank and PCR. PCRs that the log does not touch are absent; PCR 0 is there always. */
export type FirmwarePcrs = ReadonlyMap<string, ReadonlyMap<number, Buffer>>;

const STARTUP_LOCALITY = Buffer.from('StartupLocality\0', 'latin1');

/**
 * The locality that the TPM was started from, which PCR 0 begins with: 0, 3, or 4 after a measurement by the processor
 * (EV_NO_ACTION `StartupLocality`); 0 if the log does not say.
 */
export const startupLocality = (events: readonly FirmwareEvent[]): number => {
  for (const { type, data } of events)
    if (
      type === EV_NO_ACTION &&
      data.length === STARTUP_LOCALITY.length + 1 &&
      data.subarray(0, STARTUP_LOCALITY.length).equals(STARTUP_LOCALITY)
    )
      return data[STARTUP_LOCALITY.length]!;
  return 0;
};

/**
 * Replays a log: the PCR values that its digests give, in every bank whose hash is at hand. It proves nothing by itself: the
 * values have to be those of a quote.
 */
export const replayEventLog = ({ banks, events }: EventLog): FirmwarePcrs => {
  const locality = startupLocality(events);
  const values = new Map<string, Map<number, Buffer>>();
  for (const bank of banks) {
    const hash = bankHash(bank);
    if (hash === null) continue;
    const bytes = hash().length;
    const first = Buffer.alloc(bytes);
    first[bytes - 1] = locality;
    const pcrs = new Map<number, Buffer>([[0, first]]);
    for (const { pcr, type, digests } of events) {
      if (type === EV_NO_ACTION) continue;
      const digest = digests.find((known) => known.bank === bank)?.digest;
      if (digest !== undefined) pcrs.set(pcr, hash(pcrs.get(pcr) ?? Buffer.alloc(bytes), digest));
    }
    values.set(bank, pcrs);
  }
  return values;
};
