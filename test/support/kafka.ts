import { afterAll, beforeAll } from '@jest/globals';
import { type LocalBroker, startLocalBroker } from '../../infra/kafka/local-broker.js';
import { type LocalRegistry, startLocalRegistry } from '../../infra/kafka/local-registry.js';
import { javaAndMaven } from './maven.js';
import { realPart } from './real-part.js';

/** `describe` for tests against a real broker and registry. */
export const withKafka = realPart('kafka', javaAndMaven);

export interface KafkaParts {
  readonly broker: LocalBroker;
  readonly registry: LocalRegistry;
}

/** Starts broker and registry side by side before the tests of the enclosing block, and ends them afterwards. */
export const kafkaParts = (): KafkaParts => {
  const parts: { broker?: LocalBroker; registry?: LocalRegistry } = {};
  beforeAll(async () => {
    const [broker, registry] = await Promise.allSettled([startLocalBroker(), startLocalRegistry()]);
    if (broker.status === 'fulfilled') parts.broker = broker.value;
    if (registry.status === 'fulfilled') parts.registry = registry.value;
    for (const part of [broker, registry]) if (part.status === 'rejected') throw part.reason;
  }, 300_000);
  afterAll(async () => {
    await Promise.all([parts.broker?.stop(), parts.registry?.stop()]);
  }, 20_000);
  const part = <K extends 'broker' | 'registry'>(name: K): NonNullable<(typeof parts)[K]> => {
    const value = parts[name];
    if (value === undefined) throw new Error(`the ${name} is there only while tests run`);
    return value;
  };
  return {
    get broker() {
      return part('broker');
    },
    get registry() {
      return part('registry');
    },
  };
};
