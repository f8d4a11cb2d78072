/** Digests in hex, whose algorithm nobody says, by path or name. */
export type DigestLists = ReadonlyMap<string, readonly string[]>;

/** What a runtime policy of Keylime asks of a measurement list. */
export interface RuntimePolicy {
  /** Of files, by their whole paths. */
  readonly digests: DigestLists;
  /** Regular expressions of Python that match from the beginning of a path. */
  readonly excludes: readonly string[];
  /** Of keys (template ima-buf), by the keyring that they were loaded into. */
  readonly keyrings: DigestLists;
  /** Of other measured buffers, by name. */
  readonly buffers: DigestLists;
  /** Keyrings whose keys are not judged; `*`: all. */
  readonly ignoredKeyrings: readonly string[];
  /** Public keys (DER in base64) whose signature on a file stands for a digest. */
  readonly keys: readonly VerificationKey[];
}

export interface VerificationKey {
  readonly key: string;
  /** By which signatures name it; null: the one that follows from the key. */
  readonly id: number | null;
}

/** The version of runtime policies that is read and written. */
export const RUNTIME_POLICY_VERSION = 1;
/** The last version of the allowlists that came before them. */
export const ALLOWLIST_VERSION = 5;

/** Algorithm of a digest by the number of its hex digits, the one that IMA uses most. */
export const ALGORITHM_BY_DIGITS: Readonly<Record<number, string>> = {
  40: 'sha1',
  56: 'sha224',
  64: 'sha256',
  96: 'sha384',
  128: 'sha512',
};

/** Names under which measured keys and buffers stand beside the paths of files. Only keyrings begin like these. */
export const isKeyringName = (name: string): boolean => /^[._]/.test(name);
