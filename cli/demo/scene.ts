import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A run of the device, and what it must be judged. */
export interface Scene {
  readonly name: string;
  readonly says: string;
  readonly arguments: readonly string[];
  readonly violates: boolean;
}

export const SCENES: readonly Scene[] = [
  { name: 'healthy', says: 'the control loop as it is meant', arguments: ['--cycles', '12'], violates: false },
  {
    name: 'skip',
    says: 'an attack diverts its control flow: the valve moves without a decision',
    arguments: ['--cycles', '8', '--attack', 'skip', '--attack-at', '4'],
    violates: true,
  },
  {
    name: 'level',
    says: 'an attack calls the actuator with a level that the guard forbids',
    arguments: ['--cycles', '8', '--attack', 'level', '--attack-at', '4'],
    violates: true,
  },
];

/** `examples/…` of the package: beside the sources, or one folder above the built files. */
export const example = (path: string): string =>
  [`../../examples/${path}`, `../../../examples/${path}`]
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find((file) => existsSync(file)) ?? path;
