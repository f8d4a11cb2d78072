import { certificateKey, readCertificates } from '../../processors/run/enrolment/certificate.js';
import type { FuzzTarget } from '../support/fuzz.js';

/** An endorsement certificate as an emulator's maker issues them (P-384, critical directory name), signed by RSA. */
const CERTIFICATE =
  'MIIDRjCCAa6gAwIBAgIBAzANBgkqhkiG9w0BAQsFADAYMRYwFAYDVQQDEw1zd3RwbS1sb2NhbGNhMCAXDTI2MTEyNTA3NTgzN1oYDzk5OTkxMjMxMjM1OTU5WjASMRAwDgYDVQQDEwd1bmtub3duMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEtrQg8EXXiWjV+ORKFKEaS6T4gIVn/t0x0E8uxsOlFoz827+nFAtyoALpvH6/KDFdCjPGQDs8xVKDpriQWU746hdiLLrIF0rppzZ9IdFTWjOkTHsQp1/1+SsBF30Nyh2yo4HMMIHJMBAGA1UdJQQJMAcGBWeBBQgBMFIGA1UdEQEB/wRIMEakRDBCMRYwFAYFZ4EFAgEMC2lkOjAwMDAxMDE0MRAwDgYFZ4EFAgIMBXN3dHBtMRYwFAYFZ4EFAgMMC2lkOjIwMTkxMDIzMAwGA1UdEwEB/wQCMAAwIgYDVR0JBBswGTAXBgVngQUCEDEOMAwMAzIuMAIBAAICAKQwHwYDVR0jBBgwFoAUz6cZGbIKrf39qiKIkLlPLtLKbdgwDgYDVR0PAQH/BAQDAgMIMA0GCSqGSIb3DQEBCwUAA4IBgQBBuQT9uJkjsWcr9dq6xkktvWwIqEx0804KTYAsxXkfUiQLKdtxjgMrKva496HAhoAdgSSnof8x4E62nJ8AMm9by4IGwfX3lDrFLZWQnqrUR4vvZcRot15dftpFR4nXbupL4Dmd5setwfoEjuog7YeRCJhuySRLNi4S9Y++S+QAZrjDVQfXzQLcq/NmofJXNxTcWmWcMSvrdauYAJZmsFCxqNu6mYSdSD304lW2v9qHprU0F7r+CoDxYK5kMK6WORKz0Wnz6GEnJE2ZmA1UWdziQaJbSac2UlbFeg9cFpy1ISPGUVz7Lyj8+46KjdXllY1DHjZHg3C87rLHIBsgXlf5txQkfcyVA2eFOntv5ruKocnHlugwlhKLwdlORDp26Nr51ZaAZ9nhGWDN3UDKo+Ea1ONOHXNRNyBV02w2MmSJoQjzhmU7IztQn1LAwsyB61It/wKMNQYEbb7gJuXILvolUCL4eKVDlwwXJ1BDcnBsp9nlLI9KPJU9sqfwU3xokGA=';

/** What hosts send as certificates of their endorsement keys. */
export const target: FuzzTarget = {
  seeds: () => [Buffer.from(CERTIFICATE, 'base64')],
  maxBytes: 20 * 1024,
  run: (input) => {
    for (const certificate of readCertificates(input)) certificateKey(certificate);
  },
};
