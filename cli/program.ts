import { Command } from 'commander';
import { commandName } from './command-name.js';
import { type Io, setIo } from './io.js';
import { outputFormat } from './output.js';
import { version } from './version.js';

type Register = (program: Command) => void;

/** Each adds one command (or a group of them) to the program. In the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<{ readonly register: Register }>>> = {
  demo: () => import('./commands/demo.js'),
  look: () => import('./commands/look.js'),
  record: () => import('./commands/record.js'),
  import: () => import('./commands/import.js'),
  replay: () => import('./commands/replay.js'),
  process: () => import('./commands/process.js'),
  verdicts: () => import('./commands/verdicts.js'),
  explain: () => import('./commands/explain.js'),
  trace: () => import('./commands/trace.js'),
  copy: () => import('./commands/copy.js'),
  ima: () => import('./commands/ima.js'),
  evidence: () => import('./commands/evidence.js'),
  policy: () => import('./commands/policy.js'),
  agent: () => import('./commands/agent.js'),
  host: () => import('./commands/host.js'),
  roots: () => import('./commands/roots.js'),
  topics: () => import('./commands/topics.js'),
  db: () => import('./commands/db.js'),
  config: () => import('./commands/config.js'),
  doctor: () => import('./commands/doctor.js'),
};

/**
 * The names of the commands that a command line needs: its own, or all of them where it names none, as for help and suggestions.
 * What the others import is time at each start, and on a gateway memory for as long as the agent runs.
 */
const needed = (argv: readonly string[]): readonly string[] => {
  if (argv[0] === '--version') return [];
  const name = commandName(argv);
  return Object.hasOwn(COMMANDS, name) ? [name] : Object.keys(COMMANDS);
};

/**
 * The command line of attestream, with the commands that `argv` needs; all by default. Errors are thrown, not printed; nothing
 * ends the process.
 */
export const buildProgram = async (io: Io, argv: readonly string[] = []): Promise<Command> => {
  const program = new Command('attestream')
    .description(
      'Trusted start-up and runtime verification for IoT programs in Docker containers, as one event-sourced stream.',
    )
    .version(version(), '--version', 'print the version')
    .option('--output <format>', 'form of what is printed: table, json or ndjson', outputFormat)
    .option('--quiet', 'say nothing on stderr but errors')
    .option('--config <file>', 'configuration file (default: attestream.config.yaml, if it is there)')
    .helpCommand(true)
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      // Usage errors are printed once, with their code, by whoever runs the program; help after a bare group is not lost.
      writeErr: (text) => io.stderr.write(text),
      outputError: () => undefined,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText(
      'after',
      `
Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 findings, 2 usage or configuration,
3 infrastructure, 130 interrupted. Settings: flags, then ATTESTREAM_* variables, then attestream.config.yaml.`,
    );
  setIo(program, io);
  for (const name of needed(argv)) (await COMMANDS[name]!()).register(program);
  return program;
};
