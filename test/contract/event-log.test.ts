import { join } from 'node:path';
import { memoryLog } from '../../infra/log/memory-log.js';
import { openTrace } from '../../infra/log/trace/trace-log.js';
import { temporaryFolder } from '../support/tmp.js';
import { eventLogContract } from './event-log-contract.js';

const folder = join(temporaryFolder('contract'), 'trace');

eventLogContract('memory', async () => {
  const log = memoryLog();
  return {
    log,
    reopen: async () => log,
    dispose: () => log.close(),
    secondOwner: 'steals',
    honoursOnly: true,
  };
});

eventLogContract('trace', async () => {
  const opened = [await openTrace(folder)];
  return {
    log: opened[0]!,
    async reopen() {
      const again = await openTrace(folder);
      opened.push(again);
      return again;
    },
    async dispose() {
      for (const log of opened) await log.close();
    },
    secondOwner: 'steals',
    honoursOnly: true,
  };
});
