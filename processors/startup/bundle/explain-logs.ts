import { isAttestreamError } from '../../../schemas/errors.js';
import type { Bundle, BundleLog } from '../../../schemas/evidence/bundle.js';
import type { ImaRecord } from '../../../schemas/ima/entry.js';
import { type ListFormat, readImaList } from '../../../schemas/ima/list-reader.js';
import type { QuotedPcr } from '../../../schemas/ima/prefix-search.js';
import type { HostPolicy } from '../../../schemas/policy/host/host-policy.js';
import { hostPolicyFromDocument } from '../../../schemas/policy/host/parse.js';
import type { Micros } from '../../../schemas/records.js';
import { hashSize } from '../../../schemas/tpm/algorithms.js';
import type { Attest } from '../../../schemas/tpm/attest.js';
import type { PcrValue } from '../../../schemas/tpm/pcr-digest.js';
import { selectedRegisters } from '../../../schemas/tpm/selection.js';
import { appraise } from '../appraisal/appraise.js';
import type { Level } from '../appraisal/findings.js';
import { appraiseRecord, emptyAppraisal, type ImaAppraisal } from '../appraisal/ima-appraisal.js';
import { CHECK_VALUES, type CheckCode, type Failure } from '../checks/check.js';
import { bindingPrefix, emptyBindingList } from '../lists/binding-list.js';
import { type FirmwareFacts, firmwareFacts } from '../lists/firmware-log.js';
import { addKernelEntry, emptyKernelList, isImaBank, kernelPrefix, moveCursor } from '../lists/kernel-list.js';
import type { Requirement } from './verify-bundle.js';

/** Bytes of one of the bundle's logs. */
export type LogData = Buffer;

export interface ExplainLogs {
  readonly bundle: Bundle;
  readonly logs: readonly LogData[];
  readonly attest: Attest;
  /** Proven by the quote. */
  readonly values: readonly PcrValue[];
  readonly policy: HostPolicy | null;
  /** Coverage is asked for although no policy is given. */
  readonly coverage: boolean;
  readonly now: Micros;
}

export interface ExplainedLogs {
  readonly passed: readonly CheckCode[];
  readonly failures: readonly BundleFailure[];
  readonly notChecked: readonly string[];
  readonly met: readonly Requirement[];
}

/** A fault, and what it makes of the evidence. */
export interface BundleFailure extends Failure {
  readonly at: string;
  readonly level: Level;
}

/** AR4SI: 96 and above contraindicate. */
export const levelOf = (code: CheckCode): Level => (CHECK_VALUES[code] >= 96 ? 'contraindicated' : 'warning');

/** Asks for no reference values, and for the coverage that every policy asks for. */
const NO_POLICY = hostPolicyFromDocument({ kind: 'host', id: 'none' }, 'none');

const BINDING = 'binding-log/v1';

class Explanation {
  readonly passed: CheckCode[] = [];
  readonly failures: BundleFailure[] = [];
  readonly notChecked: string[] = [];
  readonly met: Requirement[] = [];
  explained = 0;

  fail(at: string, code: CheckCode, message: string, level = levelOf(code)): void {
    this.failures.push({ at, code, message, level });
  }
}

/** Logs against registers that a quote has proven: each must explain its registers; what no log is given for is not checked. */
export const explainLogs = (input: ExplainLogs): ExplainedLogs => {
  const found = new Explanation();
  const quoted = selectedRegisters(input.attest.quote!.selection).flatMap(({ hash, pcr }) => {
    const value = input.values.find((known) => known.hash === hash && known.pcr === pcr)?.value;
    return isImaBank(hash) && value !== undefined ? [{ bank: hash, pcr, value }] : [];
  });
  const of = (kind: string): { log: BundleLog; data: Buffer; at: string }[] =>
    input.bundle.logs.flatMap((log, i) => (log.kind === kind ? [{ log, data: input.logs[i]!, at: `logs[${i}]` }] : []));
  let firmware: FirmwareFacts | null = null;
  for (const { data, at } of of('tcg')) firmware = explainFirmware(data, at, quoted, found);
  const bindingPcr = input.policy?.bindingPcr ?? 12;
  const lists = of('ima').map(({ log, data, at }) => explainList(log, data, at, quoted, bindingPcr, input, found));
  for (const { log, data, at } of of('binding')) explainBinding(log, data, at, quoted, bindingPcr, firmware, found);
  for (const { at } of of('container')) found.notChecked.push(`${at} container`);
  for (const [i, { kind }] of input.bundle.logs.entries())
    if (!['tcg', 'ima', 'binding', 'container'].includes(kind)) found.notChecked.push(`logs[${i}] ${kind}`);
  if (of('tcg').length === 0) found.notChecked.push('firmware.prefix');
  if (of('ima').length === 0) found.notChecked.push('ima.prefix');
  if (found.explained > 0 && found.failures.length === 0) found.met.push('logs');
  if (found.failures.length === 0) reference(input, lists[0] ?? null, firmware, found);
  return found;
};

const explainFirmware = (
  data: Buffer,
  at: string,
  quoted: readonly QuotedPcr[],
  found: Explanation,
): FirmwareFacts | null => {
  const facts = firmwareFacts(data, '');
  if (facts.fault !== null) {
    found.fail(at, 'firmware.malformed', facts.fault);
    return null;
  }
  const registers = quoted.filter(({ bank, pcr }) => pcr <= 9 && facts.banks.includes(bank));
  if (registers.length === 0) {
    found.notChecked.push('firmware.prefix');
    return facts;
  }
  const wrong = registers.filter(
    ({ bank, pcr, value }) =>
      (facts.values.get(`${bank}:${pcr}`) ?? '00'.repeat(value.length)) !== value.toString('hex'),
  );
  if (wrong.length > 0) {
    const names = wrong.map(({ bank, pcr }) => `${bank}:${pcr}`).join(', ');
    found.fail(at, 'firmware.prefix', `the firmware's log does not explain ${names}`);
    return null;
  }
  found.passed.push('firmware.prefix');
  found.met.push('firmware');
  found.explained++;
  return facts;
};

interface Listed {
  readonly records: readonly ImaRecord[];
  readonly modes: Parameters<typeof appraise>[0]['modes'];
}

const formatOf = (format: string): ListFormat => (format === 'binary' || format === 'ascii' ? format : 'auto');

const explainList = (
  log: BundleLog,
  data: Buffer,
  at: string,
  quoted: readonly QuotedPcr[],
  bindingPcr: number,
  input: ExplainLogs,
  found: Explanation,
): Listed | null => {
  let records: readonly ImaRecord[];
  try {
    records = readImaList(data, { format: formatOf(log.format) });
  } catch (error) {
    if (!isAttestreamError(error)) throw error;
    found.fail(at, 'ima.malformed', error.message);
    return null;
  }
  const list = emptyKernelList();
  const room = records.every((record, index) => addKernelEntry(list, index, record));
  if (!room) {
    found.fail(at, 'ima.malformed', 'the list is longer than is taken');
    return null;
  }
  const extended = new Set(records.map(({ pcr }) => pcr));
  const expected = quoted.filter(
    ({ pcr }) => pcr === 10 || (pcr > 10 && pcr <= 15 && pcr !== bindingPcr && extended.has(pcr)),
  );
  if (expected.length === 0) {
    found.notChecked.push('ima.prefix');
    return null;
  }
  const prefix = kernelPrefix(list, expected, records.length);
  if (prefix.found === null) {
    found.fail(at, 'ima.prefix', 'message' in prefix ? prefix.message : 'the list does not hold together');
    return null;
  }
  found.passed.push('ima.prefix');
  found.explained++;
  const { count, modes } = prefix.found;
  moveCursor(list, prefix.found, () => undefined);
  for (const [bank, mode] of Object.entries(modes))
    if (mode === 'padded-sha1' && bank !== 'sha1' && !(input.policy?.paddedBanks.includes(bank) ?? false))
      found.fail(at, 'ima.bank-padded', `bank ${bank} is filled with padded SHA-1 and proves no more than SHA-1 does`);
  return { records: records.slice(0, count), modes };
};

const explainBinding = (
  { formula }: BundleLog,
  data: Buffer,
  at: string,
  quoted: readonly QuotedPcr[],
  bindingPcr: number,
  firmware: FirmwareFacts | null,
  found: Explanation,
): void => {
  const registers = quoted.filter(({ pcr }) => pcr === bindingPcr);
  if (formula !== BINDING || registers.length === 0) {
    found.notChecked.push(`${at} binding.prefix`);
    return;
  }
  const list = emptyBindingList();
  let records: readonly ImaRecord[];
  try {
    records = readImaList(data, { format: 'binary' });
  } catch (error) {
    if (!isAttestreamError(error)) throw error;
    found.fail(at, 'binding.prefix', error.message);
    return;
  }
  for (const [index, record] of records.entries()) list.tail.set(index, record);
  const start = (bank: string): Buffer => {
    const known = firmware?.values.get(`${bank}:${bindingPcr}`);
    return known === undefined ? Buffer.alloc(hashSize(bank) ?? 0) : Buffer.from(known, 'hex');
  };
  if (bindingPrefix(list, registers, start, records.length) === null)
    found.fail(at, 'binding.prefix', `no prefix of the binding list explains register ${bindingPcr}`);
  else {
    found.passed.push('binding.prefix');
    found.explained++;
  }
};

/** What a policy says; without one only what was asked for by name. */
const reference = (
  input: ExplainLogs,
  list: Listed | null,
  firmware: FirmwareFacts | null,
  found: Explanation,
): void => {
  const policy = input.policy ?? NO_POLICY;
  let appraisal: ImaAppraisal | null = null;
  if (list !== null) {
    appraisal = emptyAppraisal();
    for (const record of list.records) appraiseRecord(appraisal, policy, record, input.now);
  }
  const registers = new Map(input.values.map(({ hash, pcr, value }) => [`${hash}:${pcr}`, value] as const));
  const asked = input.policy !== null || input.coverage;
  const { findings, notChecked } = appraise({
    policy: input.policy === null && !input.coverage ? { ...policy, coverage: null } : policy,
    now: input.now,
    list: appraisal,
    modes: {},
    quote: input.attest,
    registers,
    firmware,
  });
  found.notChecked.push(...notChecked);
  if (input.policy === null) found.notChecked.push('references');
  else found.met.push('references');
  if (!asked) found.notChecked.push('coverage');
  for (const [code, { level, examples, count }] of findings) {
    // Without reference values a list is only held against the registers and the firmware.
    if (input.policy === null && code !== 'ima.boot-aggregate' && code !== 'ima.coverage-unproven') continue;
    const message = count > 1 ? `${examples[0]} (and ${count - 1} more)` : (examples[0] ?? '');
    found.fail('policy', code, message, level);
  }
  if (asked && appraisal !== null && !findings.has('ima.coverage-unproven')) {
    found.met.push('coverage');
    found.passed.push('ima.coverage-unproven');
  }
  if (appraisal?.aggregate != null && !notChecked.includes('ima.boot-aggregate') && !findings.has('ima.boot-aggregate'))
    found.passed.push('ima.boot-aggregate');
};
