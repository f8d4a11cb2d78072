import { AttestreamError } from '../../../schemas/errors.js';
import { TpmReader } from '../../../schemas/tpm/reader.js';
import { baseCode, responseCodeName } from '../../../schemas/tpm/response-code.js';
import { sized, u8, u16, u32 } from '../../../schemas/tpm/writer.js';
import { COMMANDS, type CommandName } from './command-code.js';
import type { Authorisation } from './session.js';

const TPM_ST_NO_SESSIONS = 0x8001;
const TPM_ST_SESSIONS = 0x8002;

/** A command as the typed functions put it together. */
export interface TpmCommand {
  readonly name: CommandName;
  readonly handles?: readonly number[];
  /** One for each handle that needs one, in order. */
  readonly authorisations?: readonly Authorisation[];
  readonly parameters?: Buffer;
  /** Whether the answer begins with a handle. */
  readonly givesHandle?: boolean;
}

export interface TpmAnswer {
  /** 0 for commands that give none. */
  readonly handle: number;
  /** At the first parameter, and bounded to the parameters. */
  readonly parameters: TpmReader;
}

/** The TPM understood the command and refused it. */
export class TpmCommandError extends AttestreamError {
  constructor(
    readonly command: string,
    /** TPM_RC as answered. */
    readonly rc: number,
  ) {
    const { name, meaning } = responseCodeName(rc);
    super('TPM_COMMAND_FAILED', `TPM2_${command}: ${name}: ${meaning}`);
  }
}

/** Whether a TPM refused with this code, whatever parameter, handle or session it was about. */
export const isTpmRefusal = (error: unknown, ...codes: readonly number[]): error is TpmCommandError =>
  error instanceof TpmCommandError && codes.includes(baseCode(error.rc));

/** The command's bytes. */
export const marshalCommand = ({
  name,
  handles = [],
  authorisations = [],
  parameters = Buffer.alloc(0),
}: TpmCommand): Buffer => {
  const sessions = Buffer.concat(
    authorisations.map(({ handle, nonce, attributes, hmac }) =>
      Buffer.concat([u32(handle), sized(nonce), u8(attributes), sized(hmac)]),
    ),
  );
  const body = Buffer.concat([
    u32(COMMANDS[name]),
    ...handles.map(u32),
    ...(authorisations.length === 0 ? [] : [u32(sessions.length), sessions]),
    parameters,
  ]);
  const tag = authorisations.length === 0 ? TPM_ST_NO_SESSIONS : TPM_ST_SESSIONS;
  return Buffer.concat([u16(tag), u32(6 + body.length), body]);
};

/** The answer's parts; TPM_BLOB_INVALID if it is none, TPM_COMMAND_FAILED if it is a refusal. */
export const parseAnswer = (
  { name, givesHandle = false }: Pick<TpmCommand, 'name' | 'givesHandle'>,
  bytes: Buffer,
): TpmAnswer => {
  const reader = new TpmReader(bytes, `answer to TPM2_${name}`);
  const tag = reader.u16('tag');
  const size = reader.u32('size');
  if (size !== bytes.length) throw reader.invalid(`it says ${size} bytes and has ${bytes.length}`, 2);
  const rc = reader.u32('response code');
  if (rc !== 0) throw new TpmCommandError(name, rc);
  const handle = givesHandle ? reader.u32('handle') : 0;
  const length = tag === TPM_ST_SESSIONS ? reader.u32('size of the parameters') : reader.left;
  return { handle, parameters: new TpmReader(reader.take(length, 'parameters'), reader.name) };
};
