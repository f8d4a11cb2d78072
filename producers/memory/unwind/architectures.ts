import { EM_AARCH64, EM_X86_64 } from '../elf/elf.js';
import type { Architecture } from './architecture.js';
import { ARM64 } from './arm64.js';
import { X86_64 } from './x86-64.js';

/** The instruction set of an ELF file; null for those that are not unwound. */
export const architectureOf = (machine: number): Architecture | null =>
  machine === EM_X86_64 ? X86_64 : machine === EM_AARCH64 ? ARM64 : null;
