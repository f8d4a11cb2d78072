import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const programs = fileURLToPath(new URL('programs', import.meta.url));

/** A program and how it is built. */
export interface Build {
  readonly name: string;
  readonly compiler: string;
  readonly source: string;
  readonly flags: readonly string[];
  /** Its debug information goes into a file of its own. */
  readonly strip?: boolean;
  /** Split debug information is put into one package, and the single files go. */
  readonly pack?: 'dwp' | 'llvm-dwp';
  /** What it shares with another program goes into a third file. */
  readonly share?: boolean;
}

const build = (compiler: string, source: string, flags: string, more: Partial<Build> = {}): Build => ({
  name: [
    compiler,
    flags,
    more.strip === true ? 'stripped+debuglink' : '',
    more.pack ?? '',
    more.share === true ? 'dwz' : '',
  ]
    .filter((part) => part !== '')
    .join(' '),
  compiler,
  source,
  flags: flags.split(' '),
  ...more,
});

/** Each option meets each compiler and level in some build, without trying all combinations. */
export const BUILDS: readonly Build[] = [
  build('gcc', 'waits.c', '-O0'),
  build('gcc', 'waits.c', '-O1 -gdwarf-4 -no-pie'),
  build('gcc', 'waits.c', '-O2'),
  build('gcc', 'waits.c', '-O3 -gdwarf-4 -static'),
  build('gcc', 'waits.c', '-O2 -no-pie -fno-omit-frame-pointer', { strip: true }),
  build('gcc', 'waits.c', '-O0 -gdwarf-4 -fomit-frame-pointer -static'),
  build('gcc', 'waits.c', '-O2 -flto'),
  build('gcc', 'waits.c', '-Og -gz -fdebug-types-section'),
  build('clang', 'waits.c', '-O0 -gdwarf-5'),
  build('clang', 'waits.c', '-O1 -gdwarf-5 -static'),
  build('clang', 'waits.c', '-O2 -gdwarf-4'),
  build('clang', 'waits.c', '-O3 -gdwarf-5 -no-pie', { strip: true }),
  build('clang', 'waits.c', '-O0 -gdwarf-4 -fomit-frame-pointer'),
  build('musl-gcc', 'waits.c', '-O0 -static'),
  build('musl-gcc', 'waits.c', '-O2 -static'),
  build('gcc', 'waits.c', '-O2 -gsplit-dwarf'),
  build('gcc', 'waits.c', '-O1 -gdwarf-4 -gsplit-dwarf'),
  build('gcc', 'waits.c', '-O2 -gdwarf-4 -gsplit-dwarf', { pack: 'dwp' }),
  build('gcc', 'waits.c', '-O2 -gdwarf-5', { share: true }),
  build('gcc', 'waits.c', '-O2 -gdwarf-5 -gdwarf64'),
  build('g++', 'blocks.cc', '-O0'),
  build('g++', 'blocks.cc', '-O1 -gdwarf-4'),
  build('g++', 'blocks.cc', '-O2'),
  build('g++', 'blocks.cc', '-O3 -static'),
  build('clang++', 'blocks.cc', '-O0 -gdwarf-4'),
  build('clang++', 'blocks.cc', '-O2 -gdwarf-5'),
  build('rustc', 'blocks.rs', '-Copt-level=0'),
  build('rustc', 'blocks.rs', '-Copt-level=2'),
];

const COMPILERS: Readonly<Record<string, string>> = {
  rustc: existsSync(join(homedir(), '.cargo/bin/rustc')) ? join(homedir(), '.cargo/bin/rustc') : 'rustc',
};

/** Why a build is not possible here; '' if it is. */
export const toolMissing = ({ compiler, pack, share }: Build): string => {
  const tools = [
    COMPILERS[compiler] ?? compiler,
    ...(pack === undefined ? [] : [pack]),
    ...(share === true ? ['dwz'] : []),
  ];
  for (const tool of tools)
    try {
      execFileSync(tool, ['--version'], { stdio: 'ignore' });
    } catch {
      return `${tool} is not installed`;
    }
  return '';
};

/** Compiles; gives the program's path. */
export const compile = async (
  { compiler, source, flags, strip, pack, share, name }: Build,
  folder: string,
): Promise<string> => {
  const program = join(folder, name.replace(/[^\w.+=-]+/g, '_'));
  const debug = flags.some((flag) => flag.startsWith('-gdwarf')) ? [] : ['-g'];
  const threads = compiler === 'rustc' ? [] : ['-pthread'];
  await run(COMPILERS[compiler] ?? compiler, [...debug, ...flags, '-o', program, join(programs, source), ...threads], {
    cwd: folder,
  });
  if (strip === true) {
    await run('objcopy', ['--only-keep-debug', program, `${program}.debug`]);
    await run('objcopy', ['--strip-all', `--add-gnu-debuglink=${program}.debug`, program]);
  }
  if (pack !== undefined) {
    await run(pack, ['-e', program, '-o', `${program}.dwp`], { cwd: folder });
    for (const file of readdirSync(folder))
      if (file.startsWith(basename(program)) && file.endsWith('.dwo')) rmSync(join(folder, file));
  }
  if (share === true) {
    copyFileSync(program, `${program}-twin`);
    await run('dwz', ['-m', `${program}.common`, program, `${program}-twin`]);
  }
  return program;
};
