import { request as overHttp } from 'node:http';
import { request as overTls } from 'node:https';
import { AttestreamError } from '../../schemas/errors.js';
import type { DockerAddress } from './docker-address.js';

/** A list of ten thousand containers has less. */
const MAX_ANSWER_BYTES = 32 << 20;

/**
 * What an engine answers to a question, as JSON, within `patience` ms. Throws ENGINE_UNREACHABLE.
 *
 * One question is all that is asked of engines: a client library for the rest of them holds 27 MB more of a gateway's memory.
 */
export const askEngine = async (address: DockerAddress, path: string, patience: number): Promise<unknown> => {
  const where = 'socketPath' in address ? address.socketPath : `${address.host}:${address.port}`;
  try {
    return JSON.parse(await answer(address, path, patience));
  } catch (cause) {
    const why = (cause as Error).name === 'AbortError' ? `none within ${patience} ms` : (cause as Error).message;
    throw new AttestreamError(
      'ENGINE_UNREACHABLE',
      `the container engine at ${where} gave no answer: ${why}`,
      {},
      { cause },
    );
  }
};

const answer = (address: DockerAddress, path: string, patience: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const secure = 'protocol' in address && address.protocol === 'https';
    const { protocol: _, ...where } = { protocol: '', ...address };
    const signal = AbortSignal.timeout(patience);
    const asked = (secure ? overTls : overHttp)({ ...where, path, signal, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES) asked.destroy(new Error(`more than ${MAX_ANSWER_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`status ${response.statusCode}: ${text.slice(0, 200)}`));
      });
    });
    asked.on('error', reject);
    asked.end();
  });
