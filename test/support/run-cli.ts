import { Writable } from 'node:stream';
import { runWith } from '../../cli/run.js';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const collector = (): { readonly stream: Writable; readonly text: () => string } => {
  const chunks: Buffer[] = [];
  return {
    stream: new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(Buffer.from(chunk));
        done();
      },
    }),
    text: () => Buffer.concat(chunks).toString('utf8'),
  };
};

/** One command line in this process, against streams of its own. */
export const cli = async (
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stop: AbortSignal = new AbortController().signal,
): Promise<Ran> => {
  const stdout = collector();
  const stderr = collector();
  const code = await runWith(argv, { stdout: stdout.stream, stderr: stderr.stream, env, stop });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
};
