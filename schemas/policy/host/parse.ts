import { isAttestreamError } from '../../errors.js';
import { requiredRules } from '../../ima/coverage.js';
import { BUILT_IN_POLICIES, type PolicyRule } from '../../ima/measurement-policy.js';
import { didYouMean } from '../../suggest.js';
import { type PcrSelection, selectionFromText } from '../../tpm/selection.js';
import { checkIsJson, isRecord, MAX_REFERENCE_NODES, parseDocumentText } from '../document.js';
import { refusedName } from '../names.js';
import { policyDigest } from '../parse.js';
import { Problems } from '../problems.js';
import { checkKeys } from '../rules.js';
import type { Coverage, HostPolicy, ViolationRule } from './host-policy.js';
import { readPatterns } from './path-pattern.js';
import { referenceDigest } from './reference-digest.js';
import {
  readDeny,
  readFiles,
  readFirmware,
  readList,
  readMapping,
  readRequired,
  readSigners,
} from './reference-values.js';

type Keys = Readonly<Record<string, unknown>>;

export const HOST_DEFAULTS = {
  unlisted: 'warning',
  unhashable: 'contraindicated',
  weakDigests: 'warning',
  certify: 'session',
  staleAfter: 3,
  bindingPcr: 12,
  /** The kernel's own policy that lists every program, library and file that root reads. */
  coverage: { rules: requiredRules('tcb'), policies: new Set<string>() },
} as const;

export const HOST_POLICY_KEYS = [
  'kind',
  'id',
  'description',
  'firmware',
  'files',
  'signers',
  'deny',
  'exclude',
  'unlisted',
  'unhashable',
  'violations',
  'agent',
  'coverage',
  'paddedBanks',
  'weakDigests',
  'certify',
  'staleAfter',
  'selection',
  'safeClock',
  'tpmFirmware',
  'bindingPcr',
] as const;

/** A host policy from YAML or JSON (`kind: host`). Throws POLICY_INVALID, which lists everything that is wrong, with line and column. */
export const parseHostPolicy = (text: string, file: string): HostPolicy => {
  const { document, locate } = parseDocumentText(text, file);
  return read(document, new Problems(file, locate));
};

/** A host policy from data. Throws POLICY_INVALID. */
export const hostPolicyFromDocument = (document: unknown, file: string): HostPolicy =>
  read(document, new Problems(file));

const read = (document: unknown, problems: Problems): HostPolicy => {
  checkIsJson(document, problems, MAX_REFERENCE_NODES);
  problems.throwIfAny();
  if (!isRecord(document)) problems.add([], 'not a mapping', 'a host policy begins with "kind: host"');
  problems.throwIfAny();
  const keys = document as Keys;
  checkKeys(keys, HOST_POLICY_KEYS, [], problems);
  if (keys['kind'] !== 'host') problems.add(['kind'], 'not "host"', 'a policy of hosts says kind: host');
  const id = keys['id'];
  const refused = typeof id === 'string' ? refusedName(id) : 'a policy needs a name';
  if (refused !== undefined) problems.add(['id'], refused, 'write id: NAME');
  if (keys['description'] !== undefined && typeof keys['description'] !== 'string')
    problems.add(['description'], 'not a text');
  const { unlisted, unhashable, weakDigests, certify } = HOST_DEFAULTS;
  const word = <W extends string>(key: string, words: readonly W[], absent: W): W =>
    choice(keys, key, words, absent, problems);
  const policy: HostPolicy = {
    kind: 'host',
    digest: policyDigest(keys),
    document: keys,
    id: String(id),
    firmware: readFirmware(keys['firmware'], ['firmware'], problems),
    files: readFiles(keys['files'], ['files'], problems),
    signers: readSigners(keys['signers'], ['signers'], problems),
    deny: readDeny(keys['deny'], ['deny'], problems),
    exclude: readPatterns(keys['exclude'], ['exclude'], problems),
    unlisted: word('unlisted', ['contraindicated', 'warning', 'allow'], unlisted),
    unhashable: word('unhashable', ['contraindicated', 'warning'], unhashable),
    violations: readViolations(keys['violations'], problems),
    agent: readRequired(keys['agent'], ['agent'], problems),
    coverage: readCoverage(keys['coverage'], problems),
    paddedBanks: readBanks(keys['paddedBanks'], problems),
    weakDigests: word('weakDigests', ['warning', 'allow'], weakDigests),
    certify: word('certify', ['session', 'epoch'], certify),
    staleAfter: readNumber(keys, 'staleAfter', HOST_DEFAULTS.staleAfter, 1, 10_000, problems),
    selection: readSelection(keys['selection'], problems),
    safeClock: readFlag(keys, 'safeClock', problems),
    tpmFirmware: readVersions(keys['tpmFirmware'], problems),
    bindingPcr: readNumber(keys, 'bindingPcr', HOST_DEFAULTS.bindingPcr, 8, 15, problems),
  };
  if (policy.bindingPcr === 10) problems.add(['bindingPcr'], "register 10 is the kernel's own", 'take 12');
  if (policy.files === null && policy.signers.length > 0)
    problems.add(['signers'], 'stand for digests, but no "files" are judged', 'write files: {} beside them');
  problems.throwIfAny();
  return policy;
};

const choice = <W extends string>(keys: Keys, key: string, words: readonly W[], absent: W, problems: Problems): W => {
  const value = keys[key];
  if (value === undefined) return absent;
  const found = words.find((one) => one === value);
  if (found !== undefined) return found;
  const hint = typeof value === 'string' ? didYouMean(value, words) : '';
  problems.add([key], `${JSON.stringify(value)} is none of ${words.join(', ')}`, hint);
  return absent;
};

const readNumber = (
  keys: Keys,
  key: string,
  absent: number,
  least: number,
  most: number,
  problems: Problems,
): number => {
  const value = keys[key];
  if (value === undefined) return absent;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  problems.add([key], `not a whole number from ${least} to ${most}`);
  return absent;
};

const readFlag = (keys: Keys, key: string, problems: Problems): boolean => {
  const value = keys[key];
  if (value !== undefined && typeof value !== 'boolean') problems.add([key], 'neither true nor false');
  return value === true;
};

const readViolations = (value: unknown, problems: Problems): readonly ViolationRule[] =>
  Object.entries(readMapping(value, ['violations'], problems, '{/var/log/*: any}')).map(([path, most]) => {
    const any = most === 'any';
    if (!any && !(typeof most === 'number' && Number.isInteger(most) && most >= 0))
      problems.add(['violations', path], 'neither a number nor "any"', 'write how many are borne');
    return { path, most: any ? Number.POSITIVE_INFINITY : Number(most) };
  });

const readCoverage = (value: unknown, problems: Problems): Coverage | null => {
  if (value === undefined) return HOST_DEFAULTS.coverage;
  if (value === 'none') return null;
  const keys = readMapping(value, ['coverage'], problems, '{rules: tcb}');
  checkKeys(keys, ['rules', 'policies'], ['coverage'], problems);
  const policies = readList(keys['policies']).map((one, i) => {
    const digest = typeof one === 'string' ? referenceDigest(one) : undefined;
    if (digest === undefined) problems.add(['coverage', 'policies', i], 'no digest', 'write sha256:HEX');
    return digest ?? '';
  });
  return { rules: readRules(keys['rules'] ?? 'tcb', problems), policies: new Set(policies) };
};

const readRules = (value: unknown, problems: Problems): readonly PolicyRule[] => {
  try {
    return requiredRules(readList(value).join('\n'));
  } catch (error) {
    if (!isAttestreamError(error)) throw error;
    problems.add(['coverage', 'rules'], error.message, `write rules of IMA, or ${BUILT_IN_POLICIES.join(', ')}`);
    return [];
  }
};

const readBanks = (value: unknown, problems: Problems): readonly string[] => {
  const banks = ['sha256', 'sha384', 'sha512'];
  return readList(value).map((one, i) => {
    if (!banks.includes(String(one)))
      problems.add(['paddedBanks', i], `no bank ${JSON.stringify(one)}`, didYouMean(String(one), banks));
    return String(one);
  });
};

const readSelection = (value: unknown, problems: Problems): PcrSelection | null => {
  if (value === undefined || value === null) return null;
  try {
    return selectionFromText(String(value));
  } catch (error) {
    if (!isAttestreamError(error)) throw error;
    problems.add(['selection'], 'not a selection', 'write sha256:0,1,2,3,4,5,6,7,10,12');
    return null;
  }
};

const readVersions = (value: unknown, problems: Problems): readonly string[] =>
  readList(value).map((one, i) => {
    if (typeof one !== 'string' || !/^[0-9a-f]{16}$/.test(one))
      problems.add(['tpmFirmware', i], 'not 16 hex digits', 'write the version in quotes, as 2016051100162800');
    return String(one);
  });
