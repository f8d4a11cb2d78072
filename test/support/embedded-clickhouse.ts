import { findEngine } from '../../infra/clickhouse/embedded/engine.js';
import { realPart } from './real-part.js';

/** Tests against the real server. */
export const withClickHouse = realPart('embedded ClickHouse', () => {
  try {
    findEngine();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
});
