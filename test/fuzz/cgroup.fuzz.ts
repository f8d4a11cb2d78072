import { containerIn } from '../../producers/identity/container.js';
import type { FuzzTarget } from '../support/fuzz.js';

const [A, B] = ['0123456789abcdef'.repeat(4), 'f'.repeat(64)];

/** Names of control groups, which a container may add to. */
export const target: FuzzTarget = {
  seeds: () => [
    Buffer.from(`12:memory:/docker/${A}\n0::/system.slice/docker-${A}.scope\n`),
    Buffer.from(`0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-${A}.scope/${B}\n`),
    Buffer.from(`0::/machine.slice/libpod-conmon-${A}.scope\n1:name=systemd:/machine.slice/libpod-${B}.scope\n`),
  ],
  maxBytes: 8192,
  run: (input) => {
    const text = input.toString('latin1');
    const id = containerIn(text, `0::/docker/${B}\n`);
    if (id !== '' && !(/^[0-9a-f]{64}$/.test(id) && text.includes(id))) throw new Error('no id of a container');
    // The outermost counts: what stands behind it changes nothing.
    const first = containerIn(text);
    if (first !== '' && containerIn(`${text}/${A}`) !== first && !text.endsWith('conmon-'))
      throw new Error('a later id won');
  },
};
