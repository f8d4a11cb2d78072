import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { openTransport, parseTpmAddress } from '../../../producers/attestation/transport/open-transport.js';
import type { TpmTransport } from '../../../producers/attestation/transport/transport.js';
import { temporaryFolder } from '../../support/tmp.js';

const folder = temporaryFolder('tpm-transport');

const COMMAND = Buffer.from('80010000000c0000014400', 'hex');
/** A well-formed answer with so many bytes behind its header. */
const answer = (more: number, fill = 7): Buffer => {
  const bytes = Buffer.alloc(10 + more, fill);
  bytes.writeUInt16BE(0x8001, 0);
  bytes.writeUInt32BE(bytes.length, 2);
  bytes.writeUInt32BE(0, 6);
  return bytes;
};
const announcing = (size: number): Buffer => {
  const bytes = answer(0);
  bytes.writeUInt32BE(size, 2);
  return bytes;
};

describe('addresses', () => {
  test.each([
    ['device:/dev/tpmrm0', { kind: 'device', path: '/dev/tpmrm0' }],
    ['unix:/run/a:b.sock', { kind: 'unix', path: '/run/a:b.sock' }],
    ['swtpm:localhost:2321', { kind: 'swtpm', host: 'localhost', port: 2321 }],
    ['swtpm:[::1]:2321', { kind: 'swtpm', host: '::1', port: 2321 }],
  ])('%s', (text, address) => {
    expect(parseTpmAddress(text)).toEqual(address);
  });

  test.each([
    '',
    '/dev/tpmrm0',
    'device:',
    'swtpm:localhost',
    'swtpm:localhost:0',
    'swtpm:localhost:70000',
    'swtpm:a b:1',
  ])('%j is none', (text) => {
    expect(() => parseTpmAddress(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

const opened: { server: Server; sockets: Set<Socket>; transport: TpmTransport }[] = [];
afterEach(async () => {
  for (const { server, sockets, transport } of opened.splice(0)) {
    await transport.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
});

let sequence = 0;

/** A transport to a server of ours that does this with the n-th command (over all connections). */
const served = async (
  how: 'unix' | 'swtpm',
  respond: (socket: Socket, n: number) => void,
  timeoutMs = 2000,
): Promise<TpmTransport & { readonly connections: () => number }> => {
  const sockets = new Set<Socket>();
  let n = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => respond(socket, n++));
  });
  const path = join(folder, `${sequence++}`);
  await new Promise<void>((resolve) =>
    how === 'unix' ? server.listen(path, resolve) : server.listen(0, '127.0.0.1', resolve),
  );
  const at = server.address();
  const address = typeof at === 'string' ? `unix:${at}` : `swtpm:127.0.0.1:${at!.port}`;
  const transport = await openTransport(address, { timeoutMs });
  opened.push({ server, sockets, transport });
  return { ...transport, connections: () => sockets.size };
};

describe.each(['unix', 'swtpm'] as const)('a %s socket', (how) => {
  test('an answer in pieces is put together', async () => {
    const whole = answer(500);
    const transport = await served(how, (socket) => {
      let at = 0;
      const timer = setInterval(() => {
        socket.write(whole.subarray(at, at + 101));
        at += 101;
        if (at >= whole.length) clearInterval(timer);
      }, 1);
    });
    expect(await transport.transmit(COMMAND)).toEqual(whole);
  });

  test('commands go one after the other, each to its own answer', async () => {
    const transport = await served(how, (socket, n) => void setTimeout(() => socket.write(answer(4, n)), 5 - n));
    const answers = await Promise.all([0, 1, 2, 3].map(() => transport.transmit(COMMAND)));
    expect(answers.map((bytes) => bytes[10])).toEqual([0, 1, 2, 3]);
    // An emulator is left to others between commands; a relay is kept.
    expect(transport.connections()).toBe(how === 'unix' ? 1 : 4);
  });

  test.each([
    ['more than any TPM has to say', announcing(5000), /an answer of 5000 bytes/],
    ['2³¹ bytes', announcing(0x80000000), /an answer of 2147483648 bytes/],
    ['less than a header', announcing(9), /an answer of 9 bytes/],
    ['less than it sends', Buffer.concat([answer(0), Buffer.of(1)]), /1 bytes follow the answer/],
  ])('an answer that announces %s is refused', async (_, bytes, message) => {
    const transport = await served(how, (socket) => void socket.write(bytes));
    await expect(transport.transmit(COMMAND)).rejects.toMatchObject({
      code: 'TPM_UNREACHABLE',
      message: expect.stringMatching(message),
    });
  });

  test('silence ends in a time-out, and an answer that comes late is not taken for that of the next command', async () => {
    const late: Socket[] = [];
    const transport = await served(
      how,
      (socket, n) => {
        if (n === 0) late.push(socket);
        else {
          late[0]!.write(answer(4, 0xee));
          socket.write(answer(4, 0x11));
        }
      },
      700,
    );
    await expect(transport.transmit(COMMAND)).rejects.toMatchObject({
      code: 'TPM_UNREACHABLE',
      message: expect.stringContaining('no answer within 700 ms'),
    });
    expect((await transport.transmit(COMMAND))[10]).toBe(0x11);
    expect(transport.connections()).toBe(2);
  });

  test('a connection that breaks in the middle is an error, and the next command connects anew', async () => {
    const transport = await served(how, (socket, n) => {
      if (n === 0) socket.write(answer(50).subarray(0, 20), () => socket.destroy());
      else socket.write(answer(1));
    });
    await expect(transport.transmit(COMMAND)).rejects.toMatchObject({
      message: expect.stringContaining('after 20 bytes'),
    });
    expect(await transport.transmit(COMMAND)).toEqual(answer(1));
  });

  test('once closed it says so', async () => {
    const transport = await served(how, (socket) => void socket.write(answer(1)));
    await transport.close();
    await expect(transport.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_UNREACHABLE' });
  });
});

test('nobody there is told with what to do', async () => {
  const socket = await openTransport(`unix:${join(folder, 'absent')}`);
  await expect(socket.transmit(COMMAND)).rejects.toMatchObject({
    code: 'TPM_UNREACHABLE',
    message: expect.stringContaining('there is no such file'),
  });
  await expect(openTransport(`device:${join(folder, 'absent')}`)).rejects.toMatchObject({
    code: 'TPM_UNREACHABLE',
    message: expect.stringContaining('kernel driver'),
  });
});

test('a device takes a whole command and gives a whole answer', async () => {
  // A pipe that is open for both gives back what was written to it: an answer for a command.
  const path = join(folder, 'loop');
  execFileSync('mkfifo', [path]);
  const transport = await openTransport(`device:${path}`, { timeoutMs: 1000 });
  const [one, two] = await Promise.all([transport.transmit(answer(300, 1)), transport.transmit(answer(5, 2))]);
  expect([one, two]).toEqual([answer(300, 1), answer(5, 2)]);
  await expect(transport.transmit(announcing(5000))).rejects.toMatchObject({ code: 'TPM_UNREACHABLE' });
  await transport.close();
});

test('a device that does not answer is given up, and may be closed all the same', async () => {
  const path = join(folder, 'stuck');
  execFileSync('mkfifo', [path]);
  const transport = await openTransport(`device:${path}`, { timeoutMs: 50 });
  await expect(transport.transmit(announcing(20))).rejects.toMatchObject({
    message: expect.stringContaining('within 50 ms'),
  });
  await expect(transport.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_UNREACHABLE' });
  await transport.close();
  // Lets the read go that still waits.
  writeFileSync(path, Buffer.alloc(10));
});

test('a file that is no device ends in an error, not in a wait', async () => {
  const path = join(folder, 'plain');
  writeFileSync(path, '');
  const transport = await openTransport(`device:${path}`, { timeoutMs: 1000 });
  await expect(transport.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_UNREACHABLE' });
  // What went wrong once stays wrong: an answer might still be on its way.
  await expect(transport.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_UNREACHABLE' });
  await transport.close();
});
