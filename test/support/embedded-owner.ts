/** A process of its own that opens the embedded ClickHouse on a folder, says what it is to it, and stays. argv: FOLDER [SQL] */
import { connect } from '../../infra/clickhouse/connect.js';

const store = await connect(`embedded:${process.argv[2]}`);
await store.createDatabase();
if (process.argv[3] !== undefined) await store.client.command({ query: process.argv[3] });
process.stdout.write(`${store.owner ? 'owner' : 'guest'}\n`);
setInterval(() => {}, 60_000);
