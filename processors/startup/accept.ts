import type { HostPolicy } from '../../schemas/policy/host/host-policy.js';
import type { Evidence, Rest } from '../../schemas/records.js';
import { appraise } from './appraisal/appraise.js';
import { addFinding } from './appraisal/findings.js';
import { appraiseSpan, emptyAppraisal } from './appraisal/ima-appraisal.js';
import type { Authenticated } from './authenticate.js';
import { countersOf } from './checks/boot.js';
import type { Explained } from './explain.js';
import type { HostState } from './host-state.js';
import { moveBindingCursor } from './lists/binding-list.js';
import type { BootLists } from './lists/boot-lists.js';
import { moveCursor } from './lists/kernel-list.js';
import type { ComparedHeads } from './streams.js';

/** Cores that are remembered, to notice two histories. */
const CORES = 16;
const FORMER_KEYS = 16;

export interface Acceptance {
  readonly state: HostState;
  readonly lists: BootLists;
  readonly boot: string;
  readonly evidence: Evidence;
  readonly authenticated: Authenticated;
  readonly explained: Explained;
  readonly policy: HostPolicy | null;
  readonly rest: Rest;
  readonly heads: ComparedHeads;
}

/** Takes evidence in that holds in every check: moves cursors, appraises what became proven, and remembers where things stand. */
export const acceptEvidence = (acceptance: Acceptance): void => {
  const { state, authenticated, rest } = acceptance;
  const { latch } = state;
  const { resetCount } = authenticated.quote;
  if (latch?.until === 'enrolment') {
    // The history that was there before the older one goes on beside it: two TPMs speak as one.
    if (state.failure?.code === 'identity.rollback')
      state.failure = { code: 'identity.cloned', message: 'two histories of one TPM go on side by side', rest };
    return;
  }
  if (latch?.until === 'boot') {
    if (resetCount <= latch.resetCount) return;
    state.latch = null;
  }
  keepSession(acceptance);
  const appraised = appraiseEvidence(acceptance);
  state.findings = appraised.findings;
  state.notChecked = appraised.notChecked;
  state.failure = null;
  state.phase = 'attested';
};

const keepSession = ({ state, authenticated, boot, rest }: Acceptance): void => {
  const { session, answered, quote, digest } = authenticated;
  const former = state.session;
  if (former !== null && former.aik2Name !== session.aik2Name) {
    state.formerKeys.push({ name: former.aik2Name, resetCount: former.resetCount });
    if (state.formerKeys.length > FORMER_KEYS) state.formerKeys.shift();
  } else if (former !== null && former.resetCount !== session.resetCount)
    state.formerKeys.push({ name: former.aik2Name, resetCount: former.resetCount });
  state.session = session;
  state.cores.push(digest);
  if (state.cores.length > CORES) state.cores.shift();
  const { epoch, newest } = answered;
  state.attestation = {
    ...countersOf(quote),
    boot,
    verifier: epoch.verifier,
    epoch: epoch.number,
    issued: epoch.issued,
    newest: newest.number,
    rest,
  };
  for (const other of state.boots.keys()) if (other !== boot) state.boots.delete(other);
};

const appraiseEvidence = ({ state, lists, authenticated, explained, policy, heads }: Acceptance) => {
  const { kernel, binding, firmware } = lists;
  const { answered, quote, session } = authenticated;
  if (explained.binding !== null) moveBindingCursor(binding, explained.binding);
  const notChecked = [...explained.notChecked, ...(heads.unchecked ? ['stream'] : [])];
  // Without a policy nothing could be said of entries that are forgotten: they stay until there is one.
  if (policy === null) return { findings: new Map(), notChecked };
  state.policy = policy.digest;
  if (kernel.policy !== policy.digest) {
    kernel.policy = policy.digest;
    kernel.appraisal = emptyAppraisal();
  }
  if (explained.kernel !== null)
    moveCursor(kernel, explained.kernel, (span) => appraiseSpan(kernel.appraisal, policy, span, answered.epoch.issued));
  const appraised = appraise({
    policy,
    now: answered.epoch.issued,
    list: explained.kernel === null ? null : kernel.appraisal,
    modes: kernel.modes,
    quote,
    registers: explained.registers,
    firmware: firmware.facts,
  });
  if (session.reused)
    addFinding(appraised.findings, {
      code: 'aik2.reused',
      level: 'warning',
      message: 'AIK2 is one of a former boot',
    });
  if (heads.broken)
    addFinding(appraised.findings, {
      code: 'stream.gap',
      level: 'warning',
      message: 'records of the stream are missing, so that nobody can tell whether it was altered',
    });
  return { findings: appraised.findings, notChecked: [...notChecked, ...appraised.notChecked] };
};
