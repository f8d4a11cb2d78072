/** Instruction sets of programs that are looked at. */
export type ArchitectureName = 'x86-64' | 'arm64';

/** That of this host: of live processes only those of its own kind are looked at. */
export const HERE: ArchitectureName = process.arch === 'arm64' ? 'arm64' : 'x86-64';
