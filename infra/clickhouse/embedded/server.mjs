// The embedded ClickHouse: opens libchdb and serves HTTP until it is killed. Plain JavaScript, because it runs as a
// process of its own, uncompiled, from the sources as from dist. Secrets stand in the configuration files, never here.
// argv: DATA_FOLDER CONFIG_FILE PORT OWNER_PID LIBRARY
import { createRequire } from 'node:module';

const [data, config, port, owner, library] = process.argv.slice(2);
const { DataType, load, open } = createRequire(import.meta.url)('ffi-rs');

process.umask(0o077);

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
// The query below blocks this thread for good, so no handler of ours could notice that the owner died: the kernel does.
if (process.platform === 'linux') {
  open({ library: 'libc', path: '' });
  load({
    library: 'libc',
    funcName: 'prctl',
    retType: DataType.I32,
    paramsType: [DataType.I32, DataType.U64],
    paramsValue: [PR_SET_PDEATHSIG, SIGKILL],
  });
}
// The owner may have died before the signal was ordered.
if (process.ppid !== Number(owner)) process.exit(1);

open({ library: 'chdb', path: library });
const argv = [
  'clickhouse',
  '--path',
  data,
  `--http_port=${port}`,
  '--listen_host=127.0.0.1',
  `--config-file=${config}`,
  '--query',
  // The session that opened the port must never end: the server ends with it.
  'SYSTEM START LISTEN HTTP; SELECT sleepEachRow(1) FROM system.numbers SETTINGS max_block_size=1 FORMAT Null',
];
load({
  library: 'chdb',
  funcName: 'chdb_query_cmdline',
  retType: DataType.External,
  paramsType: [DataType.I32, DataType.StringArray],
  paramsValue: [argv.length, argv],
});
// The call returned: a busy port or folder, which the library itself counts as success.
process.exit(1);
