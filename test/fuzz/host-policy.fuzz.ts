import { parseHostPolicy } from '../../schemas/policy/host/parse.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { policyText } from '../support/measured-host.js';

const YAML = `kind: host
id: gateways
firmware: [{name: a, pcrs: {sha256: {"7": ${'ab'.repeat(32)}}}, until: 2026-09-01T00:00:00Z}]
files: {/usr/bin/*: [sha256:${'cd'.repeat(32)}, {digest: sha256:${'ef'.repeat(32)}, from: 2026-01-01T00:00:00Z}]}
violations: {/var/log/*: any}
coverage: {rules: tcb}
selection: sha256:0,7,10
`;

/** Policies of hosts are written by people, and mistakes in them are told: nothing else may happen. */
export const target: FuzzTarget = {
  seeds: () => [Buffer.from(YAML), Buffer.from(policyText())],
  run: (input) => {
    parseHostPolicy(input.toString('utf8'), 'policy');
  },
};
