/** Carries one command to a TPM and its answer back. Bytes only: what they mean is the command layer's business. */
export interface TpmTransport {
  /** Where the TPM is, for messages: `swtpm:127.0.0.1:2321`. */
  readonly address: string;
  /**
   * Sends a whole command and gives the whole answer: at least a header, at most MAX_ANSWER bytes. One at a time, in
   * the order of the calls. Rejects with TPM_UNREACHABLE.
   */
  transmit(command: Buffer): Promise<Buffer>;
  close(): Promise<void>;
}

export interface TransportOptions {
  /** Milliseconds until an answer is given up. Making an RSA key may take a hardware TPM half a minute. */
  readonly timeoutMs?: number;
}

export const DEFAULT_TIMEOUT_MS = 120_000;

/** Kernel and emulator have buffers of this size; no answer is larger. */
export const MAX_ANSWER = 4096;

/** Tag, size, response code. */
export const HEADER = 10;

/** What an answer's header says of its size; null until the header is there. Answers that cannot be are named as text. */
export const announcedSize = (received: Buffer): number | string | null => {
  if (received.length < 6) return null;
  const size = received.readUInt32BE(2);
  return size < HEADER || size > MAX_ANSWER ? `an answer of ${size} bytes was announced` : size;
};

/** Lets work run one after the other. A failure is its own caller's alone. */
export const oneAtATime = (): (<T>(work: () => Promise<T>) => Promise<T>) => {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
};
