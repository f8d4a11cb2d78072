import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from '../../make-folder.js';

export const EMBEDDED_USER = 'attestream';
export const SECRET_HEADER = 'X-Attestream-Secret';

/** Bytes that the server may use: half of the machine, and 1 GiB at most (its own default is nine tenths of it). */
const memoryLimit = (): number => Math.min(1024 ** 3, Math.floor(totalmem() / 2));

const configXml = (secret: string, tmp: string): string => `<clickhouse>
  <users_config>users.xml</users_config>
  <tmp_path>${tmp}</tmp_path>
  <max_server_memory_usage>${memoryLimit()}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <http_handlers>
    <rule><url>/ping</url><methods>GET</methods><handler><type>ping</type></handler></rule>
    <rule><headers><${SECRET_HEADER}>${secret}</${SECRET_HEADER}></headers><handler><type>dynamic_query_handler</type><query_param_name>query</query_param_name></handler></rule>
  </http_handlers>
</clickhouse>
`;

/** The engine's own session is `default` without a password, so that user may do nothing but keep the server open. */
const usersXml = (passwordHash: string): string => `<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query><query>GRANT SELECT ON system.numbers</query></grants>
    </default>
    <${EMBEDDED_USER}>
      <password_sha256_hex>${passwordHash}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
    </${EMBEDDED_USER}>
  </users>
</clickhouse>
`;

const escapeXml = (text: string): string =>
  text.replace(/[&<>]/g, (c) => (c === '&' ? '&amp;' : c === '<' ? '&lt;' : '&gt;'));

/**
 * Writes the server's configuration, closed to everyone without the secret (hex) and the password.
 * @returns the configuration file
 */
export const writeConfiguration = (folder: string, secret: string, password: string): string => {
  const place = join(folder, 'config');
  makeFolder(place, 0o700);
  const file = join(place, 'config.xml');
  writeFileSync(file, configXml(secret, escapeXml(`${join(folder, 'tmp')}/`)), { mode: 0o600 });
  const hash = createHash('sha256').update(password).digest('hex');
  writeFileSync(join(place, 'users.xml'), usersXml(hash), { mode: 0o600 });
  return file;
};
