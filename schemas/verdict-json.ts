import type { Verdict } from './records.js';

/** What a binding holds, or its text where that is no JSON (another version may have written it). */
const bindingValue = (json: string): unknown => {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
};

const hex = (bytes: Buffer): string => bytes.toString('hex');

const verdictObject = (verdict: Verdict, rests: readonly object[]): Record<string, unknown> => ({
  id: hex(verdict.id),
  replaces: verdict.replaces === null ? null : hex(verdict.replaces),
  kind: verdict.kind,
  state: verdict.state,
  severity: verdict.severity,
  subject: {
    host: verdict.host,
    container: verdict.container,
    process: verdict.process,
    slice: verdict.slice,
  },
  policy: verdict.policy,
  machine: verdict.machine,
  at: verdict.at,
  message: verdict.message,
  trigger: {
    stream: verdict.trigger.stream,
    seq: verdict.trigger.seq,
    ...(verdict.trigger.tick === null ? {} : { tick: verdict.trigger.tick }),
    ...(verdict.trigger.timer === null ? {} : { timer: verdict.trigger.timer }),
  },
  rests,
  assumes: [...verdict.assumes],
  bindings: Object.fromEntries(Object.entries(verdict.bindings).map(([name, json]) => [name, bindingValue(json)])),
  believed: [...verdict.believed],
  probability: verdict.probability,
  numbers: { ...verdict.numbers },
});

/** A verdict as users read it: digests in lower-case hex, `at` in µs, `probability` in parts per million, bindings as values. */
export const verdictJson = (verdict: Verdict): Record<string, unknown> =>
  verdictObject(
    verdict,
    verdict.rests.map(({ stream, seq, topic, partition, offset }) => ({ stream, seq, topic, partition, offset })),
  );

/** The same without coordinates: what digests are computed over, so that a copied log concludes the same. */
export const canonicalVerdict = (verdict: Verdict): Record<string, unknown> =>
  verdictObject(
    verdict,
    verdict.rests.map(({ stream, seq }) => ({ stream, seq })),
  );
