import type { hostSummary, PolicySummary, processSummary } from './policy-summary.js';

type Host = ReturnType<typeof hostSummary>;
type Process = ReturnType<typeof processSummary>;

const many = (count: number, one: string, more = `${one}s`): string => `${count} ${count === 1 ? one : more}`;

const listed = (words: readonly string[], none = 'none'): string => (words.length === 0 ? none : words.join(', '));

const UNLISTED: Readonly<Record<Host['unlisted'], string>> = {
  contraindicated: 'anything else is contraindicated',
  warning: 'anything else is a warning',
  allow: 'anything else is allowed',
};

const filesInWords = ({ files, unlisted }: Host): string => {
  if (files === null) return 'are not judged';
  const { digests, paths, algorithms, timed } = files;
  const by = Object.entries(algorithms).map(([name, count]) => `${count} ${name}`);
  const within = timed === 0 ? '' : `, ${timed} of them for a time`;
  return `${many(digests, 'digest')} for ${many(paths, 'path')} (${listed(by)})${within}; ${UNLISTED[unlisted]}`;
};

const hostInWords = (host: Host): readonly (readonly [of: string, what: string])[] => [
  ['files', filesInWords(host)],
  ['without a digest', host.unhashable === 'warning' ? 'is a warning' : 'is contraindicated'],
  ['by SHA-1 or MD5', host.weakDigests === 'warning' ? 'is a warning' : 'is allowed'],
  ['not judged', listed(host.exclude.map((one) => (typeof one === 'string' ? one : `regex ${one.regex}`)))],
  ['denied', host.deny === 0 ? 'nothing' : many(host.deny, 'rule')],
  ...host.signers.map(
    ({ name, kind, ids, paths, timed }) =>
      ['signer', `${name}, ${kind} ${ids.join(' ')}, for ${paths.join(', ')}${timed ? ', for a time' : ''}`] as const,
  ),
  [
    'violations',
    host.violations.length === 0
      ? 'are contraindicated'
      : `are contraindicated, but for ${host.violations.map(({ path, most }) => `${path} (${most})`).join(', ')}`,
  ],
  ['agent', host.agent.length === 0 ? 'need not be measured' : `${host.agent.join(', ')} must be measured`],
  ...(host.firmware.length === 0
    ? [['firmware', 'is not judged'] as const]
    : host.firmware.map(
        ({ name, registers, timed }) =>
          ['firmware', `${name}: ${registers.join(', ')}${timed ? ', for a time' : ''}`] as const,
      )),
  [
    'coverage',
    host.coverage === null
      ? 'need not be proven'
      : `${many(host.coverage.rules.length, 'rule')} of IMA must be proven${host.coverage.policies === 0 ? '' : `, or one of ${many(host.coverage.policies, 'policy', 'policies')}`}`,
  ],
  ['padded banks', listed(host.paddedBanks)],
  ['AIK2 is certified', host.certify === 'epoch' ? 'in each epoch' : 'once a session'],
  ['nothing is said', `after ${many(host.staleAfter, 'tick')} without evidence`],
  ['registers', host.selection ?? 'those that the verifier asks for'],
  ['clock', host.safeClock ? 'must be safe' : 'may be unsafe'],
  ['firmware of the TPM', listed(host.tpmFirmware, 'any')],
  ['binding list', `in register ${host.bindingPcr}`],
];

/** A hashed parameter has no other type for whoever judges it. */
const releasedInWords = ({ type, release }: Process['functions'][number]['parameters'][number]): string =>
  release === 'none' ? `${type}, stays on the host` : release === 'hash' ? 'hash' : `${type} ${release}`;

const processInWords = (process: Process): readonly (readonly [of: string, what: string])[] => [
  ['program', process.binary === 'any' ? 'any' : process.binary],
  ...(process.image === null ? [] : [['image', process.image] as const]),
  ...process.functions.map(
    ({ name, parameters }) =>
      ['function', `${name}(${parameters.map((one) => `${one.name}: ${releasedInWords(one)}`).join(', ')})`] as const,
  ),
  ['initial state', process.initial ?? 'all regions at once'],
  ...process.states.map(
    ({ name, tags }) => ['state', tags.length === 0 ? name : `${name} [${tags.join(', ')}]`] as const,
  ),
  ['variables', listed(process.variables.map(({ name, type }) => `${name}: ${type}`))],
  ['unexpected calls', process.unexpected === 'ignore' ? 'are passed over' : 'are violations'],
  ['after a violation', process.afterViolation ?? 'latch live, stay in imported traces'],
  ...(process.slice === null ? [] : [['one machine for each', process.slice] as const]),
  ['rests on', listed(process.assumptions, 'no assumptions')],
];

/** What a policy says, a line for each thing. */
export const policyInWords = (summary: PolicySummary): readonly string[] => {
  const lines = summary.kind === 'host' ? hostInWords(summary) : processInWords(summary);
  const width = Math.max(...lines.map(([of]) => of.length));
  return [
    `${summary.id}: a policy of ${summary.kind === 'host' ? 'hosts' : 'processes'}`,
    summary.digest,
    ...(summary.description === null ? [] : [summary.description]),
    ...lines.map(([of, what]) => `  ${of.padEnd(width)}  ${what}`),
  ];
};
