import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { importFile } from '../../producers/import/import-file.js';
import { parseImportMap } from '../../producers/import/import-map.js';
import { AttestreamError } from '../../schemas/errors.js';
import { wholeNumber } from '../arguments.js';
import { requiredSetting } from '../configuration.js';
import { examples } from '../examples.js';
import { stopOf } from '../io.js';
import { openLog } from '../open-log.js';
import { outPath, outputOf } from '../output.js';
import { progressOf } from '../progress.js';

interface Options {
  readonly map?: string;
  readonly out?: string;
  readonly partitions?: number;
  readonly stream?: string;
}

const readMap = (path: string): Buffer => {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new AttestreamError('USAGE', `the map cannot be read: ${(cause as Error).message}`, { path }, { cause });
  }
};

export const register = (program: Command): void => {
  program
    .command('import')
    .description("read another program's log (NDJSON, CSV, XES) into a trace of complete observations")
    .argument('<file>', 'the log; gzip is unpacked on the way')
    .option('--map <file>', 'what the columns mean (YAML); native NDJSON and XES need none')
    .option('--out <folder>', 'the trace to write', outPath)
    .option('--log <uri>', 'or the log to write to')
    .option('--registry <url>', 'schema registry, for Kafka')
    .option(
      '--partitions <n>',
      'partitions of the topics, if they are created (default: 4)',
      wholeNumber('--partitions', 1, 10_000),
    )
    .option('--stream <name>', 'name of the imported stream (default: the base name of the file)')
    .addHelpText(
      'after',
      examples(
        [
          'import calls.ndjson --out trace/',
          'lines such as {"at": 1700000000000000, "process": "p1", "function": "actuate"}',
        ],
        ['import log.csv --map map.yaml --out trace/', 'a map: time, function, process, parameters by their columns'],
        ['import hospital.xes.gz --out trace/', 'a log of the process-mining standard'],
      ),
    )
    .action(async (file: string, options: Options, command: Command) => {
      const out = outputOf(command);
      const map = options.map === undefined ? null : parseImportMap(readMap(options.map), options.map);
      const target = options.out ?? requiredSetting(command, 'log', '--out TRACE/');
      const log = await openLog(target, { command });
      const progress = progressOf(command, 'import');
      try {
        const summary = await importFile({
          file,
          log,
          stop: stopOf(command),
          onProgress: ({ bytes, of, records }) => progress.update(bytes, of, records),
          ...(map === null ? {} : { map }),
          ...(options.partitions === undefined ? {} : { partitions: options.partitions }),
          ...(options.stream === undefined ? {} : { streamName: options.stream }),
        });
        progress.end();
        await out.object({ ...summary, log: target });
        if (summary.rejected > 0)
          out.tell(
            `attestream: ${summary.rejected} rows could not be used: attestream trace cat ${target} --topic dead-letters`,
          );
        if (summary.displaced > 0)
          out.tell(
            `attestream: ${summary.displaced} rows arrived too far from their place in the file to be brought there`,
          );
      } finally {
        progress.end();
        await log.close();
      }
    });
};
