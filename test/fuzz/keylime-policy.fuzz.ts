import { runtimePolicyOf } from '../../schemas/keylime/from-host-policy.js';
import { readRuntimePolicy } from '../../schemas/keylime/read-runtime-policy.js';
import { Remarks } from '../../schemas/keylime/remark.js';
import { hostDocumentOf } from '../../schemas/keylime/to-host-policy.js';
import { hostPolicyFromDocument } from '../../schemas/policy/host/parse.js';
import type { FuzzTarget } from '../support/fuzz.js';

const A = 'ab'.repeat(32);
const POLICY = {
  meta: { version: 1 },
  release: 0,
  digests: { '/usr/bin/a': [A, 'cd'.repeat(20)] },
  excludes: ['/tmp/.*', '(?:/a|b)+[^c-e]\\d{1,3}$'],
  keyrings: { '.ima': [A] },
  ima: { ignored_keyrings: ['.x'], log_hash_alg: 'sha1', dm_policy: null },
  'ima-buf': { kexec: [A] },
  'verification-keys': '{"keyids":[1],"pubkeys":["AAAA"]}',
};

/** Whatever Keylime's policies are made of, what becomes of them is a policy of hosts that is taken and can be given back. */
export const target: FuzzTarget = {
  seeds: () => [
    Buffer.from(JSON.stringify(POLICY)),
    Buffer.from(JSON.stringify({ meta: { version: 5 }, hashes: POLICY.digests, excludes: POLICY.excludes })),
    Buffer.from(`${A} /bin/a\n${A} %keyring:.ima\n`),
  ],
  run: (input) => {
    const remarks = new Remarks();
    const { policy } = readRuntimePolicy(input.toString('utf8'), 'policy', remarks);
    const host = hostPolicyFromDocument(hostDocumentOf(policy, 'fuzz', remarks), 'policy');
    for (const pattern of host.exclude) pattern.matches('/usr/bin/aaaaaaaaaaaaaaaaaaaaaaaaaaaa5$');
    runtimePolicyOf(host, remarks);
  },
};
