import { accessSync, constants, existsSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { findEngine } from '../infra/clickhouse/embedded/engine.js';
import { tryLock } from '../infra/log/trace/flock.js';

/** `fail`: something that is needed is not there. `note`: a part of the product will do without, and says so. */
export interface Check {
  readonly check: string;
  readonly state: 'ok' | 'note' | 'fail';
  readonly detail: string;
  /** What to do; empty where nothing is to be done. */
  readonly advice: string;
}

const ok = (check: string, detail: string): Check => ({ check, state: 'ok', detail, advice: '' });

const MIN_NODE = 20;

const node = (): Check => {
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= MIN_NODE) return ok('node', process.versions.node);
  return { check: 'node', state: 'fail', detail: process.versions.node, advice: `install Node ${MIN_NODE} or newer` };
};

const platform = (): Check =>
  process.platform === 'linux'
    ? ok('platform', `linux ${process.arch}`)
    : {
        check: 'platform',
        state: 'note',
        detail: `${process.platform} ${process.arch}`,
        advice: 'looking at live processes and container start-up need Linux; replaying and querying do not',
      };

/** Reading another process's memory is decided by ptrace's rules, even though nothing is traced. */
const processAccess = (): Check => {
  const check = 'process memory';
  if (!existsSync('/proc/self/mem'))
    return { check, state: 'note', detail: 'there is no /proc', advice: 'mount proc to look at live processes' };
  let scope = '0';
  try {
    scope = readFileSync('/proc/sys/kernel/yama/ptrace_scope', 'utf8').trim();
  } catch {
    // Without Yama the plain rule holds: same user, or CAP_SYS_PTRACE.
  }
  if (process.getuid?.() === 0 || scope === '0') return ok(check, `yama ptrace_scope ${scope}`);
  return {
    check,
    state: 'note',
    detail: `yama ptrace_scope ${scope}`,
    advice:
      'run as root or with CAP_SYS_PTRACE, or set kernel.yama.ptrace_scope=0, to look at processes that are not children',
  };
};

/** f_type of file systems on which flock(2) does not lock between machines or not at all. */
const REMOTE: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x5346414f, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x01021997, '9p'],
]);

const existing = (folder: string): string => {
  let path = resolve(folder);
  while (!existsSync(path) && dirname(path) !== path) path = dirname(path);
  return path;
};

const MIN_FREE_BYTES = 512 * 1024 * 1024;

const folderChecks = async (folder: string): Promise<Check[]> => {
  const path = existing(folder);
  const { type, bavail, bsize } = statfsSync(path);
  const remote = REMOTE.get(type >>> 0);
  const free = bavail * bsize;
  const size = `${(free / 1024 ** 3).toFixed(1)} GiB free`;
  const checks: Check[] = [
    remote === undefined
      ? ok('folder', `${path}: a local file system`)
      : {
          check: 'folder',
          state: 'fail',
          detail: `${path} lies on ${remote}`,
          advice: 'logs and data need a local file system',
        },
    free >= MIN_FREE_BYTES
      ? ok('disk', size)
      : { check: 'disk', state: 'fail', detail: size, advice: 'make room: below 512 MB nothing is inserted any more' },
  ];
  try {
    accessSync(path, constants.W_OK);
  } catch {
    return [
      ...checks,
      { check: 'writing', state: 'fail', detail: path, advice: 'give this user the right to write here' },
    ];
  }
  return [...checks, await locking(join(path, `.attestream-doctor-${process.pid}`))];
};

const locking = async (file: string): Promise<Check> => {
  try {
    const lock = await tryLock(file);
    lock?.release();
    return lock === null
      ? { check: 'flock', state: 'fail', detail: 'a fresh file cannot be locked', advice: 'use a local file system' }
      : ok('flock', 'files can be locked');
  } catch (error) {
    return {
      check: 'flock',
      state: 'fail',
      detail: (error as Error).message,
      advice: 'koffi could not be loaded: reinstall the package on this platform',
    };
  } finally {
    rmSync(file, { force: true });
  }
};

const embedded = (): Check => {
  try {
    return ok('embedded ClickHouse', findEngine().version);
  } catch (error) {
    return {
      check: 'embedded ClickHouse',
      state: 'note',
      detail: (error as Error).message,
      advice: 'name a ClickHouse server with --clickhouse http://HOST:8123',
    };
  }
};

const program = (name: string, what: string): Check => {
  const found = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
  if (found !== undefined) return ok(name, found);
  return { check: name, state: 'note', detail: 'not on PATH', advice: what };
};

/** Everything that the product needs of this machine, each with what was found. */
export const checkMachine = async (folder: string): Promise<readonly Check[]> => [
  node(),
  platform(),
  processAccess(),
  ...(await folderChecks(folder)),
  embedded(),
  program('gcc', 'only the tests and the demo device need a C compiler'),
  program('java', 'only the tests against a real Kafka broker need Java 17'),
  program('mvn', 'only the tests fetch a Kafka broker with Maven'),
];
