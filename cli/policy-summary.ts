import type { HostPolicy, Window } from '../schemas/policy/host/host-policy.js';
import type { Policy } from '../schemas/policy/policy.js';
import { stateTree } from '../schemas/policy/state-tree.js';
import { selectionText } from '../schemas/tpm/selection.js';

const isTimed = ({ from, until }: Window): boolean => from !== null || until !== null;

/** What a policy of hosts says, counted. */
export const hostSummary = (policy: HostPolicy) => {
  const references = [...(policy.files ?? [])].flatMap(([digest, all]) => all.map((one) => ({ digest, ...one })));
  const algorithms: Record<string, number> = {};
  for (const { digest } of references) {
    const name = digest.slice(0, digest.lastIndexOf(':'));
    algorithms[name] = (algorithms[name] ?? 0) + 1;
  }
  return {
    kind: 'host' as const,
    id: policy.id,
    digest: policy.digest,
    description: typeof policy.document['description'] === 'string' ? policy.document['description'] : null,
    files:
      policy.files === null
        ? null
        : {
            paths: new Set(references.map(({ path }) => path)).size,
            digests: references.length,
            algorithms,
            timed: references.filter(isTimed).length,
          },
    signers: policy.signers.map(({ name, key, paths, ...window }) => ({
      name,
      kind: key.kind,
      ids: key.ids,
      paths,
      timed: isTimed(window),
    })),
    deny: policy.deny.length,
    exclude: policy.exclude.map(({ form, text }) => (form === 'regex' ? { regex: text } : text)),
    unlisted: policy.unlisted,
    unhashable: policy.unhashable,
    weakDigests: policy.weakDigests,
    violations: policy.violations.map(({ path, most }) => ({ path, most: Number.isFinite(most) ? most : 'any' })),
    agent: policy.agent.map(({ path }) => path),
    firmware: policy.firmware.map(({ name, values, ...window }) => ({
      name,
      registers: [...values.keys()],
      timed: isTimed(window),
    })),
    coverage:
      policy.coverage === null
        ? null
        : {
            rules: policy.coverage.rules.map(({ action, conditions }) => [action, ...conditions].join(' ')),
            policies: policy.coverage.policies.size,
          },
    paddedBanks: policy.paddedBanks,
    certify: policy.certify,
    staleAfter: policy.staleAfter,
    selection: policy.selection === null ? null : selectionText(policy.selection),
    safeClock: policy.safeClock,
    tpmFirmware: policy.tpmFirmware,
    bindingPcr: policy.bindingPcr,
  };
};

/** What a policy of processes says: what is watched, what leaves the host, and the states. */
export const processSummary = (policy: Policy) => {
  const { states } = stateTree(policy.machine);
  return {
    kind: 'process' as const,
    id: policy.id,
    digest: policy.digest,
    description: typeof policy.document['description'] === 'string' ? policy.document['description'] : null,
    binary: policy.binary,
    image: policy.image,
    functions: [...policy.functions].map(([name, { parameters }]) => ({
      name,
      parameters: [...parameters].map(([parameter, { type, release }]) => ({ name: parameter, type, release })),
    })),
    initial: policy.machine.initial ?? null,
    states: states
      .filter(({ path }) => path.length > 0)
      .map(({ path, node }) => ({ name: path.join('.'), tags: [node.tags ?? []].flat() })),
    variables: policy.variables.map(({ name, type }) => ({ name, type })),
    unexpected: policy.unexpected,
    afterViolation: policy.afterViolation,
    slice: policy.slice?.name ?? null,
    assumptions: Object.keys((policy.document['assume'] as object | undefined) ?? {}),
  };
};

export type PolicySummary = ReturnType<typeof hostSummary> | ReturnType<typeof processSummary>;
