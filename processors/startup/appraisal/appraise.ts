import type { BankModes } from '../../../schemas/ima/bank-mode.js';
import { checkBootAggregate } from '../../../schemas/ima/boot-aggregate.js';
import { coverageOfCommandLine } from '../../../schemas/ima/coverage.js';
import type { HostPolicy } from '../../../schemas/policy/host/host-policy.js';
import type { Micros } from '../../../schemas/records.js';
import type { Attest } from '../../../schemas/tpm/attest.js';
import type { FirmwareFacts } from '../lists/firmware-log.js';
import { isOpen } from './file-reference.js';
import { addFinding, type Findings, type Level } from './findings.js';
import type { ImaAppraisal } from './ima-appraisal.js';

export interface AppraisalInput {
  readonly policy: HostPolicy;
  readonly now: Micros;
  /** null: the kernel's list was not looked at. */
  readonly list: ImaAppraisal | null;
  readonly modes: BankModes;
  readonly quote: Attest;
  /** Values of quoted registers, proven, by `sha256:7`. */
  readonly registers: ReadonlyMap<string, Buffer>;
  readonly firmware: FirmwareFacts | null;
}

/** What the policy says of evidence that holds: step 24 of startup.md §4. */
export const appraise = (input: AppraisalInput): { readonly findings: Findings; readonly notChecked: string[] } => {
  const findings: Findings = new Map();
  const notChecked: string[] = [];
  const add = (code: Parameters<typeof addFinding>[1]['code'], level: Level, message: string): void =>
    addFinding(findings, { code, level, message });
  platform(input, add);
  firmware(input, add);
  if (input.list !== null) {
    for (const [code, tally] of input.list.findings) findings.set(code, { ...tally, examples: [...tally.examples] });
    kernelList(input, input.list, add, notChecked);
  } else if (input.policy.files !== null || input.policy.agent.length > 0)
    add('ima.coverage-unproven', 'warning', 'register 10 is not quoted, so that nothing is known of the files');
  return { findings, notChecked };
};

type Add = (code: Parameters<typeof addFinding>[1]['code'], level: Level, message: string) => void;

const platform = ({ policy, quote }: AppraisalInput, add: Add): void => {
  if (policy.safeClock && !quote.safe)
    add('clock.unsafe', 'warning', 'the TPM lost power uncleanly: its clock may have stood higher before');
  const version = quote.firmwareVersion.toString(16).padStart(16, '0');
  if (policy.tpmFirmware.length > 0 && !policy.tpmFirmware.includes(version))
    add('tpm.firmware', 'contraindicated', `the TPM's firmware ${version} is none of those accepted`);
};

/** One of the references that are open now must hold in all its registers. */
const firmware = ({ policy, now, registers }: AppraisalInput, add: Add): void => {
  if (policy.firmware.length === 0) return;
  const wrongOf = (values: ReadonlyMap<string, readonly string[]>): readonly string[] =>
    [...values]
      .filter(([register, accepted]) => !accepted.includes(registers.get(register)?.toString('hex') ?? ''))
      .map(([register]) => register);
  const open = policy.firmware.filter((reference) => isOpen(reference, now));
  const wrong = open.map(({ name, values }) => ({ name, registers: wrongOf(values) }));
  if (wrong.some((one) => one.registers.length === 0)) return;
  const [nearest] = wrong.sort((a, b) => a.registers.length - b.registers.length);
  add(
    'firmware.unlisted',
    'contraindicated',
    nearest === undefined
      ? 'no firmware is accepted at this time'
      : `registers are those of no accepted firmware; nearest is ${nearest.name}, but for ${nearest.registers.join(', ')}`,
  );
};

const kernelList = (input: AppraisalInput, list: ImaAppraisal, add: Add, notChecked: string[]): void => {
  const { policy, modes, registers } = input;
  if (list.aggregate === null) notChecked.push('ima.boot-aggregate');
  else {
    const { result } = checkBootAggregate(list.aggregate, (bank, pcr) => registers.get(`${bank}:${pcr}`) ?? null);
    if (result === 'unchecked') notChecked.push('ima.boot-aggregate');
    if (result === 'different')
      add('ima.boot-aggregate', 'contraindicated', "the list's first entry is not that of the quoted firmware");
  }
  for (const [bank, mode] of Object.entries(modes))
    if (mode === 'padded-sha1' && bank !== 'sha1' && !policy.paddedBanks.includes(bank))
      add('ima.bank-padded', 'warning', `bank ${bank} is filled with padded SHA-1 and proves no more than SHA-1 does`);
  for (const { path } of policy.agent)
    if (!list.required.has(path)) add('agent.missing', 'contraindicated', `${path} was not measured as it must be`);
  coverage(input, list, add);
};

/** A list under no policy replays perfectly and says nothing. */
const coverage = ({ policy, firmware: facts }: AppraisalInput, list: ImaAppraisal, add: Add): void => {
  if (policy.coverage === null || list.covered) return;
  const { rules } = policy.coverage;
  const lines = facts?.commandLines ?? [];
  const proven = lines.map((line) => coverageOfCommandLine(line, rules));
  if (proven.some(({ missing }) => missing.length === 0)) return;
  const [first] = proven;
  add(
    'ima.coverage-unproven',
    'warning',
    first === undefined
      ? 'neither a measured command line nor a measured policy shows what the kernel measures'
      : `the kernel's command line does not give ${first.missing.slice(0, 3).join('; ')}`,
  );
};
