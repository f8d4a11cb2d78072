import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createContext, Script } from 'node:vm';
// Its entry point imports WebAssembly as a module, which Node does not do yet: the glue and the code are joined by hand.
import * as glue from 'gecko-profiler-demangle/index_bg.js';
import { isPlainMangling } from './plain-mangling.js';

const MANGLED = /^_{1,2}[ZR]/;
/** Compilers make longer names, but what they say no longer helps anybody. */
const MAX_LENGTH = 1024;
const MAX_KNOWN = 4096;
/** What a name that is not plain may take, and how much of the time all of them together. */
const PATIENCE_MS = 50;
const CPU_MS = 100;
const TURNS = 16;
const SHARE = 50;

const known = new Map<string, string>();
let code: WebAssembly.Module | undefined;
/** Of the instance in use; null if there is none that can be trusted. */
let memory: { grow(pages: number): void } | null = null;
let abandoned: { grow(pages: number): void } | null = null;
let resumeAt = 0;

const load = (): void => {
  code ??= new WebAssembly.Module(
    readFileSync(createRequire(import.meta.url).resolve('gecko-profiler-demangle/index_bg.wasm')),
  );
  const { exports } = new WebAssembly.Instance(code, { './index_bg.js': { ...glue } });
  glue.__wbg_set_wasm(exports);
  (exports['__wbindgen_start'] as () => void)();
  // The glue keeps a view of the memory until that has grown: it would go on reading the one before.
  abandoned?.grow(1);
  abandoned = null;
  memory = exports['memory'] as { grow(pages: number): void };
};

/** What was interrupted or ran out of stack is in an unknown state: the next name gets a new one. */
const renew = (): void => {
  abandoned ??= memory;
  memory = null;
};

const call = (name: string): string => {
  if (memory === null) load();
  return glue.demangle_any(name);
};

const bounded = { name: '', plain: '', run: (): void => {} };
bounded.run = (): void => {
  bounded.plain = call(bounded.name);
};
const context = createContext({ run: () => bounded.run() });
const script = new Script('run()');

const cpuMillis = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/**
 * The library has no bound of its own, and can be made to backtrack for ever. On a busy machine patience runs out although it
 * has hardly run: then it gets another turn.
 */
const withinPatience = (name: string): string => {
  if (memory === null) load();
  const began = performance.now();
  const used = cpuMillis();
  bounded.name = name;
  for (let turn = 0; ; turn++)
    try {
      script.runInContext(context, { timeout: PATIENCE_MS });
      return bounded.plain;
    } catch (error) {
      renew();
      if (turn < TURNS && cpuMillis() - used < CPU_MS) continue;
      resumeAt = performance.now() + SHARE * (performance.now() - began);
      throw error;
    }
};

/** A C++ (Itanium ABI) or Rust (legacy and v0) name as its source has it; any other name as it is. Never throws. */
export const demangle = (name: string): string => {
  if (!MANGLED.test(name) || name.length > MAX_LENGTH) return name;
  const before = known.get(name);
  if (before !== undefined) return before;
  const simple = isPlainMangling(name);
  // Only names that could be made for it are held up by those that were.
  if (!simple && performance.now() < resumeAt) return name;
  let plain = name;
  try {
    plain = simple ? call(name) : withinPatience(name);
  } catch {
    renew();
  }
  // What it cannot read it gives back without the underscore that some systems put in front.
  if (plain === '' || plain.length > 4 * MAX_LENGTH || name.endsWith(plain)) plain = name;
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(name, plain);
  return plain;
};
