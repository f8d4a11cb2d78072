import { expect, test } from '@jest/globals';
import type { EventLog } from '../../infra/log/event-log.js';
import type { LogUnderTest } from './event-log-contract.js';
import { fresh, owned, rawEntry, restored, snapshotOf, values } from './log-records.js';

export interface ContractContext {
  readonly under: LogUnderTest | null;
}

/** Ownership, and commits that are whole or not at all. */
export const leaseContract = (context: ContractContext): void => {
  const log = (): EventLog => context.under!.log;
  const made = async (
    partitions = 1,
  ): Promise<{ source: string; verdicts: string; letters: string; group: string }> => {
    const names = {
      source: fresh('source'),
      verdicts: fresh('verdicts'),
      letters: fresh('letters'),
      group: fresh('g'),
    };
    await log().createTopic(names.source, partitions);
    await log().createTopic(names.verdicts, partitions);
    await log().createTopic(names.letters, partitions);
    return names;
  };

  test('a new group begins at the first offset, with nothing known', async () => {
    const { source, group } = await made();
    const { lease, done } = await owned(log(), group, source);
    expect(lease).toMatchObject({ group, topic: source, partition: 0 });
    expect(lease.lost.aborted).toBe(false);
    expect(await restored(lease)).toEqual({ next: 0, states: {} });
    await done();
  });

  test('a commit shows all of its outputs, and its owner finds its state again', async () => {
    const { source, verdicts, letters, group } = await made();
    const first = await owned(log(), group, source);
    await restored(first.lease);
    expect(await values(log(), { topic: verdicts, partition: 0 })).toEqual([]);
    await first.lease.commit({
      next: 5,
      outputs: [
        { topic: verdicts, entry: rawEntry('v1') },
        { topic: letters, entry: rawEntry('d1') },
        { topic: verdicts, entry: rawEntry('v2') },
      ],
      snapshots: [snapshotOf('a', 'a1'), snapshotOf('b', 'b1'), snapshotOf('', 'shared')],
    });
    expect(await values(log(), { topic: verdicts, partition: 0 })).toEqual(['v1', 'v2']);
    expect(await values(log(), { topic: letters, partition: 0 })).toEqual(['d1']);
    await first.lease.commit({ next: 9, outputs: [], snapshots: [snapshotOf('a', 'a2'), snapshotOf('b', null)] });
    await first.lease.commit({ next: 12, outputs: [{ topic: verdicts, entry: rawEntry('v3') }], snapshots: [] });
    const generation = first.lease.generation;
    await first.done();

    const second = await owned(log(), group, source);
    expect(second.lease.generation).toBeGreaterThan(generation);
    expect(await restored(second.lease)).toEqual({ next: 12, states: { a: 'a2', '': 'shared' } });
    await second.done();
    expect(await values(log(), { topic: verdicts, partition: 0 })).toEqual(['v1', 'v2', 'v3']);
  });

  test('a snapshot comes back field for field', async () => {
    const { source, group } = await made();
    const first = await owned(log(), group, source);
    await restored(first.lease);
    const given = snapshotOf('host', 'state');
    await first.lease.commit({ next: 1, outputs: [], snapshots: [given] });
    await first.done();
    const second = await owned(log(), group, source);
    const { snapshots } = await second.lease.restore();
    for await (const snapshot of snapshots) expect({ ...snapshot }).toEqual({ ...given });
    await second.done();
  });

  test('state survives a restart', async () => {
    const { source, verdicts, group } = await made();
    const first = await owned(log(), group, source);
    await restored(first.lease);
    await first.lease.commit({
      next: 3,
      outputs: [{ topic: verdicts, entry: rawEntry('v') }],
      snapshots: [snapshotOf('a', 'kept')],
    });
    await first.done();
    const again = await context.under!.reopen();
    const second = await owned(again, group, source);
    expect(await restored(second.lease)).toEqual({ next: 3, states: { a: 'kept' } });
    await second.done();
    expect(await values(again, { topic: verdicts, partition: 0 })).toEqual(['v']);
  });

  test('a commit that cannot be whole leaves nothing behind', async () => {
    const { source, verdicts, group } = await made();
    const { lease, done } = await owned(log(), group, source);
    await restored(lease);
    const broken = { key: null, schema: 1_000_000, value: Buffer.from('x') };
    await expect(
      lease.commit({
        next: 1,
        outputs: [
          { topic: verdicts, entry: rawEntry('half') },
          { topic: verdicts, entry: broken },
        ],
        snapshots: [snapshotOf('a', 'half')],
      }),
    ).rejects.toThrow();
    expect(await values(log(), { topic: verdicts, partition: 0 })).toEqual([]);
    await done();
    const second = await owned(log(), group, source);
    expect(await restored(second.lease)).toEqual({ next: 0, states: {} });
    await second.lease.commit({ next: 2, outputs: [{ topic: verdicts, entry: rawEntry('whole') }], snapshots: [] });
    await second.done();
    expect(await values(log(), { topic: verdicts, partition: 0 })).toEqual(['whole']);
  });

  test('an older lease cannot commit any more', async () => {
    const { source, verdicts, group } = await made();
    const first = await owned(log(), group, source);
    await restored(first.lease);
    await first.lease.commit({ next: 1, outputs: [], snapshots: [snapshotOf('a', 'first')] });
    if (context.under!.secondOwner === 'waits') await first.done();
    const second = await owned(log(), group, source);
    expect(second.lease.generation).toBeGreaterThan(first.lease.generation);
    expect(first.lease.lost.aborted).toBe(true);
    const late = {
      next: 7,
      outputs: [{ topic: verdicts, entry: rawEntry('late') }],
      snapshots: [snapshotOf('a', 'late')],
    };
    await expect(first.lease.commit(late)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(await restored(second.lease)).toEqual({ next: 1, states: { a: 'first' } });
    await second.lease.commit({ next: 2, outputs: [{ topic: verdicts, entry: rawEntry('new') }], snapshots: [] });
    await first.done();
    await second.done();
    expect(await values(log(), { topic: verdicts, partition: 0 })).toEqual(['new']);
  });

  test('groups know nothing of each other, and may write the same topic', async () => {
    const { source, verdicts } = await made();
    const a = await owned(log(), fresh('a'), source);
    const b = await owned(log(), fresh('b'), source);
    await restored(a.lease);
    await restored(b.lease);
    const commit = (who: string, i: number) => ({
      next: i,
      outputs: [
        { topic: verdicts, entry: rawEntry(`${who}${i}.1`) },
        { topic: verdicts, entry: rawEntry(`${who}${i}.2`) },
      ],
      snapshots: [snapshotOf('k', `${who}${i}`)],
    });
    for (let i = 1; i <= 4; i++) await Promise.all([a.lease.commit(commit('a', i)), b.lease.commit(commit('b', i))]);
    const seen = await values(log(), { topic: verdicts, partition: 0 });
    for (const who of ['a', 'b'])
      expect(seen.filter((value) => value.startsWith(who))).toEqual(
        [1, 2, 3, 4].flatMap((i) => [`${who}${i}.1`, `${who}${i}.2`]),
      );
    expect(seen).toHaveLength(16);
    expect(await restored(a.lease)).toEqual({ next: 4, states: { k: 'a4' } });
    expect(await restored(b.lease)).toEqual({ next: 4, states: { k: 'b4' } });
    await a.done();
    await b.done();
  });

  test('plain appends and outputs of leases share a topic', async () => {
    const { source, letters, group } = await made();
    const at = { topic: letters, partition: 0 };
    await log().append(at, [rawEntry('plain 1')]);
    const { lease, done } = await owned(log(), group, source);
    await restored(lease);
    await lease.commit({ next: 1, outputs: [{ topic: letters, entry: rawEntry('leased 1') }], snapshots: [] });
    await log().append(at, [rawEntry('plain 2')]);
    await lease.commit({ next: 2, outputs: [{ topic: letters, entry: rawEntry('leased 2') }], snapshots: [] });
    expect(await values(log(), at)).toEqual(['plain 1', 'leased 1', 'plain 2', 'leased 2']);
    await done();
  });

  test('each partition is owned on its own', async () => {
    const { source, verdicts, group } = await made(3);
    const stop = new AbortController();
    const partitions: number[] = [];
    for await (const lease of log().own(group, source, stop.signal)) {
      partitions.push(lease.partition);
      const output = { topic: verdicts, entry: rawEntry(`from ${lease.partition}`) };
      await restored(lease);
      await lease.commit({ next: lease.partition + 10, outputs: [output], snapshots: [] });
      await lease.release();
      if (partitions.length === 3) stop.abort();
    }
    expect(partitions.sort()).toEqual([0, 1, 2]);
    for (const partition of [0, 1, 2])
      expect(await values(log(), { topic: verdicts, partition })).toEqual([`from ${partition}`]);
  });

  test('`only` restricts a member to its share, where the log leaves shares to us', async () => {
    const { source, group } = await made(3);
    if (!context.under!.honoursOnly) return;
    const stop = new AbortController();
    const partitions: number[] = [];
    for await (const lease of log().own(group, source, stop.signal, { only: [0, 2] })) {
      partitions.push(lease.partition);
      await lease.release();
      if (partitions.length === 2) stop.abort();
    }
    expect(partitions).toEqual([0, 2]);
  });

  test('an owner that stops may still commit what it has done', async () => {
    const { source, verdicts, group } = await made();
    const stop = new AbortController();
    for await (const lease of log().own(group, source, stop.signal)) {
      await restored(lease);
      stop.abort();
      await lease.commit({ next: 4, outputs: [{ topic: verdicts, entry: rawEntry('last') }], snapshots: [] });
      await lease.release();
    }
    expect(await values(log(), { topic: verdicts, partition: 0 })).toEqual(['last']);
  });

  test('a topic that is not there cannot be owned', async () => {
    await expect(owned(log(), fresh('g'), fresh('absent'))).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
  });
};
