import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import {
  announcedSize,
  DEFAULT_TIMEOUT_MS,
  MAX_ANSWER,
  oneAtATime,
  type TpmTransport,
  type TransportOptions,
} from './transport.js';
import { unreachable } from './unreachable.js';

/** Rejects after so long; the work goes on unseen, as a system call cannot be called back. */
const within = async <T>(ms: number, work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};

const readAnswer = async (file: FileHandle): Promise<Buffer> => {
  const buffer = Buffer.alloc(MAX_ANSWER);
  for (let length = 0; ; ) {
    const { bytesRead } = await file.read(buffer, length, MAX_ANSWER - length, null);
    length += bytesRead;
    const size = announcedSize(buffer.subarray(0, length));
    if (typeof size === 'string') throw new Error(size);
    if (size !== null && length > size) throw new Error(`${length - size} bytes follow the answer`);
    if (length === size) return buffer.subarray(0, length);
    if (bytesRead === 0) throw new Error(`the answer ended after ${length} bytes`);
  }
};

/**
 * A TPM's device file: the kernel takes a whole command in one write, and the answer is there to be read when the write
 * is done. Each open file of `/dev/tpmrm0` has handles of its own, so that closing it also flushes what was left.
 */
export const openDevice = async (path: string, options: TransportOptions = {}): Promise<TpmTransport> => {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const address = `device:${path}`;
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDWR);
  } catch (why) {
    throw unreachable(address, why);
  }
  const inTurn = oneAtATime();
  // After a time-out the answer is still to come: the next command would be given it.
  let broken: unknown;
  let waiting = false;
  const exchange = async (command: Buffer): Promise<Buffer> => {
    waiting = true;
    try {
      return await ask(command);
    } finally {
      waiting = false;
    }
  };
  const ask = async (command: Buffer): Promise<Buffer> => {
    const { bytesWritten } = await file.write(command, 0, command.length, null);
    if (bytesWritten !== command.length) throw new Error(`only ${bytesWritten} of ${command.length} bytes were taken`);
    return readAnswer(file);
  };
  return {
    address,
    transmit: (command) =>
      inTurn(async () => {
        if (broken !== undefined) throw unreachable(address, broken);
        try {
          return await within(timeoutMs, exchange(command));
        } catch (why) {
          broken = why;
          throw unreachable(address, why);
        }
      }),
    close: async () => {
      broken ??= new Error('it was closed');
      // Closing waits for what is under way, and that may be for ever: then the end of the process closes it.
      const closed = file.close();
      if (waiting) closed.catch(() => undefined);
      else await closed;
    },
  };
};
