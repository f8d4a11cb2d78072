import { createPublicKey } from 'node:crypto';
import { runAgent } from '../../producers/agent.js';
import { enrol } from '../../producers/attestation/enrol.js';
import { makePlatform } from '../../producers/attestation/platform.js';
import { tpmOver } from '../../producers/attestation/tpm/tpm.js';
import { openTransport } from '../../producers/attestation/transport/open-transport.js';
import { beginStream, hostIdentity } from '../../producers/identity/host.js';
import { EventStream } from '../../producers/stream/event-stream.js';
import { pinnedKeys } from '../../schemas/signed.js';
import { bridgedLog } from './bridge-log.js';

/*
 * The agent as it runs in a virtual machine: guest-agent.js PORT SPKI [enrol]. SPKI is the verifier's key in base64. Enrols the
 * machine first, if told to.
 */
const [port = '', spki = '', first = ''] = process.argv.slice(2);
const log = await bridgedLog('10.0.2.2', Number(port));
const verifiers = pinnedKeys([createPublicKey({ key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki' })]);
const keys = { tpm: tpmOver(await openTransport('device:/dev/tpmrm0')) };
const stop = new AbortController().signal;
const agent = 'guest';
const label = 'guest';

if (first === 'enrol') {
  const platform = await makePlatform(keys);
  const { boot } = hostIdentity();
  const { stream, offset, start } = beginStream({ host: platform.host, from: 'machine-id', boot });
  const events = await EventStream.open({ log, topic: 'measurements', stream, host: platform.host });
  events.put('StreamOpened', { at: start + offset, kind: 'agent', boot, offset, agent, previous: [] });
  await enrol({
    ...{ log, events, platform, keys, label, verifiers, stop },
    ekCertificates: [],
    agentVersion: agent,
    now: () => Date.now() * 1000,
    onNote: (note) => console.log(note),
  });
  console.log('enrolled');
}
await runAgent({
  ...{ log, keys, verifiers, label, agent, stop },
  selection: [{ hash: 'sha256', pcrs: [10] }],
  minInterval: 100,
  onReady: (host) => console.log(`ready ${host}`),
  onNote: (note) => console.log(note),
});
