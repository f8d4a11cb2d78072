import { describe, expect, test } from '@jest/globals';
import { keepTrying } from '../../../producers/stream/keep-trying.js';
import { aborted, every, together } from '../../../producers/stream/together.js';
import { AttestreamError } from '../../../schemas/errors.js';

const never = new AbortController().signal;

describe('parts that go on together', () => {
  test('end when all have ended', async () => {
    let done = 0;
    await together(never, ...[1, 2].map(() => async () => void done++));
    expect(done).toBe(2);
  });

  test('one that fails ends the others, and its error counts once they have ended', async () => {
    let ended = false;
    const going = together(
      never,
      async () => {
        throw new AttestreamError('SYSTEM', 'the first');
      },
      async (stop) => {
        await aborted(stop);
        await Promise.resolve();
        ended = true;
        throw new Error('a consequence');
      },
    );
    await expect(going).rejects.toThrow('the first');
    expect(ended).toBe(true);
  });

  test('a stop from outside ends them without a failure', async () => {
    const stop = new AbortController();
    let rounds = 0;
    const going = together(stop.signal, (halt) =>
      every(1, halt, () => {
        if (++rounds === 3) stop.abort();
      }),
    );
    await going;
    expect(rounds).toBe(3);
  });
});

describe('work with a log that may be away', () => {
  test('what waiting does not mend is thrown', async () => {
    const work = async (): Promise<never> => {
      throw new AttestreamError('TOPIC_MISSING', 'none');
    };
    await expect(keepTrying(work, never)).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
  });

  test('a log that is away is told of, and a stop ends the waiting', async () => {
    const stop = new AbortController();
    const notes: string[] = [];
    const work = async (): Promise<never> => {
      throw new AttestreamError('KAFKA_UNREACHABLE', 'no broker');
    };
    const going = keepTrying(work, stop.signal, (note) => {
      notes.push(note);
      setTimeout(() => stop.abort(), 5);
    });
    expect(await going).toBe(undefined);
    expect(notes).toEqual(['no broker; it is tried again']);
  });
});
