import type { PolicyRule } from '../../ima/measurement-policy.js';
import type { SigningKey } from '../../ima/signing-key.js';
import type { Micros } from '../../records.js';
import type { PcrSelection } from '../../tpm/selection.js';

/** From when to when something holds, by the verifier's clock; null: unbounded. Two windows overlap while an update rolls out. */
export interface Window {
  readonly from: Micros | null;
  readonly until: Micros | null;
}

/** Which paths are meant: a glob over the whole path, or a regular expression over its beginning. */
export interface PathPattern {
  readonly form: 'glob' | 'regex';
  readonly text: string;
  matches(path: string): boolean;
}

/** A file digest that a path may have. */
export interface FileReference extends Window {
  /** Glob over the whole path. */
  readonly path: string;
}

/** One accepted state of the firmware's registers: each named register has one of its values. */
export interface FirmwareReference extends Window {
  readonly name: string;
  /** `sha256:7` → values in hex. */
  readonly values: ReadonlyMap<string, readonly string[]>;
}

/** A key whose signature on a file (security.ima) stands for a digest. */
export interface SignerReference extends Window {
  readonly name: string;
  readonly key: SigningKey;
  readonly paths: readonly string[];
}

export interface DenyRule {
  /** `sha256:HEX`; null: any. */
  readonly digest: string | null;
  /** Glob; null: any. */
  readonly path: string | null;
  readonly reason: string;
}

/** Violations that are borne at a path, which is the host's own claim. */
export interface ViolationRule {
  readonly path: string;
  /** Infinity: any number. */
  readonly most: number;
}

/** A file that must have been measured: our own agent. */
export interface RequiredFile {
  readonly path: string;
  readonly digests: ReadonlySet<string>;
}

/** What the kernel must measure, and by what that counts as proven. */
export interface Coverage {
  /** Rules of IMA that must be given, as their text or the name of one of the kernel's own policies: held against the measured command line. */
  readonly rules: readonly PolicyRule[];
  /** Digests of policy files of IMA of which the writer knows that they give the rules: one was measured when it was loaded. */
  readonly policies: ReadonlySet<string>;
}

/** What a host must be to be affirmed. Parsed, validated, with defaults filled in. */
export interface HostPolicy {
  readonly kind: 'host';
  /** sha256:HEX over RFC 8785 of the document as parsed. */
  readonly digest: string;
  readonly document: Readonly<Record<string, unknown>>;
  readonly id: string;
  /** Empty: the firmware's registers are not judged. */
  readonly firmware: readonly FirmwareReference[];
  /** By digest as `sha256:HEX` or `verity:sha256:HEX`; null: files are not judged. */
  readonly files: ReadonlyMap<string, readonly FileReference[]> | null;
  readonly signers: readonly SignerReference[];
  readonly deny: readonly DenyRule[];
  /** Paths that are not judged; a broken signature there still counts. */
  readonly exclude: readonly PathPattern[];
  /** What a file is that nothing explains. */
  readonly unlisted: 'contraindicated' | 'warning' | 'allow';
  /** What a record without a digest of the file is. */
  readonly unhashable: 'contraindicated' | 'warning';
  readonly violations: readonly ViolationRule[];
  readonly agent: readonly RequiredFile[];
  /** null: the writer asks for none (`coverage: none`). */
  readonly coverage: Coverage | null;
  /** Banks that may be filled with padded SHA-1. */
  readonly paddedBanks: readonly string[];
  /** What file digests by SHA-1 or MD5 are. */
  readonly weakDigests: 'warning' | 'allow';
  /** How old AIK1's word for AIK2 may be: once a session, or in each epoch. */
  readonly certify: 'session' | 'epoch';
  /** Ticks without accepted evidence after which the state is `none`. */
  readonly staleAfter: number;
  /** Registers that must be quoted whatever the tick asks for; null: those of the tick. */
  readonly selection: PcrSelection | null;
  /** TPMS_CLOCK_INFO.safe must be set. */
  readonly safeClock: boolean;
  /** Accepted firmware versions of the TPM in hex; empty: any. */
  readonly tpmFirmware: readonly string[];
  /** Register that the binding list is extended into. */
  readonly bindingPcr: number;
}
