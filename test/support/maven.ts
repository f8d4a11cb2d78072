import { spawnSync } from 'node:child_process';
import { onPath } from '../../infra/kafka/jvm.js';

const install = (packages: readonly string[]): void => {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]): boolean =>
    spawnSync('apt-get', ['-q', '-y', ...args], { env, stdio: 'ignore', timeout: 240_000 }).status === 0;
  if (!apt('install', '--no-install-recommends', ...packages)) {
    apt('update');
    apt('install', '--no-install-recommends', ...packages);
  }
};

/** Java and Maven, installed if this is a Debian machine and we are root; otherwise the reason why they are missing. */
export const javaAndMaven = (): string | null => {
  const missing = (): string[] => ['java', 'mvn'].filter((command) => !onPath(command));
  if (missing().length === 0) return null;
  if (process.getuid?.() === 0 && onPath('apt-get'))
    install(missing().map((command) => (command === 'java' ? 'openjdk-17-jre-headless' : 'maven')));
  return missing().length === 0 ? null : `${missing().join(' and ')} not found`;
};
