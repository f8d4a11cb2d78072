import { describe, expect, test } from '@jest/globals';
import { coverageOfCommandLine, coverageOfPolicy, requiredRules } from '../../../schemas/ima/coverage.js';
import { policiesOfCommandLine } from '../../../schemas/ima/measurement-policy.js';
import { vector, vectorNames } from '../../support/vectors.js';

const TCB = requiredRules('tcb');

describe('a kernel command line', () => {
  test.each(vectorNames('ima'))('%s was measured under tcb', (name) => {
    expect(coverageOfCommandLine(vector(`ima/${name}/cmdline`).toString(), TCB)).toEqual({
      missing: [],
      exceptions: [],
    });
  });

  test.each([
    ['quiet', []],
    ['ima_policy=tcb', ['tcb']],
    ['ima_policy=critical_data|tcb', ['critical_data', 'tcb']],
    ['ima_policy="appraise_tcb tcb"', ['tcb']],
    ['ima_tcb', ['ima_tcb']],
    ['ima_tcb ima_policy=tcb', ['ima_tcb']],
    ['init=/bin/sh -- ima_policy=tcb', []],
    ['x="a ima_policy=tcb"', []],
    ['xima_policy=tcb', []],
    ['ima_policy=tcb ima=off', []],
    ['ima_policy=nothing', []],
  ])('%s', (text, policies) => {
    expect(policiesOfCommandLine(text)).toEqual(policies);
  });

  test('the older policy gives less than tcb, and tcb more', () => {
    expect(coverageOfCommandLine('ima_tcb', TCB).missing).toEqual([
      'measure func=FILE_CHECK mask=^MAY_READ euid=0',
      'measure func=FILE_CHECK mask=^MAY_READ uid=0',
    ]);
    expect(coverageOfCommandLine('ima_policy=tcb', requiredRules('ima_tcb')).missing).toEqual([]);
    expect(coverageOfCommandLine('quiet', TCB).missing.length).toBe(7);
  });
});

describe('a policy', () => {
  const NEED = requiredRules(
    'measure func=BPRM_CHECK mask=MAY_EXEC\nmeasure func=MMAP_CHECK mask=MAY_EXEC\ndont_measure fsmagic=0x9fa0',
  );

  test.each([
    ['measure func=BPRM_CHECK\nmeasure func=FILE_MMAP mask=MAY_EXEC', []],
    ['measure func=BPRM_CHECK mask=^MAY_EXEC pcr=11 template=ima-sig\nmeasure func=MMAP_CHECK', []],
    ['measure', []],
    ['dont_measure fsmagic=0x00009FA0\nmeasure', []],
    ['# nothing\n', ['measure func=BPRM_CHECK mask=MAY_EXEC', 'measure func=MMAP_CHECK mask=MAY_EXEC']],
    ['measure func=BPRM_CHECK uid=0\nmeasure func=MMAP_CHECK', ['measure func=BPRM_CHECK mask=MAY_EXEC']],
    ['appraise func=BPRM_CHECK\nmeasure func=MMAP_CHECK', ['measure func=BPRM_CHECK mask=MAY_EXEC']],
    ['dont_measure obj_type=tmp_t func=BPRM_CHECK\nmeasure', ['measure func=BPRM_CHECK mask=MAY_EXEC']],
    ['measure\ndont_measure obj_type=tmp_t', []],
    ['dont_measure uid=0\nmeasure', ['measure func=BPRM_CHECK mask=MAY_EXEC', 'measure func=MMAP_CHECK mask=MAY_EXEC']],
  ])('%j', (text, missing) => {
    expect(coverageOfPolicy(text, NEED).missing).toEqual(missing);
  });

  test('the exception that takes something away is named, and what is no rule is refused', () => {
    expect(coverageOfPolicy('dont_measure uid=1000\nmeasure', NEED).exceptions).toEqual(['dont_measure uid=1000']);
    expect(() => coverageOfPolicy('allow everything', NEED)).toThrow(expect.objectContaining({ code: 'IMA_INVALID' }));
  });
});
