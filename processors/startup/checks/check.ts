import { isAttestreamError } from '../../../schemas/errors.js';

/**
 * AR4SI trustworthiness values (draft-ietf-rats-ar4si) of what each check finds: 97 an identity that is not recognised or
 * stands twice, 99 cryptography that does not hold, 96 a state that is refused, 33 executables that nobody lists, 32 what
 * is borne but not affirmed, 0 nothing can be said.
 */
export const CHECK_VALUES = {
  'host.unknown': 0,
  'host.revoked': 96,
  'epoch.leaf': 0,
  'epoch.old': 0,
  'core.malformed': 99,
  'core.host': 97,
  'ek.malformed': 99,
  'aik1.malformed': 99,
  'aik2.malformed': 99,
  'certify.missing': 0,
  'certify.signature': 99,
  'certify.malformed': 99,
  'certify.magic': 99,
  'certify.type': 99,
  'certify.nonce': 99,
  'certify.signer': 97,
  'certify.name': 97,
  'certify.qn': 97,
  'certify.trailing': 99,
  'certify.leaf': 99,
  'certify.core': 99,
  'aik1.attributes': 97,
  'aik2.attributes': 97,
  'aik2.reused': 32,
  'quote.signature': 99,
  'quote.malformed': 99,
  'quote.magic': 99,
  'quote.type': 99,
  'quote.nonce': 99,
  'quote.signer': 97,
  'quote.selection': 99,
  'quote.trailing': 99,
  'boot.changed': 99,
  'clock.backwards': 97,
  'clock.unsafe': 32,
  'tpm.firmware': 96,
  'identity.rollback': 97,
  'identity.cloned': 97,
  'core.heads': 99,
  'core.vpcr': 99,
  'stream.altered': 96,
  'stream.gap': 32,
  'pcr.digest': 99,
  'ima.malformed': 96,
  'ima.prefix': 96,
  'ima.kexec': 96,
  'binding.prefix': 96,
  'binding.start-unexplained': 96,
  'binding.foreign-extend': 96,
  'firmware.malformed': 96,
  'firmware.prefix': 96,
  'firmware.unlisted': 96,
  'ima.boot-aggregate': 96,
  'ima.bank-padded': 32,
  'ima.weak-digest': 32,
  'ima.denied': 96,
  'ima.unexplained': 33,
  'ima.unhashable': 96,
  'ima.violation': 96,
  'ima.violation-tolerated': 32,
  'ima.signature-malformed': 96,
  'ima.signature': 96,
  'ima.coverage-unproven': 32,
  'agent.missing': 96,
  'evidence.replayed': 0,
  'evidence.incomplete': 0,
  'evidence.silent': 0,
  'policy.missing': 0,
} as const;

export type CheckCode = keyof typeof CHECK_VALUES;

/** What a check found. */
export interface Failure {
  readonly code: CheckCode;
  readonly message: string;
}

/** A check by its code: null if all is well, otherwise what is not. */
export type Check = readonly [code: CheckCode, fault: () => string | null];

export interface Checked {
  readonly passed: readonly CheckCode[];
  /** The first check that failed; those behind it were not made. */
  readonly failure: Failure | null;
}

/** What a TPM structure that cannot be read says of itself; other errors are defects and thrown on. */
const unreadable = (error: unknown): string => {
  if (isAttestreamError(error)) return error.message;
  throw error;
};

/** Makes checks in order up to the first that fails. A structure that cannot be read fails the check that met it. */
export const runChecks = (checks: readonly Check[]): Checked => {
  const passed: CheckCode[] = [];
  for (const [code, fault] of checks) {
    let message: string | null;
    try {
      message = fault();
    } catch (error) {
      message = unreadable(error);
    }
    if (message !== null) return { passed, failure: { code, message } };
    passed.push(code);
  }
  return { passed, failure: null };
};
