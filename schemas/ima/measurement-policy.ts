import { AttestreamError } from '../errors.js';

/**
 * A rule of an IMA policy (Documentation/ABI/testing/ima_policy). Conditions as they are written: `func=BPRM_CHECK`,
 * `mask=^MAY_READ`, `uid=0`, `fsmagic=0x9fa0`.
 */
export interface PolicyRule {
  readonly action: string;
  readonly conditions: readonly string[];
}

const ACTIONS = new Set([
  'measure',
  'dont_measure',
  'appraise',
  'dont_appraise',
  'audit',
  'dont_audit',
  'hash',
  'dont_hash',
]);

/** Words that are no condition: they say how to measure or appraise, not what. */
const OPTIONS = /^(?:pcr=|template=|appraise_type=|appraise_flag=|appraise_algos=|digest_type=|permit_directio$)/;

/** Other spellings that the kernel takes. */
const ALIASES: Readonly<Record<string, string>> = {
  'func=PATH_CHECK': 'func=FILE_CHECK',
  'func=FILE_MMAP': 'func=MMAP_CHECK',
};

/** One spelling for what the kernel reads alike. */
const condition = (word: string): string => {
  const magic = /^fsmagic=0[xX]0*([0-9a-fA-F]+)$/.exec(word);
  return magic === null ? (ALIASES[word] ?? word) : `fsmagic=0x${magic[1]!.toLowerCase()}`;
};

const MAX_RULES = 10_000;

/** Reads the text of a policy. Throws IMA_INVALID for an action that is none. */
export const parseMeasurementPolicy = (text: string): PolicyRule[] => {
  const rules: PolicyRule[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || words[0]!.startsWith('#')) continue;
    const [action, ...rest] = words as [string, ...string[]];
    if (!ACTIONS.has(action) || rules.length >= MAX_RULES)
      throw new AttestreamError(
        'IMA_INVALID',
        `IMA policy: line ${i + 1}: not a rule: ${JSON.stringify(line.slice(0, 80))}`,
      );
    rules.push({ action, conditions: rest.filter((word) => !OPTIONS.test(word)).map(condition) });
  }
  return rules;
};

/** File systems that the built-in policies leave out: those of the kernel itself and of memory. */
const PSEUDO = [
  '0x9fa0',
  '0x62656572',
  '0x64626720',
  '0x1021994',
  '0x1cd1',
  '0x42494e4d',
  '0x73636673',
  '0xf97cff8c',
  '0x43415d53',
  '0x27e0eb',
  '0x63677270',
  '0x6e736673',
  '0xde5e81e4',
];

const MEASURED_ALWAYS = [
  'measure func=MMAP_CHECK mask=MAY_EXEC',
  'measure func=BPRM_CHECK mask=MAY_EXEC',
  'measure func=MODULE_CHECK',
  'measure func=FIRMWARE_CHECK',
  'measure func=POLICY_CHECK',
];

/** The kernel's own policies, by their names on its command line (security/integrity/ima/ima_policy.c). */
const BUILT_IN: Readonly<Record<string, readonly string[]>> = {
  ima_tcb: [
    ...PSEUDO.map((magic) => `dont_measure fsmagic=${magic}`),
    ...MEASURED_ALWAYS,
    'measure func=FILE_CHECK mask=MAY_READ uid=0',
  ],
  tcb: [
    ...PSEUDO.map((magic) => `dont_measure fsmagic=${magic}`),
    ...MEASURED_ALWAYS,
    'measure func=FILE_CHECK mask=^MAY_READ euid=0',
    'measure func=FILE_CHECK mask=^MAY_READ uid=0',
  ],
  critical_data: ['measure func=CRITICAL_DATA'],
};

export const BUILT_IN_POLICIES: readonly string[] = Object.keys(BUILT_IN);

/** Rules of a built-in policy; null for a name that the kernel does not have or that measures nothing. */
export const builtInRules = (name: string): PolicyRule[] | null =>
  Object.hasOwn(BUILT_IN, name) ? parseMeasurementPolicy(BUILT_IN[name]!.join('\n')) : null;

/** Words of a kernel command line that are the kernel's: quotes join, and what stands behind `--` is init's. */
const kernelWords = (commandLine: string): string[] => {
  const words: string[] = [];
  for (const [word] of commandLine.matchAll(/(?:[^\s"]|"[^"]*"?)+/g)) {
    if (word === '--') break;
    words.push(word.replaceAll('"', ''));
  }
  return words;
};

/**
 * Built-in policies that a kernel command line switches on: `ima_policy=tcb|critical_data`, `ima_tcb`. The first of the two
 * TCB policies counts.
 */
export const policiesOfCommandLine = (commandLine: string): string[] => {
  const found: string[] = [];
  let tcb = false;
  const add = (name: string): void => {
    const isTcb = name === 'tcb' || name === 'ima_tcb';
    if (!Object.hasOwn(BUILT_IN, name) || found.includes(name) || (isTcb && tcb)) return;
    tcb ||= isTcb;
    found.push(name);
  };
  for (const word of kernelWords(commandLine)) {
    if (word === 'ima=off') return [];
    if (word === 'ima_tcb') add('ima_tcb');
    else if (word.startsWith('ima_policy='))
      for (const name of word.slice('ima_policy='.length).split(/[|\n ]/)) if (name !== 'ima_tcb') add(name);
  }
  return found;
};
