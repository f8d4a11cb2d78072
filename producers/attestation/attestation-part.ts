import { setTimeout as delay } from 'node:timers/promises';
import type { EventLog } from '../../infra/log/event-log.js';
import { typedRecords } from '../../infra/log/typed-records.js';
import { isAttestreamError } from '../../schemas/errors.js';
import type { Request } from '../../schemas/records.js';
import { isSigned, type PinnedKeys } from '../../schemas/signed.js';
import type { Measurements } from '../measurement/measurements.js';
import type { EventStream } from '../stream/event-stream.js';
import { Challenges } from './challenges.js';
import type { EvidenceProducer } from './evidence.js';

export interface AttestationPartOptions {
  readonly log: EventLog;
  readonly events: EventStream;
  readonly host: string;
  readonly verifiers: PinnedKeys;
  readonly measurements: Measurements;
  readonly producer: EvidenceProducer;
  /** ms between two quotes at least: a hardware TPM is busy with one for some 300 ms. */
  readonly minInterval: number;
  /** A verifier does not know this host any more. */
  readonly reEnrol: () => Promise<void>;
  /** After each evidence, and each time the list was told. */
  readonly onTold: () => void;
  readonly stop: AbortSignal;
  readonly onNote: (note: string) => void;
}

/** ms between two looks at the measurement list: securityfs tells nobody of its changes. */
const LIST_POLL = 500;

/** Answers ticks with evidence and requests with what they ask for, and tells the growing list, until `stop`. */
export const runAttestation = async (options: AttestationPartOptions): Promise<void> => {
  const { log, events, host, verifiers, measurements, producer, minInterval, onTold, onNote } = options;
  // Whichever half fails ends the other.
  const failed = new AbortController();
  const stop = AbortSignal.any([options.stop, failed.signal]);
  const challenges = new Challenges(verifiers);
  const requests: Request[] = [];
  const asked = new Map<string, number>();
  let wake: () => void = () => {};
  const at = { topic: events.topic, partition: events.partition };
  const { end } = (await log.bounds(at.topic))[at.partition]!;

  const listen = async (): Promise<void> => {
    for await (const { name, record } of typedRecords(log, at, ['Tick', 'Request'], end, 'follow', stop)) {
      if (name === 'Tick') {
        if (!challenges.take(record)) continue;
      } else {
        const verifier = record.verifierId.toString('hex');
        if (record.host !== host || record.number <= (asked.get(verifier) ?? -1)) continue;
        if (!isSigned('Request', record, verifiers)) continue;
        asked.set(verifier, record.number);
        // One of a kind is enough, and one that is not known here can wait for ever.
        const same = requests.findIndex(({ kind, list }) => kind === record.kind && list === record.list);
        if (same < 0) requests.push(record);
        else if (record.from < requests[same]!.from) requests[same] = record;
      }
      wake();
    }
  };

  const fulfil = async (request: Request): Promise<void> => {
    onNote(`a verifier asks for ${request.kind}${request.reason === '' ? '' : `: ${request.reason}`}`);
    switch (request.kind) {
      case 'list-from':
        if (request.list === 'kernel') await measurements.again(request.from);
        break;
      case 'firmware-log':
        measurements.firmware(true);
        break;
      case 'certify':
        await producer.renew();
        break;
      case 're-enrol':
        await options.reEnrol().catch((error: unknown) => {
          if (!isAttestreamError(error, 'ENROL_REFUSED')) throw error;
          onNote(error.message);
        });
        for (let i = requests.length - 1; i >= 0; i--) if (requests[i]!.kind === 're-enrol') requests.splice(i, 1);
        break;
      default:
        // A newer verifier's wish: nothing that this agent could do.
        break;
    }
    await events.flush();
  };

  const work = async (): Promise<void> => {
    let quotedAt = Number.NEGATIVE_INFINITY;
    while (!stop.aborted) {
      for (let request = requests.shift(); request !== undefined; request = requests.shift()) await fulfil(request);
      if (challenges.waiting && performance.now() - quotedAt >= minInterval) {
        quotedAt = performance.now();
        for (const challenge of challenges.drain()) await producer.answer(challenge, challenges.newest);
        onTold();
      } else if (measurements.grown) {
        const before = measurements.count;
        if ((await measurements.catchUp()) !== before) {
          await events.flush();
          onTold();
        }
      }
      if (requests.length > 0 || stop.aborted) continue;
      const quiet = challenges.waiting ? minInterval - (performance.now() - quotedAt) : LIST_POLL;
      await new Promise<void>((resolve) => {
        wake = resolve;
        void delay(Math.max(0, Math.min(quiet, LIST_POLL)), undefined, { signal: stop }).then(resolve, resolve);
      });
    }
  };

  const guarded = (part: Promise<void>): Promise<void> =>
    part.catch((error: unknown) => {
      failed.abort();
      throw error;
    });
  await Promise.all([guarded(listen()), guarded(work())]);
};
