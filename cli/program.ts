import { Command } from 'commander';
import { register as agent } from './commands/agent.js';
import { register as config } from './commands/config.js';
import { register as copy } from './commands/copy.js';
import { register as db } from './commands/db.js';
import { register as demo } from './commands/demo.js';
import { register as doctor } from './commands/doctor.js';
import { register as evidence } from './commands/evidence.js';
import { register as explain } from './commands/explain.js';
import { register as host } from './commands/host.js';
import { register as ima } from './commands/ima.js';
import { register as importing } from './commands/import.js';
import { register as look } from './commands/look.js';
import { register as policy } from './commands/policy.js';
import { register as processing } from './commands/process.js';
import { register as record } from './commands/record.js';
import { register as replay } from './commands/replay.js';
import { register as roots } from './commands/roots.js';
import { register as topics } from './commands/topics.js';
import { register as trace } from './commands/trace.js';
import { register as verdicts } from './commands/verdicts.js';
import { type Io, setIo } from './io.js';
import { outputFormat } from './output.js';
import { version } from './version.js';

/** Each adds one command (or a group of them) to the program. In the order of the help. */
const COMMANDS: readonly ((program: Command) => void)[] = [
  demo,
  look,
  record,
  importing,
  replay,
  processing,
  verdicts,
  explain,
  trace,
  copy,
  ima,
  evidence,
  policy,
  agent,
  host,
  roots,
  topics,
  db,
  config,
  doctor,
];

/** The command line of attestream. Errors are thrown, not printed; nothing ends the process. */
export const buildProgram = (io: Io): Command => {
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
  for (const register of COMMANDS) register(program);
  return program;
};
