// Keeps every version of every event schema that was ever committed, by its fingerprint. Run after changing an .avsc.
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { RECORD_NAMES, SchemaTable } = await import('../dist/schemas/codec.js');
const table = new SchemaTable();
for (const name of RECORD_NAMES) {
  const folder = `${root}schemas/events/versions/${name}`;
  const file = `${folder}/${table.at(table.current(name)).fingerprint.toString('hex')}.avsc`;
  if (existsSync(file)) continue;
  mkdirSync(folder, { recursive: true });
  copyFileSync(`${root}schemas/events/${name}.avsc`, file);
  console.error(`kept ${file}`);
}
