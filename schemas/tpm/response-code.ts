type Codes = Readonly<Record<number, readonly [name: string, meaning: string]>>;

/** Errors about the command as a whole, and errors of the TPM's state (format 0; TPM 2.0 Library, part 2, 6.6). */
const FORMAT_ZERO: Codes = {
  256: ['TPM_RC_INITIALIZE', 'the TPM has not been started, or was started already'],
  257: ['TPM_RC_FAILURE', 'the TPM failed its self-test and only answers questions about that'],
  259: ['TPM_RC_SEQUENCE', 'a sequence handle is used wrongly'],
  267: ['TPM_RC_PRIVATE', 'reserved for the maker of the TPM'],
  281: ['TPM_RC_HMAC', 'reserved for the maker of the TPM'],
  288: ['TPM_RC_DISABLED', 'the command or hierarchy is disabled'],
  289: ['TPM_RC_EXCLUSIVE', 'an exclusive audit session was interrupted'],
  292: ['TPM_RC_AUTH_TYPE', 'the handle cannot be authorised in this way'],
  293: ['TPM_RC_AUTH_MISSING', 'a handle of the command needs authorisation and none was given'],
  294: ['TPM_RC_POLICY', 'a policy failed, or two policies exclude each other'],
  295: ['TPM_RC_PCR', 'the PCR cannot be used or changed like this'],
  296: ['TPM_RC_PCR_CHANGED', 'PCRs changed after they were checked by the policy'],
  301: ['TPM_RC_UPGRADE', 'a firmware upgrade is under way: only its own commands are taken'],
  302: ['TPM_RC_TOO_MANY_CONTEXTS', 'the counter of saved contexts is used up'],
  303: ['TPM_RC_AUTH_UNAVAILABLE', 'the authorisation value or policy cannot be used for this object'],
  304: ['TPM_RC_REBOOT', 'the TPM needs a power cycle first'],
  305: ['TPM_RC_UNBALANCED', 'hash and symmetric key are of different strength'],
  322: ['TPM_RC_COMMAND_SIZE', 'the size in the command is not the size of the command'],
  323: ['TPM_RC_COMMAND_CODE', 'the TPM does not have this command'],
  324: ['TPM_RC_AUTHSIZE', 'the size of the authorisations is out of range'],
  325: ['TPM_RC_AUTH_CONTEXT', 'authorisations were given to a command that takes none'],
  326: ['TPM_RC_NV_RANGE', 'an NV offset or size is out of range'],
  327: ['TPM_RC_NV_SIZE', 'an NV index is too large, or a write does not fit into it'],
  328: ['TPM_RC_NV_LOCKED', 'the NV index is locked'],
  329: ['TPM_RC_NV_AUTHORIZATION', 'the NV index cannot be authorised in this way'],
  330: ['TPM_RC_NV_UNINITIALIZED', 'the NV index was defined but never written'],
  331: ['TPM_RC_NV_SPACE', 'there is no room for another NV index or persistent object'],
  332: ['TPM_RC_NV_DEFINED', 'the NV index or persistent object exists already'],
  336: ['TPM_RC_BAD_CONTEXT', 'the saved context is not usable'],
  337: ['TPM_RC_CPHASH', 'the command is not the one that the policy allows'],
  338: ['TPM_RC_PARENT', 'the handle is not that of a parent'],
  339: ['TPM_RC_NEEDS_TEST', 'an algorithm has to be tested first'],
  340: ['TPM_RC_NO_RESULT', 'the TPM has no result to give'],
  341: ['TPM_RC_SENSITIVE', 'the decrypted private part does not hold together'],
};

/** "Not now": the same command may succeed later (format 0, severity bit set). */
const WARNINGS: Codes = {
  2305: ['TPM_RC_CONTEXT_GAP', 'the oldest saved session has to be renewed first'],
  2306: ['TPM_RC_OBJECT_MEMORY', 'no room for another loaded object: flush one'],
  2307: ['TPM_RC_SESSION_MEMORY', 'no room for another loaded session: flush one'],
  2308: ['TPM_RC_MEMORY', 'no room in the TPM: flush objects or sessions'],
  2309: ['TPM_RC_SESSION_HANDLES', 'no session handle is free: flush a session'],
  2310: ['TPM_RC_OBJECT_HANDLES', 'no object handle is free: flush an object'],
  2311: ['TPM_RC_LOCALITY', 'not allowed from this locality'],
  2312: ['TPM_RC_YIELDED', 'the TPM interrupted the command: send it again'],
  2313: ['TPM_RC_CANCELED', 'the command was cancelled'],
  2314: ['TPM_RC_TESTING', 'a self-test is running: send the command again'],
  2320: ['TPM_RC_REFERENCE_H0', 'the first handle names nothing that is loaded'],
  2321: ['TPM_RC_REFERENCE_H1', 'the second handle names nothing that is loaded'],
  2322: ['TPM_RC_REFERENCE_H2', 'the third handle names nothing that is loaded'],
  2323: ['TPM_RC_REFERENCE_H3', 'the fourth handle names nothing that is loaded'],
  2324: ['TPM_RC_REFERENCE_H4', 'the fifth handle names nothing that is loaded'],
  2325: ['TPM_RC_REFERENCE_H5', 'the sixth handle names nothing that is loaded'],
  2326: ['TPM_RC_REFERENCE_H6', 'the seventh handle names nothing that is loaded'],
  2328: ['TPM_RC_REFERENCE_S0', 'the first session is not loaded'],
  2329: ['TPM_RC_REFERENCE_S1', 'the second session is not loaded'],
  2330: ['TPM_RC_REFERENCE_S2', 'the third session is not loaded'],
  2331: ['TPM_RC_REFERENCE_S3', 'the fourth session is not loaded'],
  2332: ['TPM_RC_REFERENCE_S4', 'the fifth session is not loaded'],
  2333: ['TPM_RC_REFERENCE_S5', 'the sixth session is not loaded'],
  2334: ['TPM_RC_REFERENCE_S6', 'the seventh session is not loaded'],
  2336: ['TPM_RC_NV_RATE', 'NV is written too often: wait'],
  2337: ['TPM_RC_LOCKOUT', 'too many wrong passwords: objects without noDA are locked out for a time'],
  2338: ['TPM_RC_RETRY', 'the TPM could not begin: send the command again'],
  2339: ['TPM_RC_NV_UNAVAILABLE', 'NV cannot be written at the moment'],
  2431: ['TPM_RC_NOT_USED', 'reserved: never answered by a TPM'],
};

/** Errors about one handle, session or parameter (format 1). */
const FORMAT_ONE: Codes = {
  129: ['TPM_RC_ASYMMETRIC', 'the asymmetric algorithm is not supported or not right'],
  130: ['TPM_RC_ATTRIBUTES', 'the attributes contradict each other or the use'],
  131: ['TPM_RC_HASH', 'the hash is not supported or does not fit'],
  132: ['TPM_RC_VALUE', 'the value is out of range or not right here'],
  133: ['TPM_RC_HIERARCHY', 'the hierarchy is disabled or not right for this'],
  135: ['TPM_RC_KEY_SIZE', 'the key size is not supported'],
  136: ['TPM_RC_MGF', 'the mask generation function is not supported'],
  137: ['TPM_RC_MODE', 'the mode of operation is not supported'],
  138: ['TPM_RC_TYPE', 'the type of the object is not right for this'],
  139: ['TPM_RC_HANDLE', 'the handle names nothing, or the wrong kind of thing'],
  140: ['TPM_RC_KDF', 'the key derivation is not supported or does not fit'],
  141: ['TPM_RC_RANGE', 'the value is out of range'],
  142: ['TPM_RC_AUTH_FAIL', 'wrong authorisation value; it counts towards the lockout'],
  143: ['TPM_RC_NONCE', 'the nonce has a wrong size or value'],
  144: ['TPM_RC_PP', 'physical presence is needed'],
  146: ['TPM_RC_SCHEME', 'the scheme is not supported or does not fit the key'],
  149: ['TPM_RC_SIZE', 'the structure has a wrong size'],
  150: ['TPM_RC_SYMMETRIC', 'the symmetric algorithm or key size is not supported'],
  151: ['TPM_RC_TAG', 'the structure has a wrong tag'],
  152: ['TPM_RC_SELECTOR', 'the selector of a union is not right'],
  154: ['TPM_RC_INSUFFICIENT', 'the command is shorter than its fields'],
  155: ['TPM_RC_SIGNATURE', 'the signature is not right'],
  156: ['TPM_RC_KEY', 'the fields of the key do not fit each other'],
  157: ['TPM_RC_POLICY_FAIL', 'the policy session does not satisfy the policy'],
  159: ['TPM_RC_INTEGRITY', 'the integrity value is not right: made for another TPM, parent or name'],
  160: ['TPM_RC_TICKET', 'the ticket is not right'],
  161: ['TPM_RC_RESERVED_BITS', 'reserved bits are set'],
  162: ['TPM_RC_BAD_AUTH', 'wrong authorisation value'],
  163: ['TPM_RC_EXPIRED', 'the policy has expired'],
  164: ['TPM_RC_POLICY_CC', 'the policy is not for this command'],
  165: ['TPM_RC_BINDING', 'public and private part, or a key and its session, do not belong together'],
  166: ['TPM_RC_CURVE', 'the curve is not supported'],
  167: ['TPM_RC_ECC_POINT', 'the point is not on the curve'],
};

const FORMAT_ONE_BIT = 0x80;
const PARAMETER_BIT = 0x40;
const VENDOR_BIT = 0x400;
const SESSION_BIT = 0x8;
const TPM12_TOP = 0x100;
const WARNING_BASE = 0x900;

/** Software layers put their number into bits 16 to 23. */
const LAYERS: Readonly<Record<number, string>> = {
  6: 'feature API',
  7: 'enhanced system API',
  8: 'system API',
  9: 'marshalling',
  10: 'transport',
  11: 'resource manager',
  12: "resource manager's own TPM use",
};

export interface ResponseCodeName {
  /** `TPM_RC_VALUE (parameter 2)`. */
  readonly name: string;
  readonly meaning: string;
}

const unknown = (rc: number): ResponseCodeName => ({
  name: `0x${rc.toString(16).padStart(3, '0')}`,
  meaning: 'a code that the specification does not have',
});

/** What a format 1 code complains about: " (parameter 2)"; empty where the TPM does not say. */
const blamed = (rc: number): string => {
  const number = (rc >> 8) & 0xf;
  if ((rc & PARAMETER_BIT) !== 0) return number === 0 ? '' : ` (parameter ${number})`;
  const kind = (number & SESSION_BIT) !== 0 ? 'session' : 'handle';
  return (number & 0x7) === 0 ? '' : ` (${kind} ${number & 0x7})`;
};

const ofTpm = (rc: number): ResponseCodeName => {
  if (rc === 0) return { name: 'TPM_RC_SUCCESS', meaning: 'the command succeeded' };
  if ((rc & FORMAT_ONE_BIT) !== 0) {
    const found = FORMAT_ONE[rc & 0xbf];
    return found === undefined ? unknown(rc) : { name: `${found[0]}${blamed(rc)}`, meaning: found[1] };
  }
  if ((rc & VENDOR_BIT) !== 0)
    return { name: `TPM_RC_VENDOR 0x${rc.toString(16)}`, meaning: "a code of the TPM's maker" };
  if (rc < TPM12_TOP)
    return { name: 'TPM_RC_BAD_TAG', meaning: 'an answer of a TPM 1.2, or to a command with a wrong tag' };
  const found = (rc >= WARNING_BASE ? WARNINGS : FORMAT_ZERO)[rc];
  return found === undefined ? unknown(rc) : { name: found[0], meaning: found[1] };
};

/**
 * Name and meaning of a response code, with the parameter, handle or session that it complains about, and the layer
 * of software that it is from (bits 16 to 23) where that is not the TPM itself.
 */
export const responseCodeName = (rc: number): ResponseCodeName => {
  const layer = (rc >>> 16) & 0xff;
  if (rc >>> 24 !== 0 || (rc & 0xf000) !== 0) return unknown(rc >>> 0);
  const { name, meaning } = ofTpm(rc & 0xfff);
  return layer === 0 ? { name, meaning } : { name: `${LAYERS[layer] ?? `layer ${layer}`}: ${name}`, meaning };
};

/** The response code without the number of its parameter, handle or session: 0x1d5 → 0x095 (TPM_RC_SIZE). */
export const baseCode = (rc: number): number => ((rc & FORMAT_ONE_BIT) !== 0 ? rc & 0xbf : rc & 0xfff);

/** The codes that something here depends on, as `baseCode` gives them. */
export const TPM_RC = {
  INITIALIZE: 0x100,
  ASYMMETRIC: 0x81,
  HASH: 0x83,
  VALUE: 0x84,
  KEY_SIZE: 0x87,
  MODE: 0x89,
  HANDLE: 0x8b,
  KDF: 0x8c,
  AUTH_FAIL: 0x8e,
  SCHEME: 0x92,
  SYMMETRIC: 0x96,
  BAD_AUTH: 0xa2,
  CURVE: 0xa6,
  YIELDED: 0x908,
  TESTING: 0x90a,
  REFERENCE_H0: 0x910,
  NV_RATE: 0x920,
  LOCKOUT: 0x921,
  RETRY: 0x922,
} as const;
