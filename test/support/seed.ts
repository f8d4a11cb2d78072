import fc from 'fast-check';

// The same inputs at every run, so that a green run stays green; ATTESTREAM_TEST_SEED looks elsewhere, `random` anywhere.
const asked = process.env['ATTESTREAM_TEST_SEED'];
if (asked !== 'random') fc.configureGlobal({ seed: asked === undefined ? 42 : Number(asked) });
