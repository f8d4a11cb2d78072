import { AttestreamError } from '../../schemas/errors.js';
import type { Micros, Verdict } from '../../schemas/records.js';
import { verdictJson } from '../../schemas/verdict-json.js';
import type { Store } from './connect.js';

/** Which verdicts are wanted; what is absent does not restrict. */
export interface VerdictFilter {
  readonly state?: string;
  readonly kind?: string;
  readonly host?: string;
  /** Id, or a prefix that only one container has. */
  readonly container?: string;
  readonly process?: string;
  /** Of the verdict, hex, or a prefix of it. */
  readonly id?: string;
  /** Event time, inclusive. */
  readonly since?: Micros;
  /** The newest so many. */
  readonly limit?: number;
}

const hexOf = (id: string): string => {
  if (!/^[0-9a-fA-F]{1,64}$/.test(id))
    throw new AttestreamError('USAGE', `${JSON.stringify(id)} is no verdict id: up to 64 hex digits`);
  return id.toUpperCase();
};

const rowsOf = <Row>(store: Store, query: string, parameters: Record<string, unknown>): Promise<Row[]> =>
  store.attempt(async (client) =>
    (await client.query({ query, query_params: parameters, format: 'JSONEachRow' })).json<Row>(),
  );

/** The one container id that begins so. Throws USAGE if there are several; an id of its own if there is none. */
const containerId = async (store: Store, prefix: string): Promise<string> => {
  const found = await rowsOf<{ container: string }>(
    store,
    'SELECT DISTINCT container FROM verdicts WHERE startsWith(container, {prefix:String}) ORDER BY container LIMIT 3',
    { prefix },
  );
  const exact = found.find(({ container }) => container === prefix);
  if (exact === undefined && found.length > 1)
    throw new AttestreamError(
      'USAGE',
      `${JSON.stringify(prefix)} begins the ids of several containers: ${found.map(({ container }) => container.slice(0, 16)).join(', ')}…; give more digits`,
    );
  return (exact ?? found[0])?.container ?? prefix;
};

const WHERE: { readonly [K in Exclude<keyof VerdictFilter, 'limit'>]-?: string } = {
  state: 'state = {state:String}',
  kind: 'kind = {kind:String}',
  host: 'host = {host:String}',
  container: 'container = {container:String}',
  process: 'process = {process:String}',
  id: 'startsWith(hex(id), {id:String})',
  since: "at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')",
};

const COLUMNS = `hex(id) AS id_hex, if(isNull(replaces), NULL, hex(assumeNotNull(replaces))) AS replaces_hex, fold, kind, state, severity,
  host, container, process, slice, policy, machine, toUnixTimestamp64Micro(at) AS at_micros, message,
  trigger_stream, trigger_seq, trigger_tick, trigger_timer, trigger_ordinal,
  rests, assumes, bindings, believed, probability, numbers`;

type Plain = Omit<Verdict, 'id' | 'replaces' | 'at' | 'trigger'>;
interface Row extends Plain {
  readonly id_hex: string;
  readonly replaces_hex: string | null;
  readonly at_micros: number;
  readonly trigger_stream: string;
  readonly trigger_seq: number;
  readonly trigger_tick: number | null;
  readonly trigger_timer: number | null;
  readonly trigger_ordinal: number;
}

/** A row of `verdicts` as the record it was made from. */
const verdictOf = (row: Row): Verdict => ({
  ...row,
  id: Buffer.from(row.id_hex, 'hex'),
  replaces: row.replaces_hex === null ? null : Buffer.from(row.replaces_hex, 'hex'),
  at: row.at_micros,
  trigger: {
    stream: row.trigger_stream,
    seq: row.trigger_seq,
    tick: row.trigger_tick,
    timer: row.trigger_timer,
    ordinal: row.trigger_ordinal,
  },
});

/**
 * Verdicts as they were published, superseded ones included, by event time, in the JSON of `verdictJson`.
 * Streams: no more than a few blocks are held. Throws USAGE, CLICKHOUSE_UNREACHABLE, CLICKHOUSE_REFUSED.
 */
export async function* queryVerdicts(
  store: Store,
  filter: VerdictFilter = {},
): AsyncGenerator<Record<string, unknown>> {
  const { limit, ...rest } = filter;
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 0))
    throw new AttestreamError('USAGE', `a limit is a whole number, not ${limit}`);
  const parameters: Record<string, unknown> = { ...rest };
  if (filter.id !== undefined) parameters['id'] = hexOf(filter.id);
  if (filter.container !== undefined) parameters['container'] = await containerId(store, filter.container);
  const conditions = Object.entries(WHERE)
    .filter(([name]) => parameters[name] !== undefined)
    .map(([, condition]) => condition);
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const newest =
    limit === undefined
      ? `SELECT ${COLUMNS}, topic, partition, offset FROM verdicts ${where}`
      : `SELECT ${COLUMNS}, topic, partition, offset FROM verdicts ${where} ORDER BY at_micros DESC, topic DESC, partition DESC, offset DESC LIMIT ${limit}`;
  const rows = await store.attempt(async (client) =>
    client.query({
      query: `SELECT * FROM (${newest}) ORDER BY at_micros, topic, partition, offset`,
      query_params: parameters,
      format: 'JSONEachRow',
    }),
  );
  for await (const block of rows.stream<Row>()) for (const row of block) yield verdictJson(verdictOf(row.json()));
}
