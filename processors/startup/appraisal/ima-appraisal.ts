import { isAttestreamError } from '../../../schemas/errors.js';
import { BOOT_AGGREGATE } from '../../../schemas/ima/boot-aggregate.js';
import { type FileDigest, type ImaEntry, type ImaRecord, imaEntry } from '../../../schemas/ima/entry.js';
import { globMatches } from '../../../schemas/policy/glob.js';
import type { HostPolicy } from '../../../schemas/policy/host/host-policy.js';
import type { Micros } from '../../../schemas/records.js';
import { digestName, isListed } from './file-reference.js';
import { signedFile } from './file-signer.js';
import { addFinding, type Findings } from './findings.js';

/** What the entries of a list amount to under one policy; goes on where it stopped. */
export interface ImaAppraisal {
  readonly findings: Findings;
  entries: number;
  violations: number;
  /** Violations borne so far, by the glob of the rule that bears them. */
  readonly borne: Map<string, number>;
  /** Globs of required files that were measured as they must be. */
  readonly required: Set<string>;
  /** A policy of IMA that the policy names was measured. */
  covered: boolean;
  aggregate: FileDigest | null;
}

export const emptyAppraisal = (): ImaAppraisal => ({
  findings: new Map(),
  entries: 0,
  violations: 0,
  borne: new Map(),
  required: new Set(),
  covered: false,
  aggregate: null,
});

const WEAK = new Set(['sha1', 'md5']);

/** Takes one more entry of a proven prefix into account. `now` is when the verifier asked for it. */
export const appraiseRecord = (appraisal: ImaAppraisal, policy: HostPolicy, record: ImaRecord, now: Micros): void => {
  const index = appraisal.entries++;
  let entry: ImaEntry;
  try {
    entry = imaEntry(record);
  } catch (error) {
    if (!isAttestreamError(error)) throw error;
    const message = `entry ${index}: ${error.message}`;
    addFinding(appraisal.findings, { code: 'ima.malformed', level: 'contraindicated', message });
    return;
  }
  const { name, fileDigest } = entry;
  if (index === 0 && name === BOOT_AGGREGATE && !entry.violation) {
    appraisal.aggregate = fileDigest === null ? null : { ...fileDigest, digest: Buffer.from(fileDigest.digest) };
    return;
  }
  if (entry.violation) violation(appraisal, policy, name ?? '', index);
  else judge(appraisal, policy, entry, index, now);
};

/** That there was one is proven, where it was is only claimed: a rule for a path can bear it, and never affirms it. */
const violation = (appraisal: ImaAppraisal, policy: HostPolicy, path: string, index: number): void => {
  appraisal.violations++;
  const rule = policy.violations.find(({ path: glob }) => globMatches(glob, path));
  const borne = rule === undefined ? 0 : (appraisal.borne.get(rule.path) ?? 0) + 1;
  if (rule !== undefined && borne <= rule.most) {
    appraisal.borne.set(rule.path, borne);
    addFinding(appraisal.findings, {
      code: 'ima.violation-tolerated',
      level: 'warning',
      message: `entry ${index}: ${path} (path as claimed by the host) was written while it was read`,
    });
  } else
    addFinding(appraisal.findings, {
      code: 'ima.violation',
      level: 'contraindicated',
      message: `entry ${index}: ${path} (path as claimed by the host) was written while it was read`,
    });
};

const judge = (appraisal: ImaAppraisal, policy: HostPolicy, entry: ImaEntry, index: number, now: Micros): void => {
  const { findings } = appraisal;
  const path = entry.name ?? '';
  const digest = entry.fileDigest === null ? null : digestName(entry.fileDigest);
  const what = `entry ${index}: ${path === '' ? `a record of template ${entry.template}` : path}`;
  const signature = signedFile(entry, policy, path, now);
  // What the header says is its writer's: a length that lies fails, whatever the path.
  if (signature.malformed !== null)
    addFinding(findings, {
      code: 'ima.signature-malformed',
      level: 'contraindicated',
      message: `${what} carries a signature ${signature.malformed}`,
    });
  if (signature.bad !== null)
    addFinding(findings, {
      code: 'ima.signature',
      level: 'contraindicated',
      message: `${what} carries ${signature.bad}`,
    });
  const denied = policy.deny.find(
    (rule) => (rule.digest === null || rule.digest === digest) && (rule.path === null || globMatches(rule.path, path)),
  );
  if (denied !== undefined) {
    const why = denied.reason === '' ? '' : `: ${denied.reason}`;
    addFinding(findings, { code: 'ima.denied', level: 'contraindicated', message: `${what} is denied${why}` });
    return;
  }
  if (digest !== null) {
    if (policy.coverage?.policies.has(digest) === true) appraisal.covered = true;
    for (const file of policy.agent)
      if (file.digests.has(digest) && globMatches(file.path, path)) appraisal.required.add(file.path);
  }
  if (policy.exclude.some((glob) => globMatches(glob, path))) return;
  if (entry.unhashable) {
    const message = `${what} was measured without a digest`;
    addFinding(findings, { code: 'ima.unhashable', level: policy.unhashable, message });
    return;
  }
  if (policy.files === null) return;
  if (entry.fileDigest !== null && WEAK.has(entry.fileDigest.algorithm) && policy.weakDigests === 'warning')
    addFinding(findings, {
      code: 'ima.weak-digest',
      level: 'warning',
      message: `${what} is known by ${entry.fileDigest.algorithm} only`,
    });
  if (signature.by !== null || (digest !== null && isExplained(policy, digest, path, now))) return;
  if (policy.unlisted === 'allow') return;
  addFinding(findings, {
    code: 'ima.unexplained',
    level: policy.unlisted,
    message: `${what} is ${digest ?? 'without a digest'}, which nothing explains`,
  });
};

/** What the policy requires or names as a policy of IMA it also knows. */
const isExplained = (policy: HostPolicy, digest: string, path: string, now: Micros): boolean =>
  isListed(policy, digest, path, now) ||
  policy.coverage?.policies.has(digest) === true ||
  policy.agent.some((file) => file.digests.has(digest) && globMatches(file.path, path));
