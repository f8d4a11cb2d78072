import type { QuotedPcr } from '../../schemas/ima/prefix-search.js';
import type { ImaBank } from '../../schemas/ima/template-hash.js';
import type { HostPolicy } from '../../schemas/policy/host/host-policy.js';
import type { Evidence } from '../../schemas/records.js';
import { hashSize } from '../../schemas/tpm/algorithms.js';
import { selectedRegisters } from '../../schemas/tpm/selection.js';
import type { Authenticated } from './authenticate.js';
import { type Failure, runChecks } from './checks/check.js';
import { pcrDigestCheck } from './checks/pcr-digest.js';
import type { HostState } from './host-state.js';
import { type BindingPrefix, bindingPrefix, missingBindingEntry } from './lists/binding-list.js';
import type { BootLists } from './lists/boot-lists.js';
import type { FirmwareFacts } from './lists/firmware-log.js';
import { cursorOf, isImaBank, kernelPrefix, missingKernelEntry, type PrefixMatch } from './lists/kernel-list.js';

const IMA_PCR = 10;
/** Registers above cannot be extended for good (16, 23) or not by the kernel's list (17 to 22). */
const LAST_LIST_PCR = 15;
const LAST_FIRMWARE_PCR = 9;

/** Values of the quoted registers that the quote's own digest bears out. */
export type Registers = ReadonlyMap<string, Buffer>;

export const registerKey = (bank: string, pcr: number): string => `${bank}:${pcr}`;

export interface Explained {
  readonly registers: Registers;
  /** null: the kernel's register was not quoted. */
  readonly kernel: PrefixMatch | null;
  /** null: the binding register was not quoted. */
  readonly binding: BindingPrefix | null;
  readonly notChecked: readonly string[];
}

/** List entries that are still to come, or to come again. */
export interface Incomplete {
  readonly missing: 'kernel' | 'binding';
  readonly from: number;
}

export interface ExplainInput {
  readonly state: HostState;
  readonly lists: BootLists;
  readonly evidence: Evidence;
  readonly boot: string;
  readonly authenticated: Authenticated;
  readonly bindingPcr: number;
}

/** Step 23 of startup.md §4: every register that was quoted is explained by a list that came complete, or said to be unexplained. */
export const explain = (input: ExplainInput): Explained | Incomplete | Failure => {
  const { evidence, lists, authenticated } = input;
  const registers = new Map(evidence.pcrHints.map(({ hash, pcr, value }) => [registerKey(hash, pcr), value] as const));
  const values = evidence.pcrHints.map(({ hash, pcr }) => ({
    hash,
    pcr,
    value: registers.get(registerKey(hash, pcr))!,
  }));
  const { failure } = runChecks([
    pcrDigestCheck(
      () => authenticated.quote,
      () => authenticated.hash,
      values,
    ),
  ]);
  if (failure !== null) return failure;
  const incomplete = missing(input);
  if (incomplete !== null) return incomplete;
  const quoted = selectedRegisters(authenticated.quote.quote!.selection).flatMap(({ hash, pcr }) =>
    isImaBank(hash) ? [{ bank: hash, pcr, value: registers.get(registerKey(hash, pcr))! }] : [],
  );
  const notChecked: string[] = [];
  const kernel = explainKernel(input, quoted);
  if (kernel !== null && 'code' in kernel) return kernel;
  if (kernel !== null && 'missing' in kernel) return kernel;
  if (kernel === null) notChecked.push('ima.prefix');
  const binding = explainBinding(input, quoted);
  if (binding !== null && 'code' in binding) return binding;
  if (binding === null) notChecked.push('binding.prefix');
  const firmware = explainFirmware(lists.firmware.facts, quoted);
  if (firmware === 'not checked') notChecked.push('firmware.prefix');
  else if (firmware !== null) return firmware;
  return { registers, kernel, binding, notChecked };
};

const missing = ({ state, lists, evidence, boot }: ExplainInput): Incomplete | null => {
  const { kernel, binding } = lists;
  // Of a list that became shorter nothing is missing; that it did is found out below.
  const sameBoot = state.attestation?.boot === boot;
  if (!(sameBoot && evidence.nI1 < cursorOf(kernel))) {
    const from = missingKernelEntry(kernel, evidence.nI1);
    if (from !== null) return { missing: 'kernel', from };
  }
  const from = missingBindingEntry(binding, evidence.nB1);
  return from === null ? null : { missing: 'binding', from };
};

const explainKernel = (
  { state, lists, evidence, boot, authenticated, bindingPcr }: ExplainInput,
  quoted: readonly QuotedPcr[],
): PrefixMatch | Incomplete | Failure | null => {
  const { kernel } = lists;
  const extended = new Set(kernel.tail.pcrs());
  for (const pcr of kernel.proven?.pcrs() ?? []) extended.add(pcr);
  const expected = quoted.filter(
    ({ pcr }) => pcr === IMA_PCR || (pcr > IMA_PCR && pcr <= LAST_LIST_PCR && pcr !== bindingPcr && extended.has(pcr)),
  );
  if (!expected.some(({ pcr }) => pcr === IMA_PCR)) return null;
  const last = state.attestation;
  const sameReset = last !== null && last.resetCount === authenticated.quote.resetCount;
  if (sameReset && last.boot === boot && evidence.nI1 < cursorOf(kernel))
    return {
      code: 'ima.kexec',
      message: `the list has ${evidence.nI1} entries and had ${cursorOf(kernel)} before, without a reset of the TPM`,
    };
  const prefix = kernelPrefix(kernel, expected, evidence.nI1);
  if (prefix.found !== null) return prefix.found;
  if ('rewind' in prefix) return { missing: 'kernel', from: 0 };
  if (sameReset && last.boot !== boot)
    return {
      code: 'ima.kexec',
      message: `another kernel runs without a reset of the TPM and did not carry the list over: ${prefix.message}`,
    };
  return { code: 'ima.prefix', message: prefix.message };
};

const explainBinding = (
  { lists, evidence, bindingPcr }: ExplainInput,
  quoted: readonly QuotedPcr[],
): BindingPrefix | Failure | null => {
  const registers = quoted.filter(({ pcr }) => pcr === bindingPcr);
  if (registers.length === 0) return null;
  const { binding, firmware } = lists;
  const start = (bank: ImaBank): Buffer => {
    const known = firmware.facts?.values.get(registerKey(bank, bindingPcr));
    return known === undefined ? Buffer.alloc(hashSize(bank)!) : Buffer.from(known, 'hex');
  };
  const prefix = bindingPrefix(binding, registers, start, evidence.nB1);
  if (prefix !== null) return prefix;
  const said = evidence.nB1 > binding.count;
  if (said) return { code: 'binding.prefix', message: `no prefix of the binding list explains register ${bindingPcr}` };
  return binding.values.size === 0
    ? {
        code: 'binding.start-unexplained',
        message: `register ${bindingPcr} was extended before the first binding, and no event of the firmware says by what`,
      }
    : {
        code: 'binding.foreign-extend',
        message: `register ${bindingPcr} was extended by something that the binding list does not hold`,
      };
};

const explainFirmware = (facts: FirmwareFacts | null, quoted: readonly QuotedPcr[]): Failure | 'not checked' | null => {
  const registers = quoted.filter(({ pcr }) => pcr <= LAST_FIRMWARE_PCR);
  if (facts === null || registers.length === 0) return 'not checked';
  if (facts.fault !== null) return { code: 'firmware.malformed', message: facts.fault };
  const known = registers.filter(({ bank }) => facts.banks.includes(bank));
  if (known.length === 0) return 'not checked';
  const wrong = known.filter(({ bank, pcr, value }) => {
    const replayed = facts.values.get(registerKey(bank, pcr));
    return !value.equals(replayed === undefined ? Buffer.alloc(value.length) : Buffer.from(replayed, 'hex'));
  });
  if (wrong.length === 0) return null;
  const names = wrong.map(({ bank, pcr }) => registerKey(bank, pcr)).join(', ');
  return { code: 'firmware.prefix', message: `the firmware's log does not explain ${names}` };
};

/** Register of the binding list: what the policy names, or the usual one. */
export const bindingPcrOf = (policy: HostPolicy | null): number => policy?.bindingPcr ?? 12;
