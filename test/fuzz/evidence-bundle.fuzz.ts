import { DEFAULT_REQUIREMENTS, verifyBundle } from '../../processors/startup/bundle/verify-bundle.js';
import { parseBundle } from '../../schemas/evidence/bundle.js';
import { makeBundle } from '../support/evidence-bundle.js';
import type { FuzzTarget } from '../support/fuzz.js';

const seeds = (['ecdsa', 'rsapss'] as const).map((kind) => makeBundle(kind).json);

/** What signatures and the quote's digest cover, as it was made. */
const authentic = new Set(
  seeds.flatMap((json) => {
    const { certify, quote } = parseBundle(JSON.stringify(json), 'seed');
    return [certify!.attest, quote.attest].map((bytes) => bytes.toString('hex'));
  }),
);

/** Bundles with damage anywhere: none is affirmed that says something which no stand-in TPM signed. */
export const target: FuzzTarget = {
  seeds: () => seeds.map((json) => Buffer.from(JSON.stringify(json))),
  run: (input) => {
    const bundle = parseBundle(input.toString('utf8'), 'input');
    const answer = verifyBundle(bundle, {
      anchor: bundle.enrolled,
      require: DEFAULT_REQUIREMENTS,
      policy: null,
      logs: bundle.logs.map(({ data }) => data ?? Buffer.alloc(0)),
      now: 0,
    });
    if (answer.result !== 'affirming') return;
    const said = [bundle.certify!.attest, bundle.quote.attest].map((bytes) => bytes.toString('hex'));
    if (!said.every((bytes) => authentic.has(bytes))) throw new Error('evidence was affirmed that nobody signed');
  },
};
