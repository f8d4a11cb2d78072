import { ContainerProcesses } from '../producers/container/processes.js';
import { openTarget, type Target, type TargetOptions } from '../producers/memory/sample/look.js';
import type { Watch } from '../producers/memory/sample/look-result.js';
import { isAttestreamError } from '../schemas/errors.js';

/** The processes that a command looks at. */
export interface LookTargets {
  /** Those that run now, opened; none once all have ended. Throws what `openTarget` throws if not a single one can be looked at. */
  current(): readonly Target[];
  /** No more looks at this one. */
  drop(target: Target): void;
  close(): void;
}

export const oneProcess = (pid: number, watch: Watch, options: TargetOptions = {}): LookTargets => {
  const target = openTarget(pid, watch, options);
  let over = false;
  return {
    current: () => (over ? [] : [target]),
    drop: () => {
      over = true;
    },
    close: () => target.close(),
  };
};

/** All processes of a container: what it forks and what is brought into it joins, what ends leaves. */
export const everyProcess = (container: string, watch: Watch, options: TargetOptions = {}): LookTargets => {
  const processes = new ContainerProcesses(container);
  const targets = new Map<number, Target>();
  const drop = (target: Target): void => {
    if (targets.get(target.pid) !== target) return;
    targets.delete(target.pid);
    target.close();
  };
  return {
    current() {
      const { began, ended } = processes.refresh();
      for (const { pid } of ended) {
        const target = targets.get(pid);
        if (target !== undefined) drop(target);
      }
      let refusal: unknown;
      for (const { pid, startTime } of began) {
        try {
          const target = openTarget(pid, watch, options);
          // The number was given to another process meanwhile.
          if (target.startTime === startTime) targets.set(pid, target);
          else target.close();
        } catch (error) {
          if (!isAttestreamError(error)) throw error;
          if (error.code !== 'PROCESS_GONE') refusal = error;
        }
      }
      if (targets.size === 0 && refusal !== undefined) throw refusal;
      return [...targets.values()];
    },
    drop,
    close() {
      for (const target of targets.values()) target.close();
      targets.clear();
    },
  };
};
