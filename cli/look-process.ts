import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { boottimeMicros } from '../producers/identity/boottime.js';
import { lookJson } from '../producers/memory/sample/look-json.js';
import type { LookResult } from '../producers/memory/sample/look-result.js';
import { AttestreamError } from '../schemas/errors.js';
import { ioOf, stopOf } from './io.js';
import { lookAndSave, lookFrom } from './look-capture.js';
import { everyProcess, oneProcess } from './look-targets.js';
import { lookText } from './look-text.js';
import { outputOf } from './output.js';
import { namedTarget } from './target-process.js';

export interface LookOptions {
  readonly container?: string;
  readonly dockerHost?: string;
  readonly function?: readonly string[];
  readonly global?: readonly string[];
  readonly count: number;
  /** µs */
  readonly interval: number;
  readonly stop?: boolean;
  readonly save?: string;
  readonly from?: string;
  /** Keep the program and its libraries with a capture. */
  readonly files: boolean;
}

const unclear = (look: LookResult): boolean =>
  look.threads.some(({ outcome }) => outcome === 'running' || outcome === 'torn');

/** Looks and prints, until the wanted number of looks is done or all processes have ended. */
export const lookAtProcess = async (pid: string | undefined, options: LookOptions, command: Command): Promise<void> => {
  const out = outputOf(command);
  const stop = stopOf(command);
  const watch = options.function === undefined ? 'all' : new Set(options.function);
  const also = { globals: options.global ?? [] };
  const { container, dockerHost, save, from } = options;
  if (from !== undefined) {
    if (pid !== undefined || container !== undefined || save !== undefined)
      throw new AttestreamError('USAGE', '--from takes the place of a process: name it alone');
    return lookFrom(from, watch, command);
  }
  const named = await namedTarget({ pid, container, dockerHost }, ioOf(command).env);
  const targets = 'pid' in named ? oneProcess(named.pid, watch, also) : everyProcess(named.container, watch, also);
  // A look's own clock never steps; the real time that it stands for is settled once.
  const offset = Math.round(Date.now() * 1000 - boottimeMicros());
  try {
    for (let n = 0; n < options.count; n++) {
      if (n > 0) await delay(options.interval / 1000, undefined, { signal: stop });
      stop.throwIfAborted();
      const current = targets.current();
      if (current.length === 0) return;
      for (const target of current) {
        if (save !== undefined) {
          const several = options.count > 1 || container !== undefined;
          await lookAndSave(target.pid, n, { folder: save, files: options.files, several }, watch, command);
          continue;
        }
        let look = target.look();
        const packed = target.image.ready();
        if (packed !== null) {
          await packed;
          target.forget();
          look = target.look();
        }
        if (options.stop === true && !look.gone && unclear(look)) look = target.lookStopped();
        await out.line(lookJson(look, offset), () => lookText(look));
        if (look.gone) targets.drop(target);
      }
    }
  } finally {
    targets.close();
  }
};
