import { type Command, Option } from 'commander';
import { migrate } from '../../infra/clickhouse/migrate.js';
import type { EventLog } from '../../infra/log/event-log.js';
import { runController } from '../../processors/run/controller.js';
import { runRuntimeProcessor } from '../../processors/run/runtime-processor.js';
import { runStartupProcessor } from '../../processors/run/startup-processor.js';
import { runSink } from '../../processors/sink/sink.js';
import { AttestreamError } from '../../schemas/errors.js';
import type { Policy } from '../../schemas/policy/policy.js';
import { pinnedKeys } from '../../schemas/signed.js';
import { didYouMean } from '../../schemas/suggest.js';
import { selectionFromText, selectionText } from '../../schemas/tpm/selection.js';
import { duration, gather } from '../arguments.js';
import { requiredSetting, setting, textSetting } from '../configuration.js';
import { examples } from '../examples.js';
import { isInterrupt } from '../exit.js';
import { stopOf } from '../io.js';
import { openLog } from '../open-log.js';
import { openStore } from '../open-store.js';
import { outputOf } from '../output.js';
import { DEFAULT_SELECTION } from '../pcr-selection.js';
import { readPrivateKey, readPublicKey } from '../pinned-keys.js';
import { progressOf } from '../progress.js';
import { isOfHosts, readAnyPolicy } from '../read-policy.js';
import { anchorsOf } from '../roots-folder.js';

interface Options {
  readonly policy?: readonly string[];
  readonly only?: readonly Part[];
  readonly once?: boolean;
  readonly trust?: readonly string[];
  readonly controller?: string;
  readonly tick: number;
  readonly pcrs?: string;
  readonly expiredIssuers?: boolean;
}

const PARTS = ['startup', 'runtime', 'sink'] as const;
type Part = (typeof PARTS)[number];

const partsOf = (text: string): readonly Part[] =>
  text.split(',').map((word) => {
    const part = PARTS.find((known) => known === word.trim());
    if (part !== undefined) return part;
    throw new AttestreamError(
      'USAGE',
      `--only takes ${PARTS.join(', ')}, not ${JSON.stringify(word)}; ${didYouMean(word, PARTS)}`,
    );
  });

export const register = (program: Command): void => {
  program
    .command('process')
    .description('the processors: events of a log to verdicts, verdicts to ClickHouse')
    .option('--log <uri>', 'kafka://HOST:PORT[,HOST:PORT] or a folder')
    .option('--registry <url>', 'schema registry, for Kafka')
    .option('--clickhouse <url>', 'embedded:DIR or http(s)://USER@HOST:PORT/DATABASE')
    .option('--policy <file>', 'policy that judges from the start (folders only); may be given several times', gather)
    .option('--only <parts>', 'of startup,runtime,sink', partsOf)
    .option('--once', 'end when everything is done that the topics hold now')
    .option(
      '--trust <file>',
      'public key (PEM, Ed25519) whose ticks and assignments are believed; may be given several times',
      gather,
    )
    .option('--controller <file>', 'private key (PEM, Ed25519): write ticks signed with it')
    .addOption(
      new Option('--tick <duration>', 'time between ticks').argParser(duration('--tick')).default(5_000_000, '5s'),
    )
    .option('--pcrs <selection>', `with --controller: registers that agents quote (default: ${DEFAULT_SELECTION})`)
    .option('--roots <folder>', 'with --controller: certificates of makers of TPMs, as kept by `roots add`')
    .option('--expired-issuers', 'with --controller: take chains in which an issuer has expired')
    .addHelpText(
      'after',
      examples(
        [
          'process --log trace/ --policy policy.yaml --clickhouse embedded:db --once',
          'judge what is there and bring it into ClickHouse',
        ],
        [
          'process --log kafka://localhost:9092 --registry http://localhost:8081 --trust operator.pub',
          'follow, under assigned policies',
        ],
      ),
    )
    .action(async (options: Options, command: Command) => {
      const out = outputOf(command);
      const uri = requiredSetting(command, 'log');
      const files = options.policy ?? (setting(command, 'policy') as readonly string[] | undefined);
      if (files !== undefined && uri.startsWith('kafka:'))
        throw new AttestreamError(
          'USAGE',
          'with Kafka a policy comes into force by an assignment that everyone can see: attestream policy assign FILE --log … --key …',
        );
      const policies = files?.map(readAnyPolicy);
      const ofHosts = policies?.filter(isOfHosts) ?? [];
      const ofProcesses = policies?.filter((policy): policy is Policy => !isOfHosts(policy)) ?? [];
      const controller = options.controller === undefined ? null : readPrivateKey(options.controller);
      const keys = pinnedKeys([
        ...(options.trust ?? []).map(readPublicKey),
        ...(controller === null ? [] : [controller]),
      ]);
      const stop = new AbortController();
      stopOf(command).addEventListener('abort', () => stop.abort(stopOf(command).reason), { once: true });
      const log = await openLog(uri, { command });
      const progress = progressOf(command, 'process');
      let done = 0;
      try {
        const parts = options.only ?? (await partsWithEvents(log));
        const total = options.once === true ? await recordsOf(log, parts) : 0;
        const onProgress = (records: number): void => {
          done += records;
          progress.update(done, total, done);
        };
        const startup = (): Promise<void> =>
          runStartupProcessor({
            log,
            policies: ofHosts.length === 0 ? null : ofHosts,
            keys,
            key: controller,
            once: options.once === true,
            stop: stop.signal,
            onProgress,
          });
        const runtime = (): Promise<void> =>
          runRuntimeProcessor({
            log,
            policies: ofProcesses.length === 0 ? null : ofProcesses,
            keys,
            once: options.once === true,
            stop: stop.signal,
            onProgress,
          });
        const sink = async (): Promise<void> => {
          if (textSetting(command, 'clickhouse') === undefined && options.only === undefined) {
            out.note('attestream: no --clickhouse: verdicts stay in the log');
            return;
          }
          const store = await openStore(command);
          try {
            await migrate(store);
            await runSink({ log, store, stop: stop.signal, once: options.once === true });
          } finally {
            await store.close();
          }
        };
        const ticks = async (): Promise<void> => {
          if (controller !== null)
            await runController({
              log,
              key: controller,
              interval: options.tick,
              selection: selectionText(selectionFromText(options.pcrs ?? DEFAULT_SELECTION)),
              enrolment: {
                operators: keys,
                anchors: await anchorsOf(command, options.expiredIssuers === true),
                onNote: (note) => out.note(`attestream: ${note}`),
              },
              stop: stop.signal,
            });
        };
        out.note(`attestream: ready: ${parts.join(' and ')} on ${uri}`);
        if (options.once === true) {
          if (parts.includes('startup')) await startup();
          if (parts.includes('runtime') && !stop.signal.aborted) await runtime();
          if (parts.includes('sink') && !stop.signal.aborted) await sink();
        } else {
          const running = [
            ...(parts.includes('startup') ? [startup()] : []),
            ...(parts.includes('runtime') ? [runtime()] : []),
            ...(parts.includes('sink') ? [sink()] : []),
            ticks(),
          ];
          await Promise.all(
            running.map((part) =>
              part.catch((error: unknown) => {
                stop.abort(error);
                throw error;
              }),
            ),
          );
        }
        // A service that was asked to end has done what it was asked.
        if (options.once === true && stopOf(command).aborted) throw stopOf(command).reason;
      } catch (error) {
        if (!(options.once !== true && isInterrupt(error))) throw error;
      } finally {
        progress.end();
        await log.close();
      }
    });
};

const JUDGED = { startup: 'measurements', runtime: 'memory' } as const;

/** Without --only: what has a topic to work on. An empty log is left to the runtime processor, which says what it lacks. */
const partsWithEvents = async (log: EventLog): Promise<readonly Part[]> => {
  const hasHosts = (await log.bounds(JUDGED.startup)).length > 0;
  const hasProcesses = (await log.bounds(JUDGED.runtime)).length > 0;
  return PARTS.filter((part) =>
    part === 'startup' ? hasHosts : part === 'runtime' ? hasProcesses || !hasHosts : true,
  );
};

const recordsOf = async (log: EventLog, parts: readonly Part[]): Promise<number> => {
  let records = 0;
  for (const part of ['startup', 'runtime'] as const)
    if (parts.includes(part)) for (const { first, end } of await log.bounds(JUDGED[part])) records += end - first;
  return records;
};
