import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, onPath } from '../../infra/kafka/jvm.js';

const SYSTEM_LISTS = '/var/lib/apt/lists';

/** Settings under which apt knows of no installed package: it fetches each with all that it needs, and touches nothing of the system. */
const settings = (folder: string, lists: string): string =>
  [
    `Dir::State "${folder}/state";`,
    `Dir::State::status "${folder}/status";`,
    `Dir::State::lists "${lists}";`,
    `Dir::Cache "${folder}/cache";`,
    'APT::Install-Recommends "false";',
    'APT::Sandbox::User "root";',
    'Debug::NoLocking "true";',
    '',
  ].join('\n');

const apt = (folder: string, lists: string, ...args: string[]): boolean => {
  writeFileSync(join(folder, 'apt.conf'), settings(folder, lists));
  return (
    spawnSync('apt-get', ['-q', '-y', ...args], {
      env: { ...process.env, APT_CONFIG: join(folder, 'apt.conf') },
      stdio: 'ignore',
      timeout: 240_000,
    }).status === 0
  );
};

const download = (folder: string, packages: readonly string[]): boolean => {
  const fetch = (lists: string): boolean => apt(folder, lists, '--download-only', 'install', ...packages);
  if (existsSync(SYSTEM_LISTS) && fetch(SYSTEM_LISTS)) return true;
  // The system's lists are missing, or older than the archive.
  const lists = join(folder, 'lists');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  return apt(folder, lists, 'update') && fetch(lists);
};

/** Accounts that daemons want to become. */
const ACCOUNTS = 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nmosquitto:x:100:65534::/:/bin/false\n';

const build = (work: string, packages: readonly string[]): boolean => {
  for (const folder of ['state', 'cache/archives/partial']) mkdirSync(join(work, folder), { recursive: true });
  writeFileSync(join(work, 'status'), '');
  if (!download(work, packages)) return false;
  const root = join(work, 'root');
  mkdirSync(root);
  const archives = join(work, 'cache/archives');
  for (const file of readdirSync(archives).filter((name) => name.endsWith('.deb')))
    execFileSync('dpkg-deb', ['-x', join(archives, file), root], { stdio: 'ignore' });
  for (const folder of ['etc', 'tmp', 'dev', 'proc', 'run']) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'etc/passwd'), ACCOUNTS);
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
  writeFileSync(join(root, 'dev/null'), '');
  return true;
};

/**
 * A folder with the files of Debian packages and of all that they depend on, for programs to run in with chroot. Nothing is
 * installed, no script of a package is run; what was fetched once is kept in the cache of tests,
 * one folder for each list of packages. A text says why there is none.
 */
export const debianRoot = (name: string, packages: readonly string[]): { readonly root: string } | string => {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the programs are for Linux on x86-64';
  if (process.getuid?.() !== 0) return 'chroot needs root';
  if (!onPath('apt-get') || !onPath('dpkg-deb')) return 'apt-get and dpkg-deb are missing: this is not Debian';
  const list = createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 8);
  const folder = cacheFolder('debian', `${name}-${list}`);
  const root = join(folder, 'root');
  if (existsSync(root)) return { root };
  mkdirSync(cacheFolder('debian'), { recursive: true });
  const work = mkdtempSync(join(cacheFolder('debian'), 'fetch-'));
  try {
    if (!build(work, packages)) return `${packages.join(', ')} cannot be fetched`;
    mkdirSync(folder, { recursive: true });
    if (!existsSync(root)) renameSync(join(work, 'root'), root);
    return { root };
  } catch (error) {
    return `${packages.join(', ')}: ${String(error)}`;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};
