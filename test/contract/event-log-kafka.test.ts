import type { EventLog } from '../../infra/log/event-log.js';
import { openKafka } from '../../infra/log/kafka/kafka-log.js';
import { kafkaParts, withKafka } from '../support/kafka.js';
import { eventLogContract } from './event-log-contract.js';

withKafka('the contract of event logs', () => {
  const parts = kafkaParts();
  const open = async (): Promise<EventLog> => await openKafka(parts.broker.uri, { registry: parts.registry.url });

  eventLogContract('kafka', async () => {
    const log = await open();
    const opened = [log];
    await log.createTopic('state', 3);
    return {
      log,
      async reopen() {
        const again = await open();
        opened.push(again);
        return again;
      },
      async dispose() {
        for (const one of opened) await one.close();
      },
      secondOwner: 'waits',
      honoursOnly: false,
    };
  });
});
