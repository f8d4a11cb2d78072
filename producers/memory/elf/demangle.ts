import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
// Its entry point imports WebAssembly as a module, which Node does not do yet: the glue and the code are joined by hand.
import * as glue from 'gecko-profiler-demangle/index_bg.js';

const MANGLED = /^_{1,2}[ZR]/;
/** Compilers make longer names, but what they say no longer helps anybody. */
const MAX_LENGTH = 1024;
const MAX_KNOWN = 16_384;

const known = new Map<string, string>();
let code: WebAssembly.Module | undefined;
let loaded = false;

const load = (): void => {
  code ??= new WebAssembly.Module(
    readFileSync(createRequire(import.meta.url).resolve('gecko-profiler-demangle/index_bg.wasm')),
  );
  const { exports } = new WebAssembly.Instance(code, { './index_bg.js': { ...glue } });
  glue.__wbg_set_wasm(exports);
  (exports['__wbindgen_start'] as () => void)();
  loaded = true;
};

/** A C++ (Itanium ABI) or Rust (legacy and v0) name as its source has it; any other name as it is. Never throws. */
export const demangle = (name: string): string => {
  if (!MANGLED.test(name) || name.length > MAX_LENGTH) return name;
  const before = known.get(name);
  if (before !== undefined) return before;
  let plain = name;
  try {
    if (!loaded) load();
    plain = glue.demangle_any(name);
  } catch {
    // A name made to exhaust it leaves it in an unknown state: the next one gets a new one.
    loaded = false;
  }
  // What it cannot read it gives back without the underscore that some systems put in front.
  if (plain === '' || plain.length > 4 * MAX_LENGTH || name.endsWith(plain)) plain = name;
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(name, plain);
  return plain;
};
