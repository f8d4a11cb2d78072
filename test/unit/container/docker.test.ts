import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { type Container, chooseContainer, containers, runningContainers } from '../../../producers/container/docker.js';
import { dockerAddress } from '../../../producers/container/docker-address.js';
import { askEngine } from '../../../producers/container/engine-request.js';
import { temporaryFolder } from '../../support/tmp.js';

const usage = expect.objectContaining({ code: 'USAGE' });

describe('the engine that is asked', () => {
  const folder = temporaryFolder('docker');
  const context = (name: string, host: string): void => {
    const id = createHash('sha256').update(name).digest('hex');
    mkdirSync(join(folder, 'contexts/meta', id), { recursive: true });
    writeFileSync(
      join(folder, 'contexts/meta', id, 'meta.json'),
      JSON.stringify({ Endpoints: { docker: { Host: host } } }),
    );
  };
  context('gateway', 'unix:///run/gateway.sock');
  context('far', 'ssh://someone@far');
  const env = { DOCKER_CONFIG: folder, HOME: folder };

  test('flag, then DOCKER_HOST, then DOCKER_CONTEXT, then the current context, then the usual socket', () => {
    const all = { ...env, DOCKER_HOST: 'unix:///from/host', DOCKER_CONTEXT: 'gateway' };
    expect(dockerAddress({ host: 'unix:///from/flag', env: all })).toEqual({ socketPath: '/from/flag' });
    expect(dockerAddress({ env: all })).toEqual({ socketPath: '/from/host' });
    expect(dockerAddress({ env: { ...all, DOCKER_HOST: '' } })).toEqual({ socketPath: '/run/gateway.sock' });
    expect(dockerAddress({ env })).toEqual({ socketPath: '/var/run/docker.sock' });
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ currentContext: 'gateway' }));
    expect(dockerAddress({ env })).toEqual({ socketPath: '/run/gateway.sock' });
    expect(dockerAddress({ env: { ...env, DOCKER_CONTEXT: 'default' } })).toEqual({
      socketPath: '/var/run/docker.sock',
    });
  });

  test('addresses on a network, with and without keys', () => {
    expect(dockerAddress({ host: 'tcp://10.0.0.1:2375', env: {} })).toEqual({
      protocol: 'http',
      host: '10.0.0.1',
      port: 2375,
    });
    expect(dockerAddress({ host: 'tcp://[::1]:2375', env: {} })).toEqual({ protocol: 'http', host: '::1', port: 2375 });
    writeFileSync(join(folder, 'ca.pem'), 'authority');
    expect(dockerAddress({ host: 'tcp://h:2376', env: { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: folder } })).toEqual({
      protocol: 'https',
      host: 'h',
      port: 2376,
      ca: Buffer.from('authority'),
    });
  });

  test('what cannot be asked is refused', () => {
    for (const host of ['ssh://a', 'unix://relative', 'tcp://h', 'nonsense', 'npipe:////./pipe/docker_engine'])
      expect(() => dockerAddress({ host, env })).toThrow(usage);
    expect(() => dockerAddress({ env: { ...env, DOCKER_CONTEXT: 'missing' } })).toThrow(usage);
    expect(() => dockerAddress({ env: { ...env, DOCKER_CONTEXT: 'far' } })).toThrow(usage);
  });
});

describe('the container that a name means', () => {
  const container = (id: string, ...names: string[]): Container => ({
    id: id.padEnd(64, '0'),
    name: names[0] ?? '',
    names,
    image: '',
    imageId: '',
    state: 'running',
  });
  const all = [container('ab12', 'pump', 'stack/pump'), container('ab34', 'ab1'), container('cd')];

  test('a name goes before the beginning of an id', () => {
    expect(chooseContainer(all, 'pump')).toBe(all[0]);
    expect(chooseContainer(all, 'stack/pump')).toBe(all[0]);
    expect(chooseContainer(all, 'ab1')).toBe(all[1]);
    expect(chooseContainer(all, 'ab12')).toBe(all[0]);
    expect(chooseContainer(all, all[2]!.id)).toBe(all[2]);
  });

  test('nothing, and more than one', () => {
    for (const name of ['', 'pum', 'PUMP', 'f', 'zz']) expect(chooseContainer(all.slice(1), name)).toBeNull();
    expect(() => chooseContainer(all, 'ab')).toThrow(expect.objectContaining({ code: 'CONTAINER_NOT_FOUND' }));
  });
});

describe('the list of an engine', () => {
  const folder = temporaryFolder('engine');
  let sockets = 0;
  const served = async <T>(listener: RequestListener, ask: (host: string) => Promise<T>): Promise<T> => {
    const path = join(folder, `${sockets++}.sock`);
    const server = createServer(listener).listen(path);
    await once(server, 'listening');
    try {
      return await ask(`unix://${path}`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };
  const answering = (status: number, text: string, host?: (host: string) => Promise<unknown>) =>
    served((_, response) => response.writeHead(status).end(text), host ?? ((at) => containers({ host: at, env: {} })));
  const id = (letter: string): string => letter.repeat(64);

  test('is read as far as it is one', async () => {
    const listed = [
      { Id: id('a'), Names: ['/pump', '/stack/pump'], Image: 'pump:1', ImageID: 'sha256:1', State: 'running' },
      { Id: id('b'), Names: null, Image: 7, State: 'exited' },
      { Id: id('c'), Names: ['/held'], Image: 'x', State: 'paused' },
      { Id: 'short' },
    ];
    const all = await answering(200, JSON.stringify(listed));
    expect(all).toMatchObject([
      { id: id('a'), name: 'pump', names: ['pump', 'stack/pump'], image: 'pump:1', imageId: 'sha256:1' },
      { id: id('b'), name: '', image: '', state: 'exited' },
      { id: id('c'), name: 'held' },
    ]);
    const running = await answering(200, JSON.stringify(listed), (host) => runningContainers({ host, env: {} }));
    expect(running).toMatchObject([{ name: 'pump' }, { name: 'held' }]);
  });

  test.each([
    ['is refused', 500, '{"message":"no"}', 'status 500: {"message":"no"}'],
    ['is no JSON', 200, '<html>', 'gave no answer'],
    ['is no list', 200, '{}', 'no list'],
  ])('that %s is none', async (_, status, text, message) => {
    await expect(answering(status, text)).rejects.toMatchObject({
      code: 'ENGINE_UNREACHABLE',
      message: expect.stringContaining(message),
    });
  });

  test('that never ends is none', async () => {
    const endless: RequestListener = (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('['.repeat(1 << 16)));
        response.once('drain', more);
      };
      more();
    };
    await expect(served(endless, (host) => containers({ host, env: {} }))).rejects.toMatchObject({
      code: 'ENGINE_UNREACHABLE',
    });
    await expect(
      served(
        () => {},
        (host) => askEngine({ socketPath: host.slice('unix://'.length) }, '/', 100),
      ),
    ).rejects.toMatchObject({ code: 'ENGINE_UNREACHABLE', message: expect.stringContaining('none within 100 ms') });
  });
});
