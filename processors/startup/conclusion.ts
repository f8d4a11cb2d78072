import type { HostPolicy } from '../../schemas/policy/host/host-policy.js';
import { CHECK_VALUES, type CheckCode } from './checks/check.js';
import type { HostState } from './host-state.js';
import type { Reason, TrustState } from './verdict.js';

/** What is concluded of a host as its state stands. */
export interface Conclusion {
  readonly state: TrustState;
  /** AR4SI trustworthiness value. */
  readonly value: number;
  readonly reasons: readonly Reason[];
  readonly message: string;
}

const AFFIRMING = 2;
const CONTRAINDICATED = 96;

const single = (state: TrustState, code: CheckCode, message: string): Conclusion => ({
  state,
  value: state === 'contraindicated' ? Math.max(CONTRAINDICATED, CHECK_VALUES[code]) : CHECK_VALUES[code],
  reasons: [{ code, level: state, count: 1, examples: [message] }],
  message,
});

/** Silent is `none`, never `contraindicated`: a host that lost its network is not a compromised one (startup.md §5). */
export const concludeHost = (state: HostState, policy: HostPolicy | null): Conclusion => {
  switch (state.phase) {
    case 'unknown':
      return single('none', 'host.unknown', 'no verifier enrolled this host');
    case 'enrolled':
      return single('none', 'evidence.silent', 'enrolled, and no evidence was accepted yet');
    case 'revoked':
      return single('contraindicated', 'host.revoked', `revoked: ${state.revoked?.reason ?? ''}`);
    case 'untrusted': {
      const { code, message } = state.failure ?? { code: 'host.unknown', message: '' };
      return single('contraindicated', code, message);
    }
    case 'stale':
      return state.waiting === null
        ? single('none', 'evidence.silent', 'no evidence was accepted for too many ticks')
        : single('none', 'evidence.incomplete', 'list entries that the evidence counts did not come');
    case 'attested':
      return policy === null || state.policy === ''
        ? single('none', 'policy.missing', 'its evidence holds, and no policy says what it should be')
        : appraised(state);
  }
};

const appraised = ({ findings }: HostState): Conclusion => {
  const reasons: Reason[] = [...findings]
    .map(([code, { level, count, examples }]) => ({ code, level, count, examples: [...examples] }))
    .sort((a, b) => (a.level === b.level ? (a.code < b.code ? -1 : 1) : a.level === 'contraindicated' ? -1 : 1));
  const [worst] = reasons;
  if (worst === undefined)
    return { state: 'affirming', value: AFFIRMING, reasons, message: 'its evidence holds and is as its policy says' };
  const value = Math.max(
    ...reasons.map(({ code, level }) => {
      const own = CHECK_VALUES[code as CheckCode];
      return level === 'contraindicated' ? Math.max(CONTRAINDICATED, own) : own;
    }),
  );
  const more = worst.count > 1 ? ` (and ${worst.count - 1} more)` : '';
  const message = `${worst.code}: ${worst.examples[0] ?? ''}${more}`;
  return { state: worst.level as TrustState, value, reasons, message };
};
