import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { memoryLog } from '../../../infra/log/memory-log.js';
import { type MemoryAgentOptions, memoryAgent, type WatchedContainer } from '../../../producers/memory/agent.js';
import type { PolicySource } from '../../../producers/memory/assigned/policy-source.js';
import { AttestreamError } from '../../../schemas/errors.js';

const NONE: PolicySource = {
  basis: '',
  rebase: '',
  follow: async (_context, ready) => ready(),
  of: () => ({ policies: [], ofBinary: false, waiting: false }),
};

const start = (options: Partial<MemoryAgentOptions>) => {
  const log = memoryLog();
  const stop = new AbortController();
  const notes: string[] = [];
  const part = memoryAgent({
    containers: async () => [],
    policies: NONE,
    budget: { looks: 10, cpu: 0.1 },
    agent: 'test',
    onNote: (note) => notes.push(note),
    ...options,
  });
  const running = part.run({ log, host: 'h', boot: '', stream: Buffer.alloc(32), now: () => 1, stop: stop.signal });
  return { log, part, notes, running, stop };
};

describe('the part of the agent that looks', () => {
  test('tells once of an engine that is away and once of its return, and opens no stream for nothing', async () => {
    let asked = 0;
    const containers = async (): Promise<WatchedContainer[]> => {
      if (++asked < 3) throw new AttestreamError('ENGINE_UNREACHABLE', 'no engine');
      return [{ id: 'ab'.repeat(32), name: 'pump', image: 'pump:1' }];
    };
    const { log, part, notes, running, stop } = start({ containers });
    for (let i = 0; i < 80 && notes.length < 2; i++) await delay(50);
    stop.abort();
    await running;
    expect(notes).toEqual([
      'containers cannot be listed, which is tried again each second: no engine',
      'containers can be listed again',
    ]);
    expect(part.head()).toBe(null);
    expect(await log.topics()).toEqual([]);
  });

  test('asks for containers only once it knows what is in force', async () => {
    let asked = false;
    const policies = {
      ...NONE,
      follow: async ({ stop }: { stop: AbortSignal }) =>
        void (await delay(1e6, null, { signal: stop }).catch(() => {})),
    };
    const { running, stop } = start({
      policies,
      containers: async () => {
        asked = true;
        return [];
      },
    });
    await delay(100);
    stop.abort();
    await running;
    expect(asked).toBe(false);
  });

  test('ends with what assignments cannot be followed for', async () => {
    const follow = async (): Promise<never> => {
      throw new AttestreamError('KAFKA_REFUSED', 'not allowed to read');
    };
    const { running } = start({ policies: { ...NONE, follow } });
    await expect(running).rejects.toMatchObject({ code: 'KAFKA_REFUSED' });
  });
});
