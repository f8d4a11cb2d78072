import type { Command } from 'commander';
import { queryVerdicts } from '../../infra/clickhouse/verdict-query.js';
import type { EventLog } from '../../infra/log/event-log.js';
import { AttestreamError } from '../../schemas/errors.js';
import { textSetting } from '../configuration.js';
import { examples } from '../examples.js';
import { explanation } from '../explanation.js';
import { logVerdicts } from '../log-verdicts.js';
import { openLog } from '../open-log.js';
import { openStore } from '../open-store.js';
import { outputOf } from '../output.js';

type Json = Record<string, unknown>;

const fromLog = async (log: EventLog, id: string): Promise<Json[]> => {
  const found: Json[] = [];
  for await (const verdict of logVerdicts(log))
    if (found.length < 2 && (verdict['id'] as string).startsWith(id)) found.push(verdict);
  return found;
};

const fromStore = async (command: Command, id: string): Promise<Json[]> => {
  const store = await openStore(command);
  try {
    const found: Json[] = [];
    for await (const verdict of queryVerdicts(store, { id, limit: 2 })) found.push(verdict);
    return found;
  } finally {
    await store.close();
  }
};

/** One record of the log, decoded; null where the log does not hold it any more. */
const event = async (log: EventLog, topic: string, partition: number, offset: number): Promise<unknown> => {
  const bounds = (await log.bounds(topic))[partition];
  if (bounds === undefined || offset < bounds.first || offset >= bounds.end) return null;
  for await (const batch of log.read({ topic, partition }, offset, offset + 1)) {
    const schema = batch.schemas[0]!;
    if (batch.length === 0 || schema < 0) return null;
    return log.schemas.at(schema).decode(batch.bytes.subarray(batch.values[0]!, batch.values[1]!));
  }
  return null;
};

export const register = (program: Command): void => {
  program
    .command('explain')
    .description('one verdict, with the events behind it')
    .argument('<id>', 'id of the verdict, or the beginning of it')
    .option('--clickhouse <url>', 'where verdicts are: embedded:DIR or http(s)://USER@HOST:PORT/DATABASE')
    .option('--log <uri>', 'the log that the events are in; without --clickhouse the verdict is looked for there too')
    .option('--registry <url>', 'schema registry, for Kafka')
    .addHelpText(
      'after',
      examples(['explain 3f2a --log trace/ --clickhouse embedded:db', 'what was concluded, and from what']),
    )
    .action(async (given: string, _options: object, command: Command) => {
      const out = outputOf(command);
      const id = given.toLowerCase();
      if (!/^[0-9a-f]{1,64}$/.test(id))
        throw new AttestreamError('USAGE', `${JSON.stringify(given)} is no verdict id: up to 64 hex digits`);
      const uri = textSetting(command, 'log');
      const inStore = textSetting(command, 'clickhouse') !== undefined;
      if (uri === undefined && !inStore)
        throw new AttestreamError('USAGE', 'say where to look: --clickhouse URL, --log URI or both');
      const log = uri === undefined ? null : await openLog(uri, { command, readOnly: true });
      try {
        const found = inStore ? await fromStore(command, id) : await fromLog(log!, id);
        if (found.length === 0)
          throw new AttestreamError('VERDICT_NOT_FOUND', `no verdict has an id that begins with ${id}`);
        if (found.length > 1)
          throw new AttestreamError(
            'USAGE',
            `more than one verdict has an id that begins with ${id}; give more digits`,
          );
        const verdict = found[0]!;
        const rests = verdict['rests'] as { topic: string; partition: number; offset: number }[];
        const events =
          log === null
            ? []
            : await Promise.all(rests.map(({ topic, partition, offset }) => event(log, topic, partition, offset)));
        if (out.format === 'table') await out.text(explanation(verdict, rests, events));
        else await out.object({ verdict, events: events.map(plain) });
      } finally {
        await log?.close();
      }
    });
};

/** Bytes as hex, as everywhere in our JSON. */
const plain = (value: unknown): unknown =>
  value === null
    ? null
    : JSON.parse(
        JSON.stringify(value, (_key, held) =>
          held?.type === 'Buffer' ? Buffer.from(held.data).toString('hex') : held,
        ),
      );
