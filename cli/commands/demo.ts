import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Command, Option } from 'commander';
import { connect, type Store } from '../../infra/clickhouse/connect.js';
import { migrate } from '../../infra/clickhouse/migrate.js';
import { queryVerdicts } from '../../infra/clickhouse/verdict-query.js';
import { copyLog } from '../../infra/log/copy.js';
import type { EventLog } from '../../infra/log/event-log.js';
import { catRecords } from '../../infra/log/trace/cat.js';
import { makeFolder } from '../../infra/make-folder.js';
import { runRuntimeProcessor } from '../../processors/run/runtime-processor.js';
import { runSink } from '../../processors/sink/sink.js';
import { AttestreamError, isAttestreamError } from '../../schemas/errors.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import type { Policy } from '../../schemas/policy/policy.js';
import { didYouMean } from '../../schemas/suggest.js';
import { buildDevice, findCompiler, observeDevice } from '../demo/observe-device.js';
import { example, SCENES, type Scene } from '../demo/scene.js';
import { examples } from '../examples.js';
import { ioOf, stopOf } from '../io.js';
import { logVerdicts } from '../log-verdicts.js';
import { openLog } from '../open-log.js';
import { type Output, outPath, outputOf } from '../output.js';
import { verdictRow } from '../verdict-row.js';

const SCENARIOS = ['device', 'host'] as const;

const scenarioOf = (text: string): (typeof SCENARIOS)[number] => {
  const found = SCENARIOS.find((name) => name === text);
  if (found !== undefined) return found;
  throw new AttestreamError(
    'USAGE',
    `--scenario is one of ${SCENARIOS.join(', ')}, not ${JSON.stringify(text)}; ${didYouMean(text, SCENARIOS)}`,
  );
};

interface Options {
  readonly scenario: (typeof SCENARIOS)[number];
  readonly out?: string;
  readonly keep?: boolean;
}

type Json = Record<string, unknown>;

const RECORDING = 'traces/device';

export const register = (program: Command): void => {
  program
    .command('demo')
    .description(
      'the whole pipeline on this machine: a device, looks from outside, verdicts in ClickHouse, two attacks',
    )
    .addOption(
      new Option(
        '--scenario <name>',
        'device: a program and two attacks; host: a machine with a TPM, from enrolment to revocation',
      )
        .argParser(scenarioOf)
        .default('device'),
    )
    .option('--out <folder>', 'where its data stay (default: attestream-demo-TIME)', outPath)
    .option('--keep', 'leave ClickHouse serving until Ctrl-C')
    .addHelpText(
      'after',
      examples(
        ['demo', 'ends by itself and says where to look next'],
        ['demo --scenario host', 'with an emulated TPM (Debian: swtpm, swtpm-tools)'],
      ),
    )
    .action(async (options: Options, command: Command) => {
      const out = outputOf(command);
      const folder = options.out ?? `attestream-demo-${new Date().toISOString().replace(/[-:]/g, '').slice(0, 15)}`;
      makeFolder(folder);
      if (options.scenario === 'host') {
        const { runHostScenario } = await import('../demo/host-scenario.js');
        await runHostScenario(folder, (trace) => openLog(trace, { command }), out, stopOf(command));
        return;
      }
      await runDemo(folder, options.keep === true, out, command);
    });
};

const runDemo = async (folder: string, keep: boolean, out: Output, command: Command): Promise<void> => {
  const stop = stopOf(command);
  const trace = join(folder, 'trace');
  const database = join(folder, 'clickhouse');
  const policyFile = example('device/policy.yaml');
  const policy = parsePolicy(readFileSync(policyFile, 'utf8'), policyFile);
  const log = await openLog(trace, { command });
  try {
    const observed = await observe(folder, policy, log, out, command);
    let { scenes } = observed;
    const judge = async (): Promise<void> => {
      out.note('\nJudging: the trace is replayed through the machine of the policy.');
      await runRuntimeProcessor({ log, policies: [policy], keys: new Map(), once: true, stop });
      stop.throwIfAborted();
    };
    await judge();
    for (let again = 0; again < RETRIES && observed.device !== null; again++) {
      const missed = await unseen(log, scenes);
      if (missed.length === 0) break;
      out.note('The machine was too busy to look often enough: what was not seen happens again.');
      scenes = new Map([
        ...scenes,
        ...(await observeDevice(observed.device, policy, log, stop, (line) => out.note(line), missed)),
      ]);
      await judge();
    }
    const store = await openDatabase(database, out, ioOf(command).env);
    try {
      const all = store === null ? await fromLog(log) : await throughClickHouse(store, log, stop, out);
      // The folder may hold earlier demonstrations.
      const verdicts = all.filter((verdict) => scenes.has(processOf(verdict)));
      await out.rows(verdicts.map((verdict) => (out.format === 'table' ? demoRow(verdict, scenes) : verdict)));
      const bad = verdicts.find((verdict) => verdict['state'] === 'violated');
      out.note(
        `\n${nextCommands(trace, store === null ? null : database, relative('.', policyFile) || policyFile, bad)}`,
      );
      check(verdicts, scenes);
      if (keep && store !== null) await serve(store, database, out, stop);
    } finally {
      await store?.close();
    }
  } finally {
    await log.close();
  }
};

/** What was watched: process → scene, and the program if it can be watched again. */
interface Observed {
  readonly device: string | null;
  readonly scenes: ReadonlyMap<string, string>;
}

/** How often an attack may happen again that no look fell into. */
const RETRIES = 3;

/** Attacks of which no run was judged violated. */
const unseen = async (log: EventLog, scenes: ReadonlyMap<string, string>): Promise<readonly Scene[]> => {
  const seen = new Set<string | undefined>();
  for await (const verdict of logVerdicts(log))
    if (verdict['state'] === 'violated') seen.add(scenes.get(processOf(verdict)));
  return SCENES.filter(({ name, violates }) => violates && !seen.has(name));
};

/** Fills the trace, live if a compiler is there, else from the recording that comes with attestream. Process → scene. */
const observe = async (
  folder: string,
  policy: Policy,
  log: EventLog,
  out: Output,
  command: Command,
): Promise<Observed> => {
  const compiler = process.platform === 'linux' && process.arch === 'x64' ? findCompiler() : null;
  const device = compiler === null ? null : buildDevice(compiler, folder);
  if (device !== null) {
    out.note('Watching: a gateway program runs three times and is looked at from outside, without being stopped.');
    try {
      return { device, scenes: await observeDevice(device, policy, log, stopOf(command), (line) => out.note(line)) };
    } catch (error) {
      if (!isAttestreamError(error, 'PROCESS_DENIED')) throw error;
      out.note(`Live looks are not possible here: ${error.message}`);
    }
  } else
    out.note(
      compiler === null
        ? 'There is no C compiler for this kind of machine here, so nothing can be watched live.'
        : 'The example program could not be compiled, so nothing can be watched live.',
    );
  out.note('Instead: the recording of the same three runs that comes with attestream.');
  const recording = await openLog(example(RECORDING), { command, readOnly: true });
  try {
    await copyLog(recording, log, { topics: ['memory'] });
    return { device: null, scenes: await recordedScenes(recording) };
  } finally {
    await recording.close();
  }
};

/** The recording holds the scenes in their order, and of each the record of how its process began. */
const recordedScenes = async (recording: EventLog): Promise<ReadonlyMap<string, string>> => {
  const scenes = new Map<string, string>();
  for await (const { payload } of catRecords(recording, { topics: ['memory'] })) {
    const { kind, process: name } = (payload ?? {}) as { kind?: unknown; process?: unknown };
    const scene = SCENES[scenes.size];
    if (kind === 'found' && typeof name === 'string' && scene !== undefined) scenes.set(name, scene.name);
  }
  return scenes;
};

const openDatabase = async (database: string, out: Output, env: NodeJS.ProcessEnv): Promise<Store | null> => {
  try {
    return await connect(`embedded:${database}`, { environment: env });
  } catch (error) {
    if (!isAttestreamError(error, 'EMBEDDED_MISSING')) throw error;
    out.note(`Without ClickHouse: ${error.message}`);
    return null;
  }
};

const throughClickHouse = async (store: Store, log: EventLog, stop: AbortSignal, out: Output): Promise<Json[]> => {
  out.note('Storing: verdicts and looks go into an embedded ClickHouse, and are read back from it.\n');
  await migrate(store);
  await runSink({ log, store, stop, once: true });
  stop.throwIfAborted();
  const verdicts: Json[] = [];
  for await (const verdict of queryVerdicts(store)) verdicts.push(verdict);
  return verdicts;
};

const fromLog = async (log: EventLog): Promise<Json[]> => {
  const verdicts: Json[] = [];
  for await (const verdict of logVerdicts(log)) verdicts.push(verdict);
  return verdicts;
};

const processOf = (verdict: Json): string => (verdict['subject'] as Record<string, string>)['process'] ?? '';

/** One host, one day, few processes: what is left is which run it was, the time of day, and what was concluded. */
const demoRow = (verdict: Json, scenes: ReadonlyMap<string, string>): Json => {
  const { id, at, state, process: name, message } = verdictRow(verdict);
  return { run: scenes.get(processOf(verdict)) ?? name, at: (at as string).slice(11, -1), state, id, message };
};

/** The demonstration has shown what it promises, or says what it has not. */
const check = (verdicts: readonly Json[], scenes: ReadonlyMap<string, string>): void => {
  const states = new Set(verdicts.map((verdict) => verdict['state']));
  const missing = ['conforming', 'violated'].filter((state) => !states.has(state));
  if (missing.length > 0) throw new AttestreamError('DEMO_INCOMPLETE', `no verdict was ${missing.join(' or ')}`);
  const violated = new Set(
    verdicts.filter((verdict) => verdict['state'] === 'violated').map((verdict) => scenes.get(processOf(verdict))),
  );
  for (const { name, violates } of SCENES)
    if (violated.has(name) !== violates)
      throw new AttestreamError(
        'DEMO_INCOMPLETE',
        violates
          ? `the ${name} run was not judged violated: this machine may be too busy to look often enough`
          : `the ${name} run was judged violated`,
      );
};

const nextCommands = (trace: string, database: string | null, policy: string, bad: Json | undefined): string => {
  const where = database === null ? '' : ` --clickhouse embedded:${database}`;
  return [
    'Next:',
    ...(bad === undefined
      ? []
      : [`  npx attestream explain ${(bad['id'] as string).slice(0, 12)} --log ${trace}${where}`]),
    ...(database === null
      ? []
      : [`  npx attestream verdicts --state violated${where}`, `  npx attestream db audit${where} --log ${trace}`]),
    `  npx attestream replay ${trace} --policy ${policy}`,
    `  npx attestream trace cat ${trace} --topic memory --output ndjson`,
    `Its data are in ${trace.slice(0, trace.lastIndexOf('/'))}.`,
  ].join('\n');
};

const serve = async (store: Store, database: string, out: Output, stop: AbortSignal): Promise<void> => {
  out.note(
    `\nClickHouse serves ${store.name}; other commands reach it by --clickhouse embedded:${database}. Ctrl-C ends it.`,
  );
  // A listener alone does not keep Node alive; this does.
  const alive = setInterval(() => undefined, 60_000);
  await new Promise<void>((resolve) => {
    if (stop.aborted) resolve();
    else stop.addEventListener('abort', () => resolve(), { once: true });
  });
  clearInterval(alive);
};
