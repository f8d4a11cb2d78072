import { demangle } from '../../producers/memory/elf/demangle.js';
import { means, withoutParameters } from '../../producers/memory/elf/function-name.js';
import type { FuzzTarget } from '../support/fuzz.js';

const NAMES = [
  '_ZNKSt8_Rb_treeISsSt4pairIKSsiESt10_Select1stIS2_ESt4lessISsESaIS2_EE4findERS1_',
  '_ZN12_GLOBAL__N_16Sensor4readEv',
  '_ZZ4mainENKUlvE_clEv',
  '_Z3addIiET_S0_S0_',
  '_ZN4core3fmt9Formatter3pad17h0123456789abcdefE',
  '_RNvXs_NtCs1234_7mycrate3fooNtB4_3BarNtNtCs5678_4core3fmt5Debug3fmt',
  '_RINvNtC3std3mem8align_ofjdE',
  '_ZN3fooclEv.isra.0',
];

/** Names that a program chose. */
export const target: FuzzTarget = {
  seeds: () => NAMES.map((name) => Buffer.from(name)),
  maxBytes: 1024,
  maxMillis: 250,
  run: (input) => {
    const name = input.toString('latin1');
    const plain = demangle(name);
    if (plain.length > Math.max(name.length, 4096)) throw new Error('a name without bound');
    withoutParameters(plain);
    means(new Set(['x']), name);
  },
};
