import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry';
import type { SchemaTable } from '../../../schemas/codec.js';
import { AttestreamError, isAttestreamError } from '../../../schemas/errors.js';

/** An id that the registry does not know is asked for again after this long: registries replicate late. */
const UNKNOWN_FOR = 60_000;
/** Vain questions per UNKNOWN_FOR; beyond, an unknown id is taken as such. Made-up ids must not become a flood of requests. */
const VAIN_QUESTIONS = 200;
const TIMEOUT = 5_000;
const PATIENCE = 30_000;
const MAX_ANSWER_BYTES = 1024 * 1024;

/** A registry's ids for our writer schemas, and the writer schemas of its ids. Confluent API, subjects named TOPIC-RECORD. */
export class Registry {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #client: SchemaRegistry;
  readonly #indexes = new Map<number, number>();
  readonly #unknown = new Map<number, number>();
  readonly #ids = new Map<string, Promise<number>>();
  #vain = { since: 0, count: 0 };

  /** `url` may hold USER:PASSWORD@. */
  constructor(
    url: string,
    readonly schemas: SchemaTable,
  ) {
    let parsed: URL;
    try {
      parsed = new URL(url);
    } catch {
      throw new AttestreamError('USAGE', `--registry ${url} is not a URL; it looks like http://HOST:8081`);
    }
    const [username, password] = [decodeURIComponent(parsed.username), decodeURIComponent(parsed.password)];
    parsed.username = '';
    parsed.password = '';
    this.#url = parsed.href.replace(/\/+$/, '');
    const basic = Buffer.from(`${username}:${password}`).toString('base64');
    this.#headers = {
      accept: 'application/vnd.schemaregistry.v1+json, application/json',
      ...(username === '' ? {} : { authorization: `Basic ${basic}` }),
    };
    this.#client = new SchemaRegistry({
      host: this.#url,
      retry: { retries: 3, initialRetryTimeInSecs: 0.1, maxRetryTimeInSecs: 1 },
      ...(username === '' ? {} : { auth: { username, password } }),
    });
  }

  /** Throws REGISTRY_UNREACHABLE or REGISTRY_REFUSED. */
  async check(): Promise<void> {
    const { status } = await this.#get('/config', 0);
    if (status >= 400)
      throw new AttestreamError(
        'REGISTRY_REFUSED',
        `${this.#url}/config answered ${status}: is this the Confluent API?`,
      );
  }

  /**
   * Id under which a schema of the table is registered for a topic (registered now if it is not yet), with compatibility
   * FULL_TRANSITIVE. Throws REGISTRY_REFUSED or REGISTRY_UNREACHABLE.
   */
  async id(topic: string, index: number): Promise<number> {
    const key = `${topic} ${index}`;
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = this.#register(topic, index);
      this.#ids.set(key, id);
      id.catch(() => this.#ids.delete(key));
    }
    return await id;
  }

  async #register(topic: string, index: number): Promise<number> {
    const { json, name } = this.schemas.at(index);
    const subject = `${topic}-${name}`;
    try {
      const { id } = await this.#client.register(
        { type: SchemaType.AVRO, schema: json },
        { subject, compatibility: COMPATIBILITY.FULL_TRANSITIVE },
      );
      this.#indexes.set(id, index);
      return id;
    } catch (cause) {
      const { message, status } = cause as Error & { status?: number };
      const refused = typeof status === 'number' && status >= 400 && status < 500;
      const code = refused || /ompatib/.test(message) ? 'REGISTRY_REFUSED' : 'REGISTRY_UNREACHABLE';
      throw new AttestreamError(code, `registering ${subject} at ${this.#url}: ${message}`, {}, { cause });
    }
  }

  /** Index of the schema with this id; -1 if it is not known (any more, not yet). */
  index(id: number): number {
    return this.#indexes.get(id) ?? -1;
  }

  /** Fetches the schemas of those ids that were not asked for before. Throws REGISTRY_UNREACHABLE if the registry stays silent. */
  async load(ids: Int32Array): Promise<void> {
    const missing = new Set<number>();
    let last = -1;
    for (const id of ids) {
      if (id === last) continue;
      last = id;
      if (id >= 0 && !this.#indexes.has(id)) missing.add(id);
    }
    for (const id of missing) await this.#fetch(id);
  }

  async #fetch(id: number): Promise<void> {
    const now = performance.now();
    if ((this.#unknown.get(id) ?? 0) > now) return;
    if (now - this.#vain.since > UNKNOWN_FOR) {
      this.#vain = { since: now, count: 0 };
      this.#unknown.clear();
    }
    if (this.#vain.count >= VAIN_QUESTIONS) return;
    const { status, body } = await this.#get(`/schemas/ids/${id}`, PATIENCE);
    if (status === 200) {
      try {
        const { schema, schemaType = 'AVRO' } = JSON.parse(body) as { schema?: unknown; schemaType?: unknown };
        if (schemaType === 'AVRO' && typeof schema === 'string') {
          this.#indexes.set(id, this.schemas.add(schema));
          return;
        }
      } catch (error) {
        // A schema that cannot be used is as good as unknown: its records are kept as dead letters.
        if (!(error instanceof SyntaxError) && !isAttestreamError(error, 'SCHEMA_INVALID')) throw error;
      }
    }
    this.#vain.count++;
    this.#unknown.set(id, now + UNKNOWN_FOR);
  }

  /** Asks again until `patience` ms are over, as long as no answer comes or the registry says that it is the one to blame. */
  async #get(path: string, patience: number): Promise<{ status: number; body: string }> {
    const start = performance.now();
    for (let wait = 100; ; wait = Math.min(wait * 2, 2000)) {
      let reason: string;
      try {
        const signal = AbortSignal.timeout(TIMEOUT);
        const response = await fetch(this.#url + path, { headers: this.#headers, signal });
        const body = await bounded(response);
        if (response.status < 500) return { status: response.status, body };
        reason = `it answered ${response.status}`;
      } catch (error) {
        const { message, cause } = error as Error;
        reason = cause instanceof Error ? cause.message || message : message;
      }
      if (performance.now() - start + wait > patience)
        throw new AttestreamError(
          'REGISTRY_UNREACHABLE',
          `the schema registry at ${this.#url} cannot be asked: ${reason}`,
        );
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

const bounded = async (response: Response): Promise<string> => {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`an answer of more than ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
};
