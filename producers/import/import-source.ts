import { constants, createReadStream, openSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { addAbortSignal, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { AttestreamError } from '../../schemas/errors.js';

const CHUNK = 256 * 1024;

/** Bytes of a file, unpacked where it is gzip. */
export interface ImportSource {
  readonly size: number;
  /** Bytes of the file as it lies there that were read so far. */
  readonly read: () => number;
  readonly chunks: AsyncIterable<Buffer>;
}

/**
 * A named pipe is polled: a thread that waits in `read` for a writer could not be called back, and the process not ended.
 */
const openPipe = (file: string): Readable =>
  new Socket({ fd: openSync(file, constants.O_RDONLY | constants.O_NONBLOCK), readable: true, writable: false });

const openBytes = (file: string, pipe: boolean, stop: AbortSignal | undefined): Readable => {
  const bytes = pipe ? openPipe(file) : createReadStream(file, { highWaterMark: CHUNK });
  return stop === undefined ? bytes : addAbortSignal(stop, bytes);
};

/** Throws USAGE for what is no readable file, IMPORT_EMPTY for a file of no bytes. */
export const openSource = (file: string, stop?: AbortSignal): ImportSource => {
  let size: number;
  let pipe: boolean;
  try {
    const status = statSync(file);
    if (status.isDirectory())
      throw new AttestreamError('USAGE', 'a folder cannot be imported; name a file', { path: file });
    size = status.isFile() ? status.size : -1;
    pipe = status.isFIFO();
  } catch (cause) {
    if (cause instanceof AttestreamError) throw cause;
    throw new AttestreamError(
      'USAGE',
      `the file cannot be read: ${(cause as Error).message}`,
      { path: file },
      { cause },
    );
  }
  if (size === 0) throw new AttestreamError('IMPORT_EMPTY', 'the file has no bytes', { path: file });
  let read = 0;
  const chunks = async function* (): AsyncGenerator<Buffer> {
    const plain = openBytes(file, pipe, stop);
    const bytes = plain[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    try {
      const first = await bytes.next();
      if (first.done === true) return;
      read += first.value.length;
      const rest = async function* (): AsyncGenerator<Buffer> {
        yield first.value;
        for (;;) {
          const next = await bytes.next();
          if (next.done === true) return;
          read += next.value.length;
          yield next.value;
        }
      };
      if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) yield* rest();
      else yield* unpack(rest());
    } catch (error) {
      // The stream says only that it was aborted; the signal says why.
      throw stop?.aborted === true ? stop.reason : error;
    } finally {
      plain.destroy();
    }
  };
  return { size: Math.max(size, 0), read: () => read, chunks: chunks() };
};

/** Throws IMPORT_FORMAT where the packed bytes end too early or are damaged; what came before has been given by then. */
async function* unpack(packed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: CHUNK });
  let failure: unknown = null;
  const feed = async (): Promise<void> => {
    for await (const chunk of packed) {
      if (gunzip.destroyed) return;
      if (!gunzip.write(chunk))
        await new Promise<void>((resolve) => {
          const done = (): void => {
            gunzip.off('drain', done);
            gunzip.off('close', done);
            resolve();
          };
          gunzip.on('drain', done);
          gunzip.on('close', done);
        });
    }
    gunzip.end();
  };
  const feeding = feed().catch((error: unknown) => {
    failure = error;
    gunzip.destroy();
  });
  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (cause) {
    if (failure !== null) throw failure;
    throw new AttestreamError(
      'IMPORT_FORMAT',
      `the gzip data is damaged or ends early: ${(cause as Error).message}`,
      {},
      { cause },
    );
  } finally {
    gunzip.destroy();
    await feeding;
  }
}
