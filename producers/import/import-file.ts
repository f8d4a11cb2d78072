import { basename } from 'node:path';
import type { EventLog } from '../../infra/log/event-log.js';
import { AttestreamError, isAttestreamError } from '../../schemas/errors.js';
import { Arrival } from './arrival.js';
import { csvReader } from './csv.js';
import { existingStreams } from './existing-streams.js';
import { refuseForeign, startOf, withoutMark } from './file-kind.js';
import type { ImportFormat, ImportMap } from './import-map.js';
import { openSource } from './import-source.js';
import { ImportWriter } from './import-writer.js';
import { ndjsonReader } from './ndjson.js';
import type { FormatReader, RowSink } from './observation.js';
import { compileObserve, wantedColumns } from './observe.js';
import { xesReader } from './xes.js';

export interface ImportProgress {
  /** Bytes of the file, as it lies there; `of` is 0 where its size is not known. */
  readonly bytes: number;
  readonly of: number;
  readonly records: number;
  readonly rejected: number;
}

export interface ImportOptions {
  readonly file: string;
  readonly map?: ImportMap;
  readonly log: EventLog;
  /** Of topics that do not exist yet. Default: those of the log's `memory` topic, else 4. */
  readonly partitions?: number;
  /** Default: the file's base name. */
  readonly streamName?: string;
  readonly onProgress?: (progress: ImportProgress) => void;
  readonly stop?: AbortSignal;
}

export interface ImportSummary {
  readonly records: number;
  /** Rows kept as dead letters. */
  readonly rejected: number;
  /** Rows passed over as the map wants it (`unknown: skip`). */
  readonly skipped: number;
  readonly hosts: number;
  /** Rows whose `receivedAt` was so far back that they could not be brought to their place. */
  readonly displaced: number;
}

const DEFAULT_PARTITIONS = 4;

/**
 * Reads a foreign log into `memory` as complete observations, one `Activation` a row in order of arrival; rows that cannot
 * be used become dead letters. Memory is bounded whatever the file holds.
 * @throws IMPORT_EMPTY, IMPORT_FORMAT, IMPORT_MAP, IMPORT_EXISTS, IMPORT_HOSTS, USAGE, and what the log throws; the stop signal's reason
 */
export const importFile = async (options: ImportOptions): Promise<ImportSummary> => {
  const { file, log, stop } = options;
  const map = options.map ?? null;
  const source = openSource(file, stop);
  const start = await startOf(source.chunks);
  const format = map?.format ?? formatOf(file, start.head, map);
  refuseForeign(start.head, format, file);
  const observe = compileObserve(format, map);

  const standing = (await log.bounds('memory')).length;
  const partitions = options.partitions ?? (standing > 0 ? standing : DEFAULT_PARTITIONS);
  const existing = standing > 0 ? await existingStreams(log, stop) : new Set<string>();
  await log.createTopic('memory', partitions);
  if ((await log.bounds('dead-letters')).length === 0) await log.createTopic('dead-letters', partitions);

  const writer = new ImportWriter({
    log,
    partitions,
    map: map?.bytes ?? Buffer.alloc(0),
    streamName: options.streamName ?? basename(file),
    beginning: map?.beginning !== 'unknown',
    existing,
  });
  const arrival = new Arrival((observation) => writer.put(observation));
  let skipped = 0;
  const sink: RowSink = {
    row(line, raw, row) {
      try {
        const observation = observe(row);
        if (observation === null) skipped++;
        else arrival.put(observation, 2 * raw.length + 300);
      } catch (error) {
        if (!isAttestreamError(error) || !ROW_PROBLEMS.has(error.code)) throw error;
        writer.reject(line, raw === '' ? JSON.stringify(row) : raw, error.code, error.message);
      }
    },
    reject: (line, raw, code, message) => writer.reject(line, raw, code, message),
  };
  const reader = readerOf(format, map, sink);
  const progress = (): void =>
    options.onProgress?.({ bytes: source.read(), of: source.size, records: writer.records, rejected: writer.rejected });

  try {
    for await (const chunk of withoutMark(start.chunks)) {
      stop?.throwIfAborted();
      reader.push(chunk);
      await writer.drain(false);
      progress();
    }
    reader.end();
  } catch (error) {
    // What stands before the damage is good: it is kept, and the message says where it ends.
    arrival.end();
    await writer.drain(true);
    if (isAttestreamError(error, 'IMPORT_FORMAT') && writer.records > 0)
      throw new AttestreamError(
        'IMPORT_FORMAT',
        `${error.message} (after ${writer.records} records, which are imported)`,
        { path: file },
        { cause: error },
      );
    throw error;
  }
  arrival.end();
  await writer.drain(true);
  progress();
  if (writer.records === 0 && skipped === 0) {
    if (writer.rejected === 0) throw new AttestreamError('IMPORT_EMPTY', 'the file holds no row', { path: file });
    throw new AttestreamError(
      'IMPORT_FORMAT',
      `none of the ${writer.rejected} rows could be used as ${format}; the first flaw: ${writer.firstProblem}`,
      { path: file },
    );
  }
  return {
    records: writer.records,
    rejected: writer.rejected,
    skipped,
    hosts: writer.hosts,
    displaced: arrival.displaced,
  };
};

const ROW_PROBLEMS: ReadonlySet<string> = new Set([
  'IMPORT_ROW',
  'IMPORT_TIME',
  'IMPORT_VALUE',
  'IMPORT_ENCODING',
  'TIME_OUT_OF_RANGE',
]);

const readerOf = (format: ImportFormat, map: ImportMap | null, sink: RowSink): FormatReader => {
  if (format === 'ndjson') return ndjsonReader(sink);
  if (format === 'xes') return xesReader(sink);
  return csvReader(
    { delimiter: map?.delimiter ?? ',', columns: map?.columns ?? null, wanted: map === null ? [] : wantedColumns(map) },
    sink,
  );
};

const formatOf = (file: string, head: Buffer, map: ImportMap | null): ImportFormat => {
  if (/\.xes(\.gz)?$/i.test(file) || head.toString('latin1').trimStart().startsWith('<')) return 'xes';
  if (!/\.[ct]sv(\.gz)?$/i.test(file)) return 'ndjson';
  if (map !== null) return 'csv';
  throw new AttestreamError('USAGE', 'a CSV file needs a map that says what its columns mean: --map MAP.yaml', {
    path: file,
  });
};
