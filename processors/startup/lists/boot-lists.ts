import { type BindingList, emptyBindingList } from './binding-list.js';
import { emptyFirmwareLog, type FirmwareLogParts } from './firmware-log.js';
import { emptyKernelList, type KernelList } from './kernel-list.js';

/** All that a host said of one boot. Named by the kernel's boot id, which anybody could have written: a quote decides which counts. */
export interface BootLists {
  readonly kernel: KernelList;
  readonly binding: BindingList;
  readonly firmware: FirmwareLogParts;
}

export const emptyBootLists = (): BootLists => ({
  kernel: emptyKernelList(),
  binding: emptyBindingList(),
  firmware: emptyFirmwareLog(),
});

/** Boots that are kept beside the proven one: the one that begins, and another that somebody made up. */
const KEPT = 3;

/** The lists of a boot, made at its first record. Of the others, the proven one and the newest are kept. */
export const listsOf = (boots: Map<string, BootLists>, boot: string, proven: string | null): BootLists => {
  let lists = boots.get(boot);
  if (lists === undefined) {
    lists = emptyBootLists();
    boots.set(boot, lists);
    for (const name of boots.keys()) {
      if (boots.size <= KEPT) break;
      if (name !== proven && name !== boot) boots.delete(name);
    }
  }
  return lists;
};
