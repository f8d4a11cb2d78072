import { isAttestreamError } from '../../../schemas/errors.js';
import { type GlobalVariable, globalVariables, readGlobal } from '../dwarf/globals.js';
import type { DecodedParameter } from '../dwarf/values.js';
import type { Module } from '../locate/module.js';
import type { ProcessImage } from '../locate/process-image.js';
import { architectureOf } from '../unwind/architectures.js';
import type { ReadMemory } from './walker.js';

type Reader = (memory: ReadMemory) => DecodedParameter;

const SIZES: ReadonlySet<number> = new Set([1, 2, 4, 8]);

/** Globals and statics by name, found once for each program, read at each look. */
export class WatchedGlobals {
  readonly #names: readonly string[];
  #readers: readonly Reader[] | null = null;

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** Another program runs, or more files are mapped. */
  forget(): void {
    this.#readers = null;
  }

  /** Their values by now, in the order of the names. */
  read(image: ProcessImage, binary: string, memory: ReadMemory): readonly DecodedParameter[] {
    if (this.#names.length === 0) return [];
    this.#readers ??= this.#find(image, binary);
    return this.#readers.map((reader) => reader(memory));
  }

  /** In the program itself first; in its libraries only what it does not have. */
  #find(image: ProcessImage, binary: string): readonly Reader[] {
    const found = new Map<string, Reader>();
    const mappings = image.mappings.filter(({ executable, path }) => executable && path !== '');
    mappings.sort((a, b) => Number(b.path === binary) - Number(a.path === binary));
    const met = new Set<Module>();
    for (const mapping of mappings) {
      const left = this.#names.filter((name) => !found.has(name));
      if (left.length === 0) break;
      const place = image.place(mapping.start);
      if (place === null || met.has(place.module)) continue;
      met.add(place.module);
      const bias = mapping.start - place.vaddr;
      for (const [name, reader] of readersIn(place.module, bias, left)) found.set(name, reader);
    }
    return this.#names.map((name) => found.get(name) ?? (() => absent(name, 'no variable has this name')));
  }
}

const absent = (name: string, why: string): DecodedParameter => ({
  name,
  type: '',
  kind: 'other',
  value: null,
  valueKind: 'current',
  number: null,
  location: '',
  unavailable: why,
});

const described = (module: Module, names: readonly string[]): ReadonlyMap<string, GlobalVariable> => {
  try {
    return module.info === null ? new Map() : globalVariables(module.info, names);
  } catch (error) {
    if (isAttestreamError(error)) return new Map();
    throw error;
  }
};

const readersIn = (module: Module, bias: number, names: readonly string[]): [string, Reader][] => {
  const machine = architectureOf(module.elf.machine)?.name ?? 'x86-64';
  const variables = described(module, names);
  return names.flatMap((name): [string, Reader][] => {
    const variable = variables.get(name);
    if (variable !== undefined) return [[name, (memory) => readGlobal(variable, bias, memory, machine)]];
    // Without debug information a symbol tells where and how long: of a plain number's size, it is shown as one.
    const symbol = module.symbols.object(name);
    return symbol === null ? [] : [[name, (memory) => numberAt(name, symbol.start + bias, symbol.size, memory)]];
  });
};

const numberAt = (name: string, address: number, size: number, memory: ReadMemory): DecodedParameter => {
  if (!SIZES.has(size)) return absent(name, `${size} bytes, and no debug information says what they are`);
  const bytes = memory(address, size);
  if (bytes.length < size) return absent(name, 'outside of the memory that can be read');
  const wide = size === 8 ? bytes.readBigUInt64LE(0) : BigInt(bytes.readUIntLE(0, size));
  const value = wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : wide;
  return {
    name,
    type: `${size} bytes`,
    kind: 'uint',
    value,
    valueKind: 'current',
    number: null,
    location: 'symbol',
    unavailable: '',
  };
};
