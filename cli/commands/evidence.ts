import type { Command } from 'commander';
import { registerCollect } from '../evidence-collect.js';
import { registerVerify } from '../evidence-verify.js';

export const register = (program: Command): void => {
  const evidence = program
    .command('evidence')
    .description('what TPMs say of platforms: made here, or judged wherever it was made');
  registerVerify(evidence);
  registerCollect(evidence);
};
