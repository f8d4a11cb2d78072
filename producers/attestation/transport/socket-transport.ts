import { connect, type NetConnectOpts, type Socket } from 'node:net';
import {
  announcedSize,
  DEFAULT_TIMEOUT_MS,
  oneAtATime,
  type TpmTransport,
  type TransportOptions,
} from './transport.js';
import { unreachable } from './unreachable.js';

const CONNECT_TIMEOUT_MS = 10_000;

export interface SocketOptions extends TransportOptions {
  /**
   * Whether the connection stays open between commands. An emulator serves one client at a time, so that closing it
   * lets others in; a relay into a virtual machine forgets nothing and is kept.
   */
  readonly keepOpen: boolean;
}

/** Connects; rejects with the system's error or after a time-out. */
export const connected = (to: NetConnectOpts): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(to);
    const timer = setTimeout(() => socket.destroy(new Error('no connection within 10 s')), CONNECT_TIMEOUT_MS);
    socket.setNoDelay(true);
    // Always one listener: a connection that breaks while nobody waits must not end the process.
    socket.on('error', reject);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
    socket.once('close', () => clearTimeout(timer));
  });

/**
 * Writes a message and collects the answer until `sizeOf` knows its size and all of it is there. `sizeOf` gives null
 * as long as it cannot tell, and text for an answer that cannot be. The socket is to be destroyed after a rejection.
 */
export const exchange = (
  socket: Socket,
  message: Buffer,
  timeoutMs: number,
  sizeOf: (received: Buffer) => number | string | null,
): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('error', onError).off('close', onClose);
      settle();
    };
    const fail = (why: Error): void => done(() => reject(why));
    const timer = setTimeout(() => fail(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const onError = (why: Error): void => fail(why);
    const onClose = (): void => fail(new Error(`the connection was closed after ${received.length} bytes of answer`));
    const onData = (chunk: Buffer): void => {
      // A chunk has at most 64 kB, and the first that goes beyond the answer's size ends it.
      received = Buffer.concat([received, chunk]);
      const size = sizeOf(received);
      if (typeof size === 'string') fail(new Error(size));
      else if (size !== null && received.length > size)
        fail(new Error(`${received.length - size} bytes follow the answer`));
      else if (size === received.length) done(() => resolve(received));
    };
    socket.on('data', onData).on('error', onError).on('close', onClose);
    socket.write(message);
  });

/** A TPM behind a TCP or Unix socket that carries bare commands and answers: an emulator's data channel, or a relay. */
export const openSocket = (address: string, to: NetConnectOpts, options: SocketOptions): TpmTransport => {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, keepOpen } = options;
  const inTurn = oneAtATime();
  let socket: Socket | null = null;
  let closed = false;
  const drop = (): void => {
    socket?.destroy();
    socket = null;
  };
  return {
    address,
    transmit: (command) =>
      inTurn(async () => {
        if (closed) throw unreachable(address, 'it was closed');
        try {
          if (socket?.destroyed !== false) socket = await connected(to);
          const answer = await exchange(socket, command, timeoutMs, announcedSize);
          if (!keepOpen) drop();
          return answer;
        } catch (why) {
          // The rest of an answer that came too late must not become that of the next command.
          drop();
          throw unreachable(address, why);
        }
      }),
    close: async () => {
      closed = true;
      await inTurn(async () => drop());
    },
  };
};
