import { bytesAt, type Elf } from '../elf/elf.js';
import { dynamicEntries, nameOffsets, symbolValue } from '../elf/symbol-sections.js';

/** Code that the processor runs as a compiler made it. */
export const NATIVE = 'native';

const has = (elf: Elf, section: string): boolean => elf.sections.some(({ name }) => name === section);
const exports = (elf: Elf, name: string): boolean => nameOffsets(dynamicEntries(elf).names, name).size > 0;

/** `3.11` of 0x030b07f0, which `Py_Version` holds from 3.11 on; before, the file's name tells. */
const pythonVersion = (elf: Elf, path: string): string => {
  const at = symbolValue(dynamicEntries(elf), 'Py_Version');
  const bytes = at === null ? Buffer.alloc(0) : bytesAt(elf, at, 4);
  if (bytes.length === 4 && bytes[3]! > 0) return `${bytes[3]}.${bytes[2]}`;
  return /python(\d\.\d{1,2})[^/]*$/.exec(path)?.[1] ?? '';
};

const GO_MAGIC = Buffer.from('\xff Go buildinf:', 'latin1');
const GO_SEARCH = 1024 * 1024;

/** Release that a Go program was built with, from `.go.buildinfo` or, without section headers, where the linker puts it; null if it is none. */
const goVersion = (elf: Elf): string | null => {
  const section = elf.sections.find(({ name }) => name === '.go.buildinfo');
  const starts =
    section === undefined
      ? elf.loads
          .filter((load) => load.writable)
          .slice(0, 4)
          .map(({ vaddr }) => vaddr)
      : [section.vaddr];
  for (const start of starts) {
    const bytes = bytesAt(elf, start, section === undefined && elf.sections.length === 0 ? GO_SEARCH : 64);
    const at = bytes.indexOf(GO_MAGIC);
    if (at < 0) continue;
    // Flag 2: the texts follow, each behind its length; before Go 1.18 there were pointers.
    const text = bytesAt(elf, start + at + 32, 64);
    const told = ((bytes[at + 15] ?? 0) & 2) !== 0 ? text.toString('latin1', 1, 1 + (text[0] ?? 0)) : '';
    return /^go(\d+\.\d+)/.exec(told)?.[1] ?? '';
  }
  return null;
};

const named = (runtime: string, version: string): string => (version === '' ? runtime : `${runtime} ${version}`);

/** `3.1.2` of `ruby_version`, cut to release; '' where it is not told. */
const rubyVersion = (elf: Elf): string => {
  const at = symbolValue(dynamicEntries(elf), 'ruby_version');
  return at === null ? '' : (/^\d+\.\d+/.exec(bytesAt(elf, at, 16).toString('latin1'))?.[0] ?? '');
};

/** By what each of them exports for its extensions. */
const INTERPRETERS: readonly (readonly [
  symbol: string,
  runtime: string,
  version: (elf: Elf, path: string) => string,
])[] = [
  ['ruby_version', 'ruby', rubyVersion],
  ['Perl_runops_standard', 'perl', (_, path) => /perl\D*(\d\.\d{1,2})[^/]*$/.exec(path)?.[1] ?? ''],
  ['zend_execute_ex', 'php', (_, path) => /php(\d\.\d{1,2})[^/]*$/.exec(path)?.[1] ?? ''],
  ['enif_make_atom', 'erlang', () => ''],
];

/** What a mapped file brings along to run programs that are not native, with its release where it tells; null if nothing. */
export const runtimeOf = (elf: Elf, path: string): string | null => {
  if (has(elf, '.PyRuntime') || exports(elf, '_PyRuntime')) return named('python', pythonVersion(elf, path));
  if (exports(elf, 'gHotSpotVMStructs')) return 'java';
  if (exports(elf, 'node_module_register') || exports(elf, 'node_api_create_syntax_error')) return 'node';
  for (const [symbol, runtime, version] of INTERPRETERS)
    if (exports(elf, symbol)) return named(runtime, version(elf, path));
  const go = goVersion(elf);
  return go === null ? null : named('go', go);
};

/**
 * Whether what a program executes lies on its threads' stacks. Functions of Go that wait lie on none: whichever thread comes goes on
 * with them later.
 */
export const onThreads = (runtime: string): boolean => !/^go\b/.test(runtime);

/** Libraries that hold a runtime, by the name of their file: opening every other one to see would cost more than it tells. */
export const mayHoldRuntime = (path: string): boolean =>
  /\/lib(?:python\d|jvm\.so|node\.so|ruby-|perl\.so|php\d?\.)[^/]*$/.test(path);
