import { execFileSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { demangle } from '../../../producers/memory/elf/demangle.js';
import { functionName, means, withoutParameters } from '../../../producers/memory/elf/function-name.js';
import { isPlainMangling } from '../../../producers/memory/elf/plain-mangling.js';

test.each([
  ['_ZN6Device7actuateEi', 'Device::actuate(int)'],
  ['_ZNK3Foo3barEv', 'Foo::bar() const'],
  ['_Z3addIiET_S0_S0_', 'add<int>(int, int)'],
  ['_ZN12_GLOBAL__N_16Sensor4readEv', '(anonymous namespace)::Sensor::read()'],
  ['_ZN4core3fmt9Formatter3pad17h0123456789abcdefE', 'core::fmt::Formatter::pad'],
  ['_RNvCskwGfYPst2Cb_3foo16example_function', 'foo::example_function'],
])('%s is %s', (mangled, plain) => {
  expect(functionName(mangled)).toEqual({ function: plain, linkageName: mangled });
});

test.each(['main', '_Zebra', '_start', '', '_R', '_Z', 'read_sensor', '_ZN', 'Ünïcode', '__Zero'])(
  '%p is a name as it is',
  (name) => expect(functionName(name)).toEqual({ function: name, linkageName: '' }),
);

test('the names of the C++ library are those that binutils gives', () => {
  let names: string[];
  try {
    const library = execFileSync('g++', ['-print-file-name=libstdc++.so.6'], { encoding: 'utf8' }).trim();
    names = execFileSync('nm', ['-D', '--defined-only', library], { encoding: 'utf8', maxBuffer: 64e6 })
      .split('\n')
      .map((line) => line.split(' ')[2]?.split('@')[0] ?? '')
      .filter((name) => /^_Z(?!T|GV)/.test(name) && !/S[saiod]|cv/.test(name))
      .filter((_, i) => i % 7 === 0);
  } catch {
    return;
  }
  const theirs = execFileSync('c++filt', { input: names.join('\n'), encoding: 'utf8', maxBuffer: 64e6 }).split('\n');
  const bare = (name: string): string => withoutParameters(name).replaceAll(' ', '');
  // They put the type that a template gives back in front.
  const different = names.filter((name, i) => !bare(theirs[i]!).endsWith(bare(demangle(name))));
  expect(names.length).toBeGreaterThan(300);
  expect(different).toEqual([]);
});

test('names made to exhaust are given back, and what comes after is read as before', () => {
  const backwards = (i: number): string => (i === 0 ? 'S_' : `S${(i - 1).toString(36).toUpperCase()}_`);
  const bombs = [
    `_Z${'N'.repeat(1000)}`,
    `_Z1f${'P'.repeat(1000)}i`,
    `_Z1f${'1aI'.repeat(250)}i${'E'.repeat(250)}`,
    `_RINvC1a1b${'TB_B_E'.repeat(150)}E`,
    `_Z1f1aIiiE${Array.from({ length: 90 }, (_, i) => `1aI${backwards(i)}${backwards(i)}E`).join('')}`,
  ];
  const used = process.cpuUsage();
  for (const bomb of bombs) expect(demangle(bomb).length).toBeLessThan(5000);
  expect(process.cpuUsage(used).user / 1000).toBeLessThan(3000);
  expect(demangle('_ZN6Device7actuateEj')).toBe('Device::actuate(unsigned int)');
});

test('what libraries export is nearly all plain, so that it is never held up', () => {
  for (const plain of [
    '_ZN6Device7actuateEi',
    '_ZNKSt8_Rb_treeISsSt4pairIKSsiEE4findERS1_',
    '_ZN8_private3_goILi5EEEvd',
  ])
    expect(isPlainMangling(plain)).toBe(true);
  for (const other of [
    'main',
    '_Z',
    '_Z1fA10_i',
    '_Z1fIXadL_Z1gvEEEvv',
    '_Z1fDTcl1gEE',
    '_Z99f',
    '_ZUlvE0_',
    '_Z1fILN1aE3EEvv',
  ])
    expect(isPlainMangling(other)).toBe(false);
});

test.each([
  ['Device::actuate(int)', 'Device::actuate'],
  ['ns::Device<int, std::pair<a, b> >::set(int (*)(char)) const', 'ns::Device<int, std::pair<a, b> >::set'],
  ['(anonymous namespace)::read()', '(anonymous namespace)::read'],
  ['foo::operator()()', 'foo::operator()'],
  ['foo::operator()() [clone .isra.0]', 'foo::operator()'],
  ['core::fmt::Formatter::pad', 'core::fmt::Formatter::pad'],
  ['main::{lambda()#1}::operator()() const', 'main::{lambda()#1}::operator()'],
  ['(anonymous namespace)', '(anonymous namespace)'],
])('%s without parameters is %s', (name, bare) => {
  expect(withoutParameters(name)).toBe(bare);
});

test('a user may write any of the names', () => {
  for (const name of ['_ZN6Device7actuateEi', 'Device::actuate(int)', 'Device::actuate'])
    expect(means(new Set([name]), '_ZN6Device7actuateEi')).toBe(true);
  for (const name of ['actuate', 'Device', 'Device::actuate(long)', ''])
    expect(means(new Set([name]), '_ZN6Device7actuateEi')).toBe(false);
});

test('a name that makes the demangler go round in circles holds up neither looks nor other names', () => {
  const endless = `_Z3a${'da'.repeat(90)}cdadadadadadadadadadadadaA${'da'.repeat(60)}idadadadadadadadadadadadadaxadA${'ad'.repeat(60)}`;
  expect(isPlainMangling(endless)).toBe(false);
  const used = process.cpuUsage();
  for (let i = 0; i < 200; i++) demangle(`${endless}${i}`);
  expect(process.cpuUsage(used).user / 1000).toBeLessThan(2000);
  expect(demangle('_ZN6Device8actuate2Ei')).toBe('Device::actuate2(int)');
});
