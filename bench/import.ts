import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTrace } from '../infra/log/trace/trace-log.js';
import { importFile } from '../producers/import/import-file.js';
import { parseImportMap } from '../producers/import/import-map.js';

const EVENTS = 300_000;

const ndjson = (i: number): string =>
  JSON.stringify({
    at: 1_700_000_000_000_000 + i * 1000,
    process: `p${i % 200}`,
    function: 'actuate',
    parameters: { level: i % 100 },
  });

const CSV_MAP = parseImportMap(
  Buffer.from(
    'format: csv\ntime: { column: at, unit: us }\nprocess: process\nfunction: function\nparameters: { level: int }\n',
  ),
  'map',
);

const csv = (i: number): string => `${1_700_000_000_000_000 + i * 1000},p${i % 200},actuate,${i % 100}`;

const lines = (header: string, line: (i: number) => string): string => {
  const parts = header === '' ? [] : [header];
  for (let i = 0; i < EVENTS; i++) parts.push(line(i));
  return parts.join('\n');
};

/** Files into traces on disk; the baseline is the budget of 150 k events/s. */
export const bench = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'attestream-bench-import-'));
  const measure = async (name: string, text: string, map?: typeof CSV_MAP) => {
    const file = join(folder, name);
    writeFileSync(file, text);
    const log = await openTrace(join(folder, `${name}-trace`));
    try {
      const began = performance.now();
      const { records } = await importFile({ file, log, ...(map === undefined ? {} : { map }) });
      const figure = records / ((performance.now() - began) / 1000);
      return { name: `${name} file → trace`, figure, unit: 'events/s', baseline: 150_000, ratio: figure / 150_000 };
    } finally {
      await log.close();
    }
  };
  try {
    return [
      await measure('NDJSON', lines('', ndjson)),
      await measure('CSV', lines('at,process,function,level', csv), CSV_MAP),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
