import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import avro from 'avsc';
import { RECORD_NAMES, SCHEMAS, SchemaTable } from '../../../schemas/codec.js';
import type { RecordName } from '../../../schemas/records.js';
import { isSignedName } from '../../../schemas/signed.js';
import { TOPICS } from '../../../schemas/topics.js';

const folder = new URL('../../../schemas/events/versions/', import.meta.url);
const versions = (name: string): { file: string; json: string }[] =>
  readdirSync(new URL(`${name}/`, folder)).map((file) => ({
    file,
    json: readFileSync(new URL(`${name}/${file}`, folder), 'utf8'),
  }));

const parse = (json: string): avro.Type => avro.Type.forSchema(JSON.parse(json), { wrapUnions: 'never' });

describe.each(RECORD_NAMES)('%s', (name: RecordName) => {
  test('its current version is kept under its fingerprint (run scripts/keep-schemas.mjs after a change)', () => {
    const table = new SchemaTable();
    const { fingerprint } = table.at(table.current(name));
    expect(versions(name).map(({ file }) => file)).toContain(`${fingerprint.toString('hex')}.avsc`);
  });

  test('every kept version reads what every other wrote', () => {
    const kept = versions(name);
    for (const writer of kept)
      for (const reader of kept) {
        const [from, to] = [parse(writer.json), parse(reader.json)];
        const resolver = to.createResolver(from);
        for (let i = 0; i < 20; i++)
          expect(to.isValid(to.fromBuffer(from.toBuffer(from.random()), resolver))).toBe(true);
      }
  });

  test('every kept version is read by the codec as the current record', () => {
    for (const { json } of versions(name)) {
      const table = new SchemaTable();
      const schema = table.at(table.add(json));
      expect(schema.record).toBe(name);
      const type = parse(json);
      expect(() => schema.decode(type.toBuffer(type.random()))).not.toThrow();
    }
  });

  test('an enum has a default, and a union is [null, T] with default null', () => {
    const walk = (node: unknown): void => {
      if (Array.isArray(node)) for (const one of node) walk(one);
      if (node === null || typeof node !== 'object') return;
      const { type, default: fallback, symbols, fields, items, values } = node as Record<string, unknown>;
      if (type === 'enum') expect(symbols).toContain(fallback);
      if (Array.isArray(type)) {
        expect([type.length, type[0], fallback]).toEqual([2, 'null', null]);
        walk(type[1]);
      } else walk(type);
      for (const inside of [fields, items, values]) walk(inside);
    };
    walk(JSON.parse(SCHEMAS[name]));
  });
});

test('every record of a topic that hosts write begins with stream and seq, so that identity is read without decoding', () => {
  for (const { records, name } of TOPICS)
    if (name === 'memory' || name === 'measurements')
      for (const record of records) {
        if (isSignedName(record)) continue;
        const { fields } = JSON.parse(SCHEMAS[record as RecordName]) as { fields: { name: string }[] };
        expect(fields.slice(0, 2).map((field) => field.name)).toEqual(['stream', 'seq']);
      }
});

test('a foreign schema that could spin a decoder is refused', () => {
  const table = new SchemaTable();
  for (const json of [
    '{"type":"array","items":"null"}',
    '{"type":"record","name":"a","fields":[{"name":"b","type":{"type":"array","items":{"type":"record","name":"c","fields":[]}}}]}',
    '{"type":"array","items":{"type":"fixed","name":"z","size":0}}',
    'nonsense',
    `"${'x'.repeat(300_000)}"`,
  ])
    expect(() => table.add(json)).toThrow(expect.objectContaining({ code: 'SCHEMA_INVALID' }));
});
