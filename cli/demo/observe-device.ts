import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { EventLog } from '../../infra/log/event-log.js';
import type { Policy } from '../../schemas/policy/policy.js';
import type { Look, Parameter } from '../../schemas/records.js';
import { example, SCENES, type Scene } from './scene.js';

/** Path of a C compiler that works, or null. */
export const findCompiler = (): string | null =>
  ['cc', 'gcc', 'clang'].find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0) ?? null;

/** Builds the device; its debug information tells where arguments are. Null if the compiler cannot. */
export const buildDevice = (compiler: string, folder: string): string | null => {
  const device = join(folder, 'device');
  const built = spawnSync(
    compiler,
    ['-O0', '-g', '-fno-omit-frame-pointer', '-o', device, example('device/device.c'), '-lm'],
    { encoding: 'utf8' },
  );
  return built.status === 0 ? device : null;
};

/** Looks that are shown of each scene: the first that see a call that no look saw before. The attacks repeat what was healthy, but for the attack. */
const SHOWN = 4;

/** Runs the device once per scene and records it from outside, from its first instruction to its end. Process → scene's name. */
export const observeDevice = async (
  device: string,
  policy: Policy,
  log: EventLog,
  stop: AbortSignal,
  tell: (line: string) => void,
  scenes: readonly Scene[] = SCENES,
): Promise<ReadonlyMap<string, string>> => {
  // Loaded only now: it needs foreign functions, which not every platform has.
  const { recordCommand } = await import('../../producers/memory/record/record.js');
  const processes = new Map<string, string>();
  const seen = new Set<string>();
  for (const scene of scenes) {
    tell(`  ${scene.name}: ${scene.says}`);
    let shown = 0;
    const show = (look: Pick<Look, 'threads'>): void => {
      const text = stackText(look, policy);
      // Each run hashes with a key of its own.
      const call = text?.replace(/#[0-9a-f]+/g, '#');
      if (call === undefined || seen.has(call)) return;
      seen.add(call);
      if (++shown <= SHOWN) tell(`    seen from outside: ${text}`);
    };
    const recorded = await recordCommand(device, scene.arguments, {
      policy,
      log,
      budget: 200,
      stop,
      partitions: 4,
      stdio: 'ignore',
      onLook: show,
    });
    stop.throwIfAborted();
    processes.set(recorded.process, scene.name);
    tell(
      `    ${recorded.looks} looks at process ${recorded.process}, ${recorded.running} while it ran, ${recorded.torn} torn`,
    );
  }
  return processes;
};

/** As it leaves the host: a hash is cut short. */
const valueText = ({ name, type, int, real, text }: Parameter): string =>
  `${name}=${type === 'hash' ? `#${text?.slice(0, 8)}` : (text ?? int ?? real)}`;

/** The first thread's stack from `main` to the watched call, as `main → loop → actuate(level=42)`; null where nothing watched is on it. */
const stackText = (look: Pick<Look, 'threads'>, policy: Policy): string | null => {
  const named = (look.threads[0]?.frames ?? []).filter((frame) => frame.function !== '?');
  const watched = named.findIndex((frame) => policy.functions.has(frame.function));
  if (watched < 0) return null;
  const outermost = named.findIndex((frame) => frame.function === 'main');
  return named
    .slice(watched, outermost < watched ? undefined : outermost + 1)
    .reverse()
    .map(({ function: name, parameters }) => {
      if (!policy.functions.has(name)) return name;
      return `${name}(${parameters
        .filter(({ kind }) => kind !== 'unavailable')
        .map(valueText)
        .join(', ')})`;
    })
    .join(' → ');
};
