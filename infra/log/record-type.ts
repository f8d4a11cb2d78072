import type { SchemaTable } from '../../schemas/codec.js';
import type { Entry, Header } from './event-log.js';

/** Name of the header that tells a record's type to tools that know no schema. */
export const TYPE_HEADER = 'type';

/** The entry's headers, with `type` put in front where its schema is known and the header is absent. */
export const headersOf = (entry: Entry, schemas: SchemaTable): readonly Header[] => {
  const own = entry.headers ?? [];
  if (entry.schema < 0) return own;
  for (const header of own) if (header.key === TYPE_HEADER) return own;
  const { record, name } = schemas.at(entry.schema);
  return [{ key: TYPE_HEADER, value: Buffer.from(record ?? name, 'utf8') }, ...own];
};
