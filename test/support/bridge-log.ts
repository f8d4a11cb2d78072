import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Batch, Bounds, Entry, EventLog, Partition } from '../../infra/log/event-log.js';
import { typedRecords } from '../../infra/log/typed-records.js';
import { encodeRecord, RECORD_NAMES, SchemaTable } from '../../schemas/codec.js';
import type { RecordName } from '../../schemas/records.js';

/*
 * A log of this machine, for a program in a virtual machine: what an agent needs of a log, a line of JSON for each request and
 * each answer. Records are named by their type, so that each side encodes them by its own schemas.
 */

interface Asked {
  readonly id: number;
  readonly call: 'createTopic' | 'bounds' | 'append' | 'fetch';
  readonly topic: string;
  readonly partition: number;
  readonly partitions?: number;
  readonly offset?: number;
  readonly entries?: readonly { readonly key: string | null; readonly name: RecordName; readonly value: string }[];
}

interface Fetched {
  readonly name: RecordName;
  readonly key: string;
  readonly offset: number;
  readonly timestamp: number;
  readonly value: string;
}

const PATIENCE_MS = 1000;
const POLL_MS = 20;

const fetchFrom = async (log: EventLog, { topic, partition, offset = 0 }: Asked): Promise<Fetched[]> => {
  for (const until = Date.now() + PATIENCE_MS; ; ) {
    const end = (await log.bounds(topic))[partition]?.end ?? 0;
    if (end > offset) {
      const found: Fetched[] = [];
      for await (const one of typedRecords(log, { topic, partition }, RECORD_NAMES, offset, end))
        found.push({
          name: one.name,
          key: one.key,
          offset: one.offset,
          timestamp: one.timestamp,
          value: encodeRecord(one.name, one.record as never).toString('base64'),
        });
      return found;
    }
    if (Date.now() > until) return [];
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
};

const answer = async (log: EventLog, asked: Asked): Promise<unknown> => {
  const { topic, partition } = asked;
  switch (asked.call) {
    case 'createTopic':
      return log.createTopic(topic, asked.partitions ?? 1);
    case 'bounds':
      return log.bounds(topic);
    case 'append':
      return log.append(
        { topic, partition },
        (asked.entries ?? []).map(({ key, name, value }) => ({
          key: key === null ? null : Buffer.from(key),
          schema: log.schemas.current(name),
          value: Buffer.from(value, 'base64'),
        })),
      );
    case 'fetch':
      return fetchFrom(log, asked);
  }
};

/** Serves a log on a port of the loopback. */
export const serveLog = async (log: EventLog): Promise<{ readonly port: number; stop(): void }> => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    createInterface({ input: socket }).on('line', (line) => {
      const asked = JSON.parse(line) as Asked;
      void answer(log, asked).then(
        (result) => socket.write(`${JSON.stringify({ id: asked.id, result: result ?? null })}\n`),
        (error: Error) => socket.write(`${JSON.stringify({ id: asked.id, error: error.message })}\n`),
      );
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    stop: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
};

/** The log that `serveLog` serves elsewhere. Whole batches of records are fetched; nothing is owned. */
export const bridgedLog = async (host: string, port: number): Promise<EventLog> => {
  const socket = connect(port, host);
  await once(socket, 'connect');
  const waiting = new Map<number, { done(result: unknown): void; failed(error: Error): void }>();
  createInterface({ input: socket }).on('line', (line) => {
    const { id, result, error } = JSON.parse(line) as { id: number; result?: unknown; error?: string };
    const one = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) one?.done(result);
    else one?.failed(new Error(error));
  });
  let last = 0;
  const ask = <T>(question: Omit<Asked, 'id'>): Promise<T> =>
    new Promise((done, failed) => {
      const id = ++last;
      waiting.set(id, { done: done as (result: unknown) => void, failed });
      socket.write(`${JSON.stringify({ ...question, id })}\n`);
    });
  const schemas = new SchemaTable();
  const refuse = (): never => {
    throw new Error('a bridged log owns nothing');
  };
  return {
    name: 'bridge',
    schemas,
    createTopic: (topic, partitions) => ask({ call: 'createTopic', topic, partition: 0, partitions }),
    bounds: (topic) => ask<readonly Bounds[]>({ call: 'bounds', topic, partition: 0 }),
    append: (to: Partition, entries: readonly Entry[]) =>
      ask<number>({
        call: 'append',
        ...to,
        entries: entries.map(({ key, schema, value }) => ({
          key: key === null ? null : key.toString('utf8'),
          name: schemas.at(schema).record!,
          value: value!.toString('base64'),
        })),
      }),
    async *read(from: Partition, offset: number, until: number | 'follow', stop?: AbortSignal) {
      for (let at = offset; stop?.aborted !== true && (until === 'follow' || at < until); ) {
        const found = await ask<readonly Fetched[]>({ call: 'fetch', ...from, offset: at });
        if (found.length === 0) continue;
        at = found.at(-1)!.offset + 1;
        yield batchOf(schemas, from, found, at);
      }
    },
    topics: refuse,
    offsetAt: refuse,
    own: refuse,
    close: async () => {
      socket.destroy();
    },
  };
};

const batchOf = (schemas: SchemaTable, from: Partition, found: readonly Fetched[], next: number): Batch => {
  const parts: Buffer[] = [];
  let at = 0;
  const place = (bytes: Buffer): [number, number] => {
    parts.push(bytes);
    at += bytes.length;
    return [at - bytes.length, at];
  };
  const keys = Int32Array.from(found.flatMap(({ key }) => place(Buffer.from(key))));
  const values = Int32Array.from(found.flatMap(({ value }) => place(Buffer.from(value, 'base64'))));
  return {
    ...from,
    length: found.length,
    next,
    offsets: Float64Array.from(found, ({ offset }) => offset),
    timestamps: Float64Array.from(found, ({ timestamp }) => timestamp),
    bytes: Buffer.concat(parts),
    keys,
    values,
    schemas: Int32Array.from(found, ({ name }) => schemas.current(name)),
    headers: () => [],
    damage: [],
  };
};
