import { describe, expect, test } from '@jest/globals';
import type { LookResult, SeenFrame, SeenThread } from '../../../producers/memory/sample/look-result.js';
import { Survey } from '../../../producers/memory/survey/survey.js';

const frame = (name: string | null, more: Partial<SeenFrame> = {}): SeenFrame => ({
  pc: 1,
  function: name,
  linkageName: '',
  source: '',
  line: 0,
  inlined: false,
  file: '/app/x',
  foundBy: 'cfi',
  sizedBy: 'cfi',
  frameAddress: 0,
  returnAddress: 0,
  parameters: [],
  ...more,
});

const parameter = (
  name: string,
  value: SeenFrame['parameters'][number]['value'],
  unavailable = '',
): SeenFrame['parameters'][number] => ({
  name,
  type: 'int',
  kind: 'int',
  value,
  valueKind: 'current',
  number: null,
  location: '',
  unavailable,
});

const thread = (frames: readonly SeenFrame[], outcome: SeenThread['outcome'] = 'sampled'): SeenThread => ({
  tid: 1,
  name: 't',
  at: 0,
  outcome,
  runTime: 0,
  slices: 0,
  complete: true,
  asBefore: false,
  syscall: null,
  frames,
});

const look = (...threads: SeenThread[]): LookResult => ({
  pid: 7,
  startTime: '1',
  from: 0,
  at: 0,
  replaced: false,
  gone: false,
  runtime: 'native',
  refused: '',
  threads,
  micros: 1,
  bytesRead: 1,
  reopened: 0,
  architecture: 'x86-64',
});

describe('a survey', () => {
  test('counts a function once a look, however often it is on stacks, and tells its share of the looks that saw one', () => {
    const survey = new Survey({ values: false });
    survey.add(
      look(thread([frame('inner'), frame('f'), frame('f'), frame('main')]), thread([frame('f'), frame('main')])),
    );
    survey.add(look(thread([frame('inner'), frame('main')])));
    survey.add(look(thread([], 'running')));
    survey.add(look(thread([], 'torn')));
    survey.add({ ...look(), gone: true });
    const result = survey.result();
    expect(result).toMatchObject({
      looks: 4,
      sampled: 2,
      running: 1,
      torn: 1,
      processes: ['7:1'],
      runtimes: ['native'],
    });
    expect(
      result.functions.map((one) => [one.function, one.looks, one.innermost, one.share, one.innermostShare]),
    ).toEqual([
      ['inner', 2, 2, 1, 1],
      ['main', 2, 0, 1, 0],
      ['f', 1, 1, 0.5, 0.5],
    ]);
  });

  test('says what only a scan found, and nothing of code without a name', () => {
    const survey = new Survey({ values: false });
    survey.add(look(thread([frame(null), frame('stale', { foundBy: 'scan' })])));
    survey.add(look(thread([frame('stale')])));
    expect(survey.result().functions).toMatchObject([{ function: 'stale', looks: 2, uncertain: 1 }]);
  });

  test('functions of one name in two files are two', () => {
    const survey = new Survey({ values: false });
    survey.add(look(thread([frame('run'), frame('run', { file: '/app/y' })])));
    expect(
      survey
        .result()
        .functions.map(({ module }) => module)
        .sort(),
    ).toEqual(['/app/x', '/app/y']);
  });

  test('values are counted but appear nowhere unless they are asked for', () => {
    const run = (values: boolean): Survey => {
      const survey = new Survey({ values });
      for (const value of ['hunter2', 'hunter2', 'other'])
        survey.add(
          look(thread([frame('login', { parameters: [parameter('password', value), parameter('gone', null, 'no')] })])),
        );
      return survey;
    };
    const quiet = run(false);
    expect(quiet.result().functions[0]!.parameters).toEqual([
      { name: 'password', type: 'int', seen: 3, unavailable: 0, distinct: 2, more: false, values: null },
      { name: 'gone', type: 'int', seen: 0, unavailable: 3, distinct: 0, more: false, values: null },
    ]);
    expect(JSON.stringify(quiet.result())).not.toContain('hunter2');
    expect(run(true).result().functions[0]!.parameters[0]!.values).toEqual([
      { value: 'hunter2', seen: 2 },
      { value: 'other', seen: 1 },
    ]);
  });

  test('stays within bounds whatever a program shows', () => {
    const survey = new Survey({ values: true });
    for (let i = 0; i < 25_000; i++)
      survey.add(
        look(
          thread([
            frame(`f${i}`),
            frame('many', { parameters: [parameter('x', BigInt(i)), parameter(`p${i}`, 'v'.repeat(5000))] }),
          ]),
        ),
      );
    const { functions, omitted } = survey.result();
    expect(functions).toHaveLength(20_000);
    expect(omitted).toBe(5001);
    const many = functions[0]!;
    expect(many.parameters).toHaveLength(64);
    expect(many.parameters[0]).toMatchObject({ distinct: 64, more: true, seen: 25_000 });
    expect(many.parameters[1]!.values![0]!.value.length).toBeLessThan(300);
  });
});
