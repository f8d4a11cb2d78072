import { expect, test } from '@jest/globals';
import { baseCode, responseCodeName } from '../../../schemas/tpm/response-code.js';

test.each([
  [0x000, 'TPM_RC_SUCCESS'],
  [0x100, 'TPM_RC_INITIALIZE'],
  [0x101, 'TPM_RC_FAILURE'],
  [0x14a, 'TPM_RC_NV_UNINITIALIZED'],
  [0x902, 'TPM_RC_OBJECT_MEMORY'],
  [0x910, 'TPM_RC_REFERENCE_H0'],
  [0x921, 'TPM_RC_LOCKOUT'],
  [0x922, 'TPM_RC_RETRY'],
  [0x1d5, 'TPM_RC_SIZE (parameter 1)'],
  [0xfc4, 'TPM_RC_VALUE (parameter 15)'],
  [0x18b, 'TPM_RC_HANDLE (handle 1)'],
  [0x784, 'TPM_RC_VALUE (handle 7)'],
  [0x98e, 'TPM_RC_AUTH_FAIL (session 1)'],
  [0xa9d, 'TPM_RC_POLICY_FAIL (session 2)'],
  [0x084, 'TPM_RC_VALUE'],
  [0x01e, 'TPM_RC_BAD_TAG'],
  [0x500, 'TPM_RC_VENDOR 0x500'],
  [0xb0902, 'resource manager: TPM_RC_OBJECT_MEMORY'],
  [0xa0008, 'transport: TPM_RC_BAD_TAG'],
  [0x30084, 'layer 3: TPM_RC_VALUE'],
  [0x1fe, '0x1fe'],
  [0x1ff, '0x1ff'],
  [0xffffffff, '0xffffffff'],
  [0x1902, '0x1902'],
])('0x%s is %s', (rc, name) => {
  const told = responseCodeName(rc);
  expect(told.name).toBe(name);
  expect(told.meaning).not.toBe('');
});

test('every possible code has a name and a meaning', () => {
  for (let rc = 0; rc < 0x1000; rc++) {
    const { name, meaning } = responseCodeName(rc);
    expect(name).toMatch(/^(TPM_RC_|0x)/);
    expect(meaning).not.toBe('');
  }
});

test('the code behind the number of a parameter, handle or session', () => {
  expect(baseCode(0x1d5)).toBe(0x95);
  expect(baseCode(0x98e)).toBe(0x8e);
  expect(baseCode(0x921)).toBe(0x921);
});
