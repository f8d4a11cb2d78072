import type { Command } from 'commander';
import type { EventLog } from '../../infra/log/event-log.js';
import type { LogAddress } from '../../infra/log/open-by-uri.js';
import { type JudgedRange, type Replay, replay } from '../../processors/run/replay.js';
import { AttestreamError } from '../../schemas/errors.js';
import type { Verdict } from '../../schemas/records.js';
import { gather, wholeNumber } from '../arguments.js';
import { examples } from '../examples.js';
import { Findings } from '../exit.js';
import { stopOf } from '../io.js';
import { logAddress, openLog } from '../open-log.js';
import { type Output, outputOf } from '../output.js';
import { readPublicKey } from '../pinned-keys.js';
import { progressOf } from '../progress.js';
import { parseRange, type Range, resolveRange, WHOLE } from '../range.js';
import { type PolicyFile, readPolicyFile } from '../read-policy.js';
import { VERDICT_COLUMNS, verdictAs } from '../verdict-row.js';

interface Options {
  readonly policy?: readonly string[];
  readonly trust?: readonly string[];
  readonly compare?: string;
  readonly workers: number;
  readonly speed?: number;
  readonly state?: string;
  readonly commitEvery?: number;
  readonly range?: Range;
  readonly strict?: boolean;
}

/** States for which `replay` ends with 1. */
const BAD: ReadonlySet<string> = new Set(['violated', 'overdue', 'contraindicated']);
const BAD_STRICT: ReadonlySet<string> = new Set([...BAD, 'undecided', 'warning', 'none']);

const speedOf = (text: string): number | undefined => {
  if (text === 'max') return undefined;
  const speed = Number(text);
  if (Number.isFinite(speed) && speed > 0) return speed;
  throw new AttestreamError('USAGE', `--speed is max or a factor such as 1 or 10, not ${JSON.stringify(text)}`);
};

/** Verdicts on their way to stdout; remembers which bad ones still stand. */
class Tally {
  readonly #bad: ReadonlySet<string>;
  readonly #standing = new Set<string>();
  readonly states = new Map<string, number>();

  constructor(strict: boolean) {
    this.#bad = strict ? BAD_STRICT : BAD;
  }

  count(verdict: Verdict): void {
    this.states.set(verdict.state, (this.states.get(verdict.state) ?? 0) + 1);
    if (verdict.replaces !== null) this.#standing.delete(verdict.replaces.toString('latin1', 0, 16));
    if (this.#bad.has(verdict.state)) this.#standing.add(verdict.id.toString('latin1', 0, 16));
  }

  get bad(): boolean {
    return this.#standing.size > 0;
  }
}

async function* counted(verdicts: AsyncIterable<Verdict>, tally: Tally, out: Output): AsyncGenerator<object> {
  for await (const verdict of verdicts) {
    tally.count(verdict);
    yield verdictAs(verdict, out.format);
  }
}

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const summary = (run: Replay, tally: Tally): string => {
  const { counts } = run;
  const states = [...tally.states].map(([state, n]) => `${n} ${state}`).join(', ');
  const oddities = [
    counts.duplicates > 0 ? plural(counts.duplicates, 'resent record') : '',
    counts.missing > 0 ? plural(counts.missing, 'missing record') : '',
    counts.late > 0 ? plural(counts.late, 'late event') : '',
    counts.deadLetters > 0 ? plural(counts.deadLetters, 'dead letter') : '',
    run.openTimers > 0 ? plural(run.openTimers, 'open deadline') : '',
  ].filter((text) => text !== '');
  return [
    plural(counts.events, 'event'),
    `${plural(counts.verdicts, 'verdict')}${states === '' ? '' : ` (${states})`}`,
    ...oddities,
  ].join('; ');
};

const tellDeadLetters = async (run: Replay, out: Output): Promise<void> => {
  let told = 0;
  for await (const { code, message } of run.deadLetters()) {
    if (++told > 5) break;
    out.tell(`attestream: ${code}: ${message}`);
  }
  if (run.counts.deadLetters > 5) out.tell(`attestream: … and ${run.counts.deadLetters - 5} more`);
};

/** What one policy says and another does not, of the same event. */
const difference = (verdict: Verdict): string =>
  [
    verdict.host,
    verdict.process,
    verdict.slice,
    verdict.trigger.stream,
    verdict.trigger.seq,
    verdict.trigger.timer,
    verdict.state,
    verdict.at,
  ].join('|');

async function* differences(a: Replay, b: Replay, out: Output): AsyncGenerator<object> {
  for (const [one, other, name] of [
    [a, b, 'policy'],
    [b, a, 'compare'],
  ] as const) {
    const known = new Set<string>();
    for await (const verdict of other.verdicts()) known.add(difference(verdict));
    for await (const verdict of one.verdicts())
      if (!known.has(difference(verdict))) yield { only: name, ...verdictAs(verdict, out.format) };
  }
}

export const register = (program: Command): void => {
  program
    .command('replay')
    .description('judge a trace or a range of a log again, under any policy, to the same answer')
    .argument('<log>', 'a trace folder or kafka://HOST:PORT')
    .option(
      '--policy <file>',
      'policy that judges from the start, of processes or of hosts; may be given several times',
      gather,
    )
    .option(
      '--trust <file>',
      'public key (PEM, Ed25519) whose ticks and enrolments are believed; may be given several times',
      gather,
    )
    .option('--compare <file>', 'show only what this other policy would have said differently')
    .option('--workers <n>', 'threads; the answer does not depend on it', wholeNumber('--workers', 1, 64), 1)
    .option('--speed <factor>', 'pace of event time: max, or times real time', speedOf)
    .option('--state <folder>', 'keep state and verdicts here: a killed run goes on where its last commit stopped')
    .option(
      '--commit-every <n>',
      'with --state: records after which a commit is due (default: 65536, or a second)',
      wholeNumber('--commit-every', 1, 1_000_000),
    )
    .option(
      '-o, --range <range>',
      "part of the log, in kcat's notation: beginning, s@MS, e@MS, -N, an offset",
      parseRange,
    )
    .option('--registry <url>', 'schema registry, for Kafka')
    .option('--strict', 'exit 1 for undecided, warning and none too')
    .addHelpText(
      'after',
      examples(
        ['replay trace/ --policy policy.yaml', 'verdicts as a table; exit code 1 if any is violated'],
        ['replay trace/ --policy new.yaml --compare old.yaml', 'what a new policy would have said differently'],
        ['replay trace/ --policy policy.yaml --workers 2 --output ndjson', 'an object a line, for programs'],
      ),
    )
    .action(async (uri: string, options: Options, command: Command) => {
      const out = outputOf(command);
      if (options.policy === undefined || options.policy.length === 0)
        throw new AttestreamError('USAGE', 'replay needs --policy FILE: what the events are judged by');
      const policies = options.policy.map(readPolicyFile);
      const compare = options.compare === undefined ? null : [readPolicyFile(options.compare)];
      const address = logAddress(uri, command);
      const keys = (options.trust ?? []).map((file) => readPublicKey(file).export({ type: 'spki', format: 'pem' }));
      const run = async (under: readonly PolicyFile[], label: string, state: string | undefined): Promise<Replay> => {
        const judged = await rangesUnder(uri, under, options.range ?? WHOLE, command);
        return runWith({ address, ranges: judged, keys: keys as string[], options, command, label, state });
      };
      const main = await run(policies, 'replay', options.state);
      try {
        await tellDeadLetters(main, out);
        const tally = new Tally(options.strict === true);
        if (compare === null) {
          await out.rows(counted(main.verdicts(), tally, out), VERDICT_COLUMNS);
        } else {
          const other = await run(
            compare,
            'compare',
            options.state === undefined ? undefined : `${options.state}.compare`,
          );
          try {
            for await (const verdict of main.verdicts()) tally.count(verdict);
            await out.rows(differences(main, other, out), ['only', ...VERDICT_COLUMNS]);
            out.note(`compared: digest ${other.digest}`);
          } finally {
            await other.close();
          }
        }
        out.note(summary(main, tally));
        out.note(`digest ${main.digest}`);
        out.note(`conclusions ${main.conclusions}`);
        if (tally.bad) throw new Findings('attestream: verdicts stand that are findings: exit code 1');
      } finally {
        await main.close();
      }
    });
};

/** Policies of processes judge `memory`, those of hosts `measurements`. */
const rangesUnder = async (
  uri: string,
  policies: readonly PolicyFile[],
  range: Range,
  command: Command,
): Promise<readonly JudgedRange[]> => {
  const log = await openLog(uri, { command, readOnly: true });
  try {
    const judged: JudgedRange[] = [];
    for (const [topic, kind] of [
      ['memory', 'process'],
      ['measurements', 'host'],
    ] as const) {
      const own = policies.filter((policy) => policy.kind === kind);
      if (own.length > 0) judged.push({ topic, policies: own, partitions: await rangesOf(log, topic, range, command) });
    }
    return judged;
  } finally {
    await log.close();
  }
};

const rangesOf = async (
  log: EventLog,
  topic: string,
  range: Range,
  command: Command,
): Promise<JudgedRange['partitions']> => {
  const bounds = await log.bounds(topic);
  if (bounds.length === 0)
    throw new AttestreamError('TOPIC_MISSING', `${log.name} has no topic ${topic}: nothing to judge`, {
      path: log.name,
    });
  for (const [partition, { torn }] of bounds.entries())
    if (torn !== undefined)
      outputOf(command).tell(
        `attestream: TRACE_TORN: ${log.name} ${topic}/${partition} ends with ${torn === 0 ? 'an empty file' : `${torn} bytes of an incomplete block`}, which is not judged: its writer was interrupted, or is still at it`,
      );
  return Promise.all(
    bounds.map(async (_, partition) => ({ partition, ...(await resolveRange(log, { topic, partition }, range)) })),
  );
};

interface Run {
  readonly address: LogAddress;
  readonly ranges: readonly JudgedRange[];
  /** PEM */
  readonly keys: readonly string[];
  readonly options: Options;
  readonly command: Command;
  readonly label: string;
  readonly state: string | undefined;
}

const runWith = async ({ address, ranges, keys, options, command, label, state }: Run): Promise<Replay> => {
  const progress = progressOf(command, label);
  const total = ranges
    .flatMap(({ partitions }) => partitions)
    .reduce((records, { from, until }) => records + until - from, 0);
  let done = 0;
  try {
    return await replay({
      source: address,
      ranges,
      keys,
      workers: options.workers,
      stop: stopOf(command),
      onProgress: (records) => {
        done += records;
        progress.update(done, total, done);
      },
      ...(state === undefined ? {} : { state }),
      ...(options.speed === undefined ? {} : { speed: options.speed }),
      ...(options.commitEvery === undefined ? {} : { commitEvery: options.commitEvery }),
    });
  } finally {
    progress.end();
  }
};
