import { generateKeyPairSync } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createTopics } from '../../infra/kafka/topics.js';
import type { EventLog } from '../../infra/log/event-log.js';
import { openKafka } from '../../infra/log/kafka/kafka-log.js';
import { assignPolicy, withdrawAssignment } from '../../processors/run/assign-policy.js';
import { AssignedPolicies } from '../../producers/memory/assigned/assigned-policies.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import { pinnedKeys } from '../../schemas/signed.js';
import { kafkaParts, withKafka } from '../support/kafka.js';

const HOST = 'ab'.repeat(32);
const PUMP = { host: HOST, container: 'cd'.repeat(32), image: 'pump:1' };

withKafka('assignments in a Kafka log', () => {
  const parts = kafkaParts();
  const key = generateKeyPairSync('ed25519').privateKey;
  const logs: EventLog[] = [];
  const open = async (): Promise<EventLog> => {
    const log = await openKafka(parts.broker.uri, { registry: parts.registry.url });
    logs.push(log);
    return log;
  };
  let operator: EventLog;
  beforeAll(async () => {
    operator = await open();
    await createTopics(operator, 3);
  }, 30_000);
  afterAll(async () => {
    for (const log of logs) await log.close();
  });

  const assign = (id: string): Promise<unknown> => {
    const text = `{ id: ${id}, functions: { act: {} }, machine: { initial: a, states: { a: {} } } }`;
    const policy = parsePolicy(text, id);
    return assignPolicy({ log: operator, key, id, policy, selector: 'image=pump*', rebase: false });
  };

  const agent = async () => {
    const log = await open();
    const stop = new AbortController();
    const assigned = new AssignedPolicies({ keys: pinnedKeys([key]) });
    let following: Promise<void> = Promise.resolve();
    await new Promise<void>((ready) => {
      const context = { log, host: HOST, boot: '', stream: Buffer.alloc(32), now: () => 0, stop: stop.signal };
      following = assigned.follow(context, ready);
    });
    const ids = (): string =>
      assigned
        .of(PUMP)
        .policies.map(({ id }) => id)
        .join();
    return {
      ids,
      until: async (wanted: string): Promise<void> => {
        for (let i = 0; i < 200 && ids() !== wanted; i++) await delay(50);
        expect(ids()).toBe(wanted);
      },
      end: async () => {
        stop.abort();
        await following;
      },
    };
  };

  test('reach an agent that runs, and one that starts later', async () => {
    const first = await agent();
    expect(first.ids()).toBe('');
    await assign('b');
    await first.until('b');
    await assign('a');
    await first.until('a,b');
    await withdrawAssignment({ log: operator, key, id: 'b' });
    await first.until('a');
    await first.end();
    const second = await agent();
    expect(second.ids()).toBe('a');
    await second.end();
  }, 60_000);

  test('are followed on where the broker was away', async () => {
    const meeting = await agent();
    await meeting.until('a');
    await parts.broker.kill();
    await delay(3000);
    await parts.broker.start();
    const again = await open();
    const before = operator;
    operator = again;
    await assign('c');
    operator = before;
    await meeting.until('a,c');
    await meeting.end();
  }, 60_000);
});
