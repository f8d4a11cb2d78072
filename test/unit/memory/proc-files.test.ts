import { describe, expect, test } from '@jest/globals';
import { containerIn } from '../../../producers/identity/container.js';
import {
  mappingAt,
  parseMaps,
  parseSchedstat,
  parseStat,
  parseSyscall,
  syscallArguments,
} from '../../../producers/memory/locate/proc-files.js';

const rest = '1 2 3 0 -1 4194560 7 8 9 10 11 12 13 14 20 0 1 0 987654 100 200';

describe('stat', () => {
  test('names may hold spaces, parentheses and line ends', () => {
    for (const name of ['sh', 'a b', 'a) R 1 (b', ')', '', 'x\n(y'])
      expect(parseStat(`42 (${name}) S ${rest}`)).toEqual({
        name,
        state: 'S',
        parent: 1,
        flags: 4194560,
        startTime: '987654',
      });
  });
  test('anything else is no stat', () => {
    for (const text of ['', '42', '42 (sh', '42 (sh) S 1 2', `)( S ${rest}`]) expect(parseStat(text)).toBeNull();
  });
});

const maps = parseMaps(
  [
    '559f0000-559f1000 r-xp 00001000 fe:00 1234                       /opt/a b/gate way (deleted)',
    '7ffc10000000-7ffc10021000 rw-p 00000000 00:00 0                          [stack]',
    'garbage',
    'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]',
    '',
  ].join('\n'),
);

test('mappings keep paths with spaces and lose the mark of deleted files', () => {
  expect(maps.map(({ path }) => path)).toEqual(['/opt/a b/gate way', '[stack]', '[vsyscall]']);
  expect(maps[0]).toMatchObject({ start: 0x559f0000, end: 0x559f1000, executable: true, offset: 0x1000, inode: 1234 });
});

test('an address is in a mapping from its start to before its end', () => {
  expect(mappingAt(maps, 0x559effff)).toBeNull();
  expect(mappingAt(maps, 0x559f0000)?.inode).toBe(1234);
  expect(mappingAt(maps, 0x559f0fff)?.inode).toBe(1234);
  expect(mappingAt(maps, 0x559f1000)).toBeNull();
  expect(mappingAt(maps, 0x7ffc10020fff)?.path).toBe('[stack]');
  expect(mappingAt([], 1)).toBeNull();
});

describe('syscall', () => {
  const read = (text: string) => {
    const out = { sp: 0, pc: 0, syscall: 0 };
    return parseSyscall(Buffer.from(text), text.length, out) ? out : null;
  };
  test('inside a call, outside of one, on a CPU, without a stack', () => {
    expect(read('230 0x0 0x0 0x7ffd1 0xffffffffffffffff 0x0 0x0 0x7ffdd9c94128 0x7fd68074b2ad\n')).toEqual({
      sp: 0x7ffdd9c94128,
      pc: 0x7fd68074b2ad,
      syscall: 230,
    });
    expect(read('-1 0x7ffc0010 0x401000\n')).toEqual({ sp: 0x7ffc0010, pc: 0x401000, syscall: -1 });
    expect(read('running\n')).toBeNull();
    expect(read('-1 0x0 0x0\n')).toBeNull();
    expect(read('')).toBeNull();
  });
  test('arguments are told inside a call only', () => {
    expect(syscallArguments('0 0x3 0x1 0x64 0x2 0xffffffffffffffff 0x0 0x7 0x8\n')).toEqual([
      '0x3',
      '0x1',
      '0x64',
      '0x2',
      '0xffffffffffffffff',
      '0x0',
    ]);
    expect(syscallArguments('-1 0x7 0x8\n')).toEqual([]);
  });
});

test('schedstat gives run time and timeslices', () => {
  const text = '123456789012 55 42\n';
  expect(parseSchedstat(Buffer.from(text), text.length)).toEqual({ runTime: 123456789012, slices: 42 });
});

test('containers are found in the cgroups of each engine and version', () => {
  const id = '0123456789abcdef'.repeat(4);
  for (const line of [
    `12:memory:/docker/${id}`,
    `0::/docker/${id}`,
    `0::/system.slice/docker-${id}.scope`,
    `0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-${id}.scope`,
    `4:cpu:/kubepods/besteffort/pod0f1d4c52-8b0e-4f9e-9d2d-0c8a5d1a0b11/${id}`,
    `0::/machine.slice/libpod-${id}.scope/container`,
    `0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id}.scope`,
    `0::/default/${id}`,
    `0::/system.slice/nerdctl-${id}.scope`,
    `1:name=systemd:/\n0::/system.slice/crio-${id}.scope`,
  ])
    expect(containerIn(`${line}\n`)).toBe(id);
  for (const line of [`0::/machine.slice/libpod-conmon-${id}.scope`, `0::/system.slice/crio-conmon-${id}.scope`])
    expect(containerIn(`${line}\n`)).toBe('');
  expect(containerIn('0::/user.slice/user-0.slice\n')).toBe('');
  expect(containerIn(`0::/x/${id}0\n`)).toBe('');
});

test('a group made inside of a container does not pass for another container, and the reader is not told of itself', () => {
  const [outer, inner] = ['f'.repeat(64), '0123456789abcdef'.repeat(4)];
  expect(containerIn(`0::/docker/${outer}/${inner}\n`)).toBe(outer);
  // For an engine inside of a container, as its own processes see it.
  expect(containerIn(`0::/docker/${outer}/docker/${inner}\n`, `0::/docker/${outer}\n`)).toBe(inner);
  expect(containerIn(`0::/docker/${outer}\n`, `0::/docker/${outer}\n`)).toBe(outer);
});
