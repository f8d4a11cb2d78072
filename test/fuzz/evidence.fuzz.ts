import type { ToSay, World } from '../../processors/engine/fold.js';
import { startupFold } from '../../processors/startup/fold.js';
import { decodeRecord, encodeRecord } from '../../schemas/codec.js';
import { parseHostPolicy } from '../../schemas/policy/host/parse.js';
import type { EnrolChallenge, Enrolled, Evidence, Verdict } from '../../schemas/records.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { MeasuredHost, policyText } from '../support/measured-host.js';

const host = new MeasuredHost().ready();
host.tick();
const { record: evidence } = host.evidence();

const fold = startupFold({ policies: [parseHostPolicy(policyText(), 'policy')] });
const verdicts: Verdict[] = [];
const said: ToSay[] = [];
const world = {
  now: 0,
  late: false,
  coordinates: { topic: 'measurements', partition: 0, offset: 0 },
  stream: '',
  seq: 0,
  tick: null as number | null,
  missing: 0,
  head: null,
  follow: () => null,
  reached: () => -1,
  emit: (verdict: Verdict) => verdicts.push(verdict),
  say: (wish: ToSay) => said.push(wish),
  wake: () => undefined,
  sleep: () => undefined,
  refuse: () => undefined,
} satisfies World;

/** The host's state just before its evidence, as a snapshot: each input meets the same. */
const before = ((): Buffer => {
  let state = fold.initial(host.host);
  for (const [offset, { name, record }] of host.records.slice(0, -1).entries()) {
    world.coordinates.offset = offset;
    const { stream, seq } = record as { stream?: Buffer; seq?: number };
    world.stream = stream?.toString('hex') ?? '';
    world.seq = seq ?? -1;
    if (name === 'Tick' || name === 'Approval')
      fold.broadcast!({ name, record } as Parameters<NonNullable<typeof fold.broadcast>>[0]);
    else if (name === 'EnrolChallenge') state = fold.told!(state, { name, record: record as EnrolChallenge }, world);
    else if (name === 'Enrolled') state = fold.told!(state, { name, record: record as Enrolled }, world);
    else state = fold.step(state, name as 'Evidence', record as Evidence, world);
  }
  return fold.encode(state);
})();

const same = (a: Evidence, b: Evidence): boolean =>
  a.core.equals(b.core) &&
  a.quote.attest.equals(b.quote.attest) &&
  a.certify?.attest.equals(b.certify!.attest) === true;

/** Evidence with damage anywhere in its record: the fold affirms none that no stand-in TPM signed. */
export const target: FuzzTarget = {
  seeds: () => [encodeRecord('Evidence', evidence)],
  run: (input) => {
    const damaged = decodeRecord('Evidence', input);
    verdicts.length = 0;
    said.length = 0;
    world.coordinates.offset++;
    fold.step(fold.decode(host.host, before), 'Evidence', damaged, world);
    if (verdicts.some(({ state }) => state === 'affirming') && !same(damaged, evidence))
      throw new Error('evidence was affirmed that nobody signed');
  },
};
