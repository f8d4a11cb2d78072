import type { Command } from 'commander';
import { queryVerdicts, type VerdictFilter } from '../../infra/clickhouse/verdict-query.js';
import { attestationResult, type PublishedHostVerdict } from '../../processors/startup/ear.js';
import { AttestreamError } from '../../schemas/errors.js';
import { didYouMean } from '../../schemas/suggest.js';
import { wholeNumber } from '../arguments.js';
import { examples } from '../examples.js';
import { ioOf } from '../io.js';
import { openStore } from '../open-store.js';
import { outputOf, wantsEar } from '../output.js';
import { readEarKey, signedToken } from '../signed-token.js';
import { since } from '../since.js';
import { VERDICT_COLUMNS, verdictRow } from '../verdict-row.js';
import { version } from '../version.js';

type Options = { -readonly [K in keyof VerdictFilter]: VerdictFilter[K] };

/** States and kinds that this version knows. Newer writers may have others, so an unknown word is asked for all the same. */
const KNOWN = {
  state: [
    'conforming',
    'violated',
    'undecided',
    'overdue',
    'withdrawn',
    'affirming',
    'warning',
    'contraindicated',
    'none',
  ],
  kind: ['process', 'host', 'container', 'stream'],
} as const;

async function* rows(verdicts: AsyncIterable<Record<string, unknown>>): AsyncGenerator<object> {
  for await (const verdict of verdicts) yield verdictRow(verdict);
}

/** The newest verdict of each host as a token a line. */
const tellResults = async (command: Command, filter: Options, keyFile: string | undefined): Promise<void> => {
  if (keyFile === undefined)
    throw new AttestreamError('USAGE', '--output ear needs --ear-key FILE: a private key (PEM, P-256) that signs');
  const key = readEarKey(keyFile);
  const store = await openStore(command);
  try {
    const newest = new Map<string, PublishedHostVerdict>();
    for await (const row of queryVerdicts(store, { ...filter, kind: 'host' })) {
      const verdict = row as unknown as PublishedHostVerdict;
      newest.set(verdict.subject.host, verdict);
    }
    const verifier = { developer: 'attestream', build: version() };
    for (const verdict of newest.values())
      ioOf(command).stdout.write(`${signedToken(attestationResult(verdict, verifier), key)}\n`);
  } finally {
    await store.close();
  }
};

export const register = (program: Command): void => {
  program
    .command('verdicts')
    .description('what was concluded, from ClickHouse')
    .option('--state <state>', 'conforming, violated, undecided, overdue, withdrawn, …')
    .option('--kind <kind>', 'process, host, container or stream')
    .option('--host <host>', 'the host, whole')
    .option('--container <id>', 'container id or the beginning of one')
    .option('--process <process>', 'PID:STARTTIME, or the name in an imported log')
    .option('--since <when>', '10m ago, or since an RFC 3339 time, in event time', since)
    .option('--limit <n>', 'only the newest so many', wholeNumber('--limit', 1))
    .option('--ear-key <file>', 'with --output ear: private key (PEM, P-256) that signs the attestation results')
    .option('--clickhouse <url>', 'embedded:DIR or http(s)://USER@HOST:PORT/DATABASE')
    .addHelpText(
      'after',
      examples(
        ['verdicts --state violated --since 10m --clickhouse embedded:db --output ndjson', 'rows as published'],
        [
          'verdicts --output ear --ear-key ear.pem --clickhouse embedded:db',
          'the newest result of each host as a signed token (JWT, ES256)',
        ],
      ),
    )
    .action(async (options: Options & { clickhouse?: string; earKey?: string }, command: Command) => {
      const { clickhouse: _, earKey, ...filter } = options;
      if (wantsEar(command)) return tellResults(command, filter, earKey);
      const out = outputOf(command);
      for (const option of ['state', 'kind'] as const) {
        const word = filter[option];
        const known: readonly string[] = KNOWN[option];
        if (word !== undefined && !known.includes(word))
          ioOf(command).stderr.write(
            `attestream: --${option} ${word} is none that this version knows: ${didYouMean(word, known)}\n`,
          );
      }
      const store = await openStore(command);
      try {
        const verdicts = queryVerdicts(store, filter);
        await out.rows(out.format === 'table' ? rows(verdicts) : verdicts, VERDICT_COLUMNS);
      } finally {
        await store.close();
      }
    });
};
