/** A member of a cpio archive: `mode` with the kind of file in it. */
export interface CpioMember {
  readonly name: string;
  readonly mode: number;
  readonly data: Buffer;
}

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
const hex = (value: number): string => value.toString(16).padStart(8, '0');

const memberBytes = ({ name, mode, data }: CpioMember): Buffer => {
  const fields = [0, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length + 1, 0].map(hex).join('');
  return Buffer.concat([padded(Buffer.from(`070701${fields}${name}\0`, 'latin1')), padded(data)]);
};

/** An archive in the "newc" form that the kernel unpacks as its first file system. */
export const cpio = (members: readonly CpioMember[]): Buffer =>
  Buffer.concat([...members, { name: 'TRAILER!!!', mode: 0, data: Buffer.alloc(0) }].map(memberBytes));
