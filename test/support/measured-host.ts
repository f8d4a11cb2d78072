import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Output } from '../../infra/log/event-log.js';
import { memoryLog } from '../../infra/log/memory-log.js';
import { createEngine, type Engine } from '../../processors/engine/engine.js';
import type { ToSay } from '../../processors/engine/fold.js';
import { startupFold } from '../../processors/startup/fold.js';
import { decodeRecord, encodeRecord, SchemaTable } from '../../schemas/codec.js';
import { CHAIN_START, nextChainHead } from '../../schemas/event-chain.js';
import { challengeLeaf, sortedLeaves } from '../../schemas/evidence/challenge.js';
import { coreDigest, encodeCore, headsDigest, NO_EVIDENCE, vpcrDigest } from '../../schemas/evidence/core.js';
import { enrolCommitment, hostId } from '../../schemas/evidence/enrolment.js';
import { certifyQualifyingData, quoteQualifyingData } from '../../schemas/evidence/qualifying-data.js';
import type { ImaRecord } from '../../schemas/ima/entry.js';
import type { HostPolicy } from '../../schemas/policy/host/host-policy.js';
import { parseHostPolicy } from '../../schemas/policy/host/parse.js';
import type {
  ChainHead,
  DeadLetter,
  Evidence,
  EvidenceCore,
  RecordName,
  Records,
  Tick,
  Verdict,
} from '../../schemas/records.js';
import { pinnedKeys, type SignedName, signRecord, type Unsigned } from '../../schemas/signed.js';
import { taggedHash } from '../../schemas/tagged-hash.js';
import { objectName } from '../../schemas/tpm/name.js';
import { selectionFromText } from '../../schemas/tpm/selection.js';
import { bootAggregate, extendRecord, imaRecord, sha256 } from './measured-files.js';
import { type Kind, StandInTpm, type Tweak } from './stand-in-tpm.js';

export const SELECTION = 'sha256:0,1,2,3,4,5,6,7,8,9,10,12';

/** A record of the topic `measurements`, with its key. */
export interface Placed<N extends RecordName = RecordName> {
  readonly host: string;
  readonly name: N;
  readonly record: Records[N];
}

/** Where one fault is put into evidence that is otherwise flawless. Each is applied before what depends on it is signed. */
export interface Faults {
  /** Ticks that are answered instead of the newest. */
  readonly ticks?: readonly Tick[];
  readonly certify?: Tweak;
  readonly certifySigner?: (tpm: StandInTpm) => StandInTpm['aik1'];
  readonly certifyLeaves?: (leaves: readonly Buffer[]) => readonly Buffer[];
  readonly certifyQualifying?: (data: Buffer) => Buffer;
  readonly withoutCertify?: boolean;
  readonly core?: (core: EvidenceCore) => EvidenceCore;
  readonly coreBytes?: (core: Buffer) => Buffer;
  readonly heads?: (heads: readonly ChainHead[]) => readonly ChainHead[];
  readonly quote?: Tweak;
  readonly quoteSigner?: (tpm: StandInTpm) => StandInTpm['aik2'];
  readonly quoteQualifying?: (data: Buffer) => Buffer;
  readonly selection?: string;
  /** The last word: changes the record after everything was signed. */
  readonly evidence?: (evidence: Evidence) => Evidence;
}

/** Makes the records of one host and its verifier, and keeps what has to fit together between them. */
export class MeasuredHost {
  readonly tpm: StandInTpm;
  readonly host: string;
  readonly records: Placed[] = [];
  readonly list: ImaRecord[] = [];
  readonly binding: ImaRecord[] = [];
  readonly #schemas = new SchemaTable();
  stream: Buffer;
  boot = 'boot-1';
  /** The host's own clock, for what it says next. */
  at = 1_000_000;
  #seq = 0;
  #head: Buffer = CHAIN_START;
  #sent = 0;
  #sentBinding = 0;
  #agents = 0;
  #certify: { attest: Buffer; signature: Buffer; leaves: readonly Buffer[] } | null = null;
  #certifySent = false;
  previous: Buffer = NO_EVIDENCE;
  readonly ticks: Tick[] = [];
  constructor(
    kind: Kind = 'ecdsa',
    readonly verifier: KeyObject = VERIFIER,
    name = 'host',
    /** Numbers of what the verifier said: shared by hosts of one partition. */
    readonly numbers = new Map<string, number>(),
  ) {
    this.tpm = new StandInTpm(kind, name);
    this.host = hostId(objectName(this.tpm.ek.public));
    this.stream = taggedHash('test stream', this.host, '0');
  }

  // --- the host's own records ---

  put<N extends RecordName>(name: N, fields: Omit<Records[N], 'stream' | 'seq' | 'at'>, at = this.at): Placed<N> {
    const record = { ...fields, at, stream: this.stream, seq: this.#seq } as unknown as Records[N];
    const index = this.#schemas.current(name);
    this.#head = nextChainHead(
      this.#head,
      this.#seq++,
      'measurements',
      this.#schemas.at(index).fingerprint,
      encodeRecord(name, record),
    );
    const placed = { host: this.host, name, record };
    this.records.push(placed as unknown as Placed);
    return placed;
  }

  /** A new stream: the agent starts. */
  startAgent(): this {
    this.stream = taggedHash('test stream', this.host, String(this.#agents++));
    this.#seq = 0;
    this.#head = CHAIN_START;
    this.put('StreamOpened', { kind: 'agent', boot: this.boot, offset: 0, agent: 'test', previous: [] });
    return this;
  }

  /** A file is measured: listed and extended. Sent with the next `send`. */
  measure(record: ImaRecord, extend: (tpm: StandInTpm, record: ImaRecord) => void = extendRecord): this {
    this.list.push(record);
    extend(this.tpm, record);
    return this;
  }

  /** Firmware and the beginning of the list, as after a boot. */
  begin(): this {
    for (let pcr = 0; pcr <= 7; pcr++) this.tpm.extend('sha256', pcr, sha256(`firmware ${pcr}`));
    this.measure(bootAggregate(this.tpm));
    for (const path of FILES) this.measure(imaRecord(path, sha256(path)));
    return this;
  }

  sendList(until = this.list.length): this {
    for (; this.#sent < until; this.#sent++) this.sendEntry(this.#sent);
    for (; this.#sentBinding < this.binding.length; this.#sentBinding++)
      this.#entry('binding', this.#sentBinding, this.binding[this.#sentBinding]!);
    return this;
  }

  sendEntry(index: number, record: ImaRecord = this.list[index]!): this {
    this.#entry('kernel', index, record);
    return this;
  }

  #entry(list: string, index: number, { pcr, template, templateDigest, data }: ImaRecord): void {
    this.put('ListEntry', { list, container: '', index, pcr, template, templateDigest, data });
  }

  reboot(aik2 = `aik2 ${this.tpm.resetCount + 1}`): this {
    this.tpm.reset(aik2);
    this.boot = `boot-${this.tpm.resetCount}`;
    this.list.length = 0;
    this.binding.length = 0;
    this.#sent = 0;
    this.#sentBinding = 0;
    this.newSession();
    return this.startAgent();
  }

  newSession(): this {
    this.#certify = null;
    this.#certifySent = false;
    this.previous = NO_EVIDENCE;
    return this;
  }

  evidence(faults: Faults = {}): Placed<'Evidence'> {
    const { tpm, host } = this;
    const leaves = sortedLeaves((faults.ticks ?? [this.ticks.at(-1)!]).map(challengeLeaf));
    if (
      this.#certify === null ||
      faults.certify ||
      faults.certifySigner ||
      faults.certifyLeaves ||
      faults.certifyQualifying
    ) {
      const signed = (faults.certifyLeaves ?? ((all) => all))(leaves);
      const data = certifyQualifyingData(host, signed);
      const qualifying = faults.certifyQualifying?.(data) ?? data;
      this.#certify = {
        ...tpm.certify(qualifying, faults.certify, faults.certifySigner?.(tpm) ?? tpm.aik1),
        leaves: signed,
      };
      this.#certifySent = false;
    }
    const certify = this.#certify;
    const own: ChainHead = { topic: 'measurements', stream: this.stream, seq: this.#seq - 1, head: this.#head };
    const heads = faults.heads?.([own]) ?? [own];
    const made: EvidenceCore = {
      host,
      bootNonce: Buffer.alloc(32, 5),
      leaves,
      certifyDigest: createHash('sha256').update(certify.attest).digest(),
      headsDigest: headsDigest(heads),
      vpcrDigest: vpcrDigest([]),
      nI0: this.list.length,
      nB0: this.binding.length,
      prevEvidence: this.previous,
      assignment: '',
    };
    const bytes = encodeCore(faults.core?.(made) ?? made);
    const core = faults.coreBytes?.(bytes) ?? bytes;
    const data = quoteQualifyingData(host, core);
    const selection = selectionFromText(faults.selection ?? SELECTION);
    tpm.clock += 5000n;
    const quote = tpm.quote(
      selection,
      faults.quoteQualifying?.(data) ?? data,
      faults.quote,
      faults.quoteSigner?.(tpm) ?? tpm.aik2,
    );
    const evidence = {
      core,
      heads,
      vpcrTable: [],
      aik2Public: tpm.aik2.public.bytes,
      certify: this.#certifySent || faults.withoutCertify ? null : certify,
      quote,
      pcrHints: tpm.values(selection),
      nI1: this.list.length,
      nB1: this.binding.length,
    };
    this.#certifySent = true;
    this.previous = coreDigest(core);
    const whole = faults.evidence?.(evidence as unknown as Evidence) ?? evidence;
    return this.put('Evidence', whole as Omit<Evidence, 'stream' | 'seq' | 'at'>);
  }

  // --- the verifier's records ---

  say<N extends SignedName>(
    name: N,
    record: Omit<Unsigned<N>, 'number' | 'issued'> & { number?: number; issued?: number },
    host = '',
    key = this.verifier,
  ): Placed<N> {
    const number = this.numbers.get(name) ?? 0;
    this.numbers.set(name, number + 1);
    const signed = signRecord(
      name,
      { number, issued: TIME + number * 5_000_000, ...record } as unknown as Unsigned<N>,
      key,
    );
    const placed = { host, name, record: signed };
    this.records.push(placed as unknown as Placed);
    return placed;
  }

  tick(count = 1, fields: Partial<Tick> = {}): Tick {
    for (let i = 0; i < count; i++) {
      const number = this.ticks.length;
      const { record } = this.say('Tick', {
        number,
        nonce: sha256(`nonce ${number}`),
        issued: TIME + number * 5_000_000,
        interval: 5_000_000,
        grace: 10_000_000,
        k: 1,
        selection: SELECTION,
        ...fields,
      });
      this.ticks.push(record as Tick);
    }
    return this.ticks.at(-1)!;
  }

  /** The whole of enrolment, as an operator, a verifier and an agent do it. */
  enrol(options: EnrolFaults = {}): this {
    const { tpm, host } = this;
    const requestId = Buffer.alloc(16, 3);
    const nameEk = objectName(tpm.ek.public);
    const aik1 = options.aik1 ?? tpm.aik1.public;
    const nameAik1 = objectName(aik1);
    const spki = createPublicKey(tpm.ek.privateKey).export({ type: 'spki', format: 'der' });
    if (options.approved !== false)
      this.say('Approval', { label: 'gateway', ekSpki: options.ekSpki ?? sha256(spki), rootSet: '' });
    this.put('EnrolRequest', {
      requestId,
      label: 'gateway',
      ekCertificates: [],
      ekTemplate: 'L-2',
      ekPublic: tpm.ek.public.bytes,
      aik1Public: aik1.bytes,
      agentVersion: 'test',
    });
    const secret = Buffer.alloc(32, 9);
    if (options.challenged !== false)
      this.say(
        'EnrolChallenge',
        {
          host,
          requestId,
          nameEk,
          nameAik1: options.challengedName ?? nameAik1,
          credentialBlob: Buffer.alloc(0),
          encryptedSecret: Buffer.alloc(0),
          commitment: enrolCommitment(requestId, nameEk, nameAik1, secret),
          expires: options.expires ?? 1000,
        },
        host,
        options.challenger ?? this.verifier,
      );
    this.put('EnrolAnswer', { requestId, secret: options.secret ?? secret });
    this.say(
      'Enrolled',
      {
        host,
        requestId,
        label: 'gateway',
        ekPublic: tpm.ek.public.bytes,
        aik1Public: (options.enrolledAik1 ?? aik1).bytes,
        nameAik1: objectName(options.enrolledAik1 ?? aik1),
        basis: options.basis ?? 'approved',
        anchors: [],
        notChecked: [],
      },
      host,
      options.enroller ?? this.verifier,
    );
    return this;
  }

  /** Booted, enrolled, first tick: ready for evidence. */
  ready(): this {
    this.startAgent();
    this.tick();
    this.enrol();
    this.begin();
    this.sendList();
    return this;
  }
}

export interface EnrolFaults {
  readonly approved?: boolean;
  readonly ekSpki?: Buffer;
  readonly aik1?: StandInTpm['aik1']['public'];
  readonly enrolledAik1?: StandInTpm['aik1']['public'];
  readonly challenged?: boolean;
  readonly challengedName?: Buffer;
  readonly challenger?: KeyObject;
  readonly enroller?: KeyObject;
  readonly expires?: number;
  readonly secret?: Buffer;
  readonly basis?: string;
}

export const TIME = 1_700_000_000_000_000;
export const FILES = ['/usr/bin/init', '/usr/lib/libc.so.6', '/usr/lib/attestream/agent.mjs'];
export const VERIFIER = generateKeyPairSync('ed25519').privateKey;
export const STRANGER = generateKeyPairSync('ed25519').privateKey;

/** A policy that a flawless host fulfils; `more` adds to it or takes the place of its lines. */
export const policyText = (more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    kind: 'host',
    id: 'gateways',
    files: Object.fromEntries(FILES.map((path) => [path, `sha256:${sha256(path).toString('hex')}`])),
    agent: { '/usr/lib/attestream/agent.mjs': `sha256:${sha256('/usr/lib/attestream/agent.mjs').toString('hex')}` },
    coverage: 'none',
    ...more,
  });

export interface Judged {
  readonly verdicts: readonly Verdict[];
  readonly letters: readonly DeadLetter[];
  readonly said: readonly ToSay[];
  readonly engine: Engine;
  /** `state code code …` of each verdict. */
  readonly states: readonly string[];
}

const decoded = <N extends 'Verdict' | 'DeadLetter'>(
  outputs: readonly Output[],
  topic: string,
  name: N,
): Records[N][] =>
  outputs.filter((output) => output.topic === topic).map(({ entry }) => ({ ...decodeRecord(name, entry.value!) }));

export const reasonsOf = (verdict: Verdict): string[] =>
  (JSON.parse(verdict.bindings['reasons'] ?? '[]') as { code: string }[]).map(({ code }) => code);

export interface JudgeOptions {
  readonly policy?: string | null;
  readonly cut?: number;
  /** Policies that assignments may name, instead of one that holds from the start. */
  readonly blobs?: readonly HostPolicy[];
  readonly keys?: readonly KeyObject[];
}

/** Judges records; `cut` takes a snapshot after each of so many and goes on in a new engine. */
export const judgeHosts = async (
  records: readonly Placed[],
  { policy = policyText(), cut, blobs, keys = [VERIFIER] }: JudgeOptions = {},
): Promise<Judged> => {
  const log = memoryLog();
  const at = { topic: 'measurements', partition: 0 };
  await log.createTopic(at.topic, 1);
  const start = (): Engine =>
    createEngine({
      fold: startupFold({
        ...(policy === null || blobs !== undefined ? {} : { policies: [parseHostPolicy(policy, 'policy.yaml')] }),
        blob: (digest) => blobs?.find((blob) => blob.digest === digest),
      }),
      partition: 0,
      schemas: log.schemas,
      keys: pinnedKeys(keys),
    });
  let engine = start();
  const outputs: Output[] = [];
  const said: ToSay[] = [];
  const kept = new Map<string, Parameters<Engine['restore']>[0]>();
  const chunk = cut ?? Math.max(1, records.length);
  let offset = 0;
  for (let i = 0; i < records.length; i += chunk) {
    const part = records.slice(i, i + chunk);
    await log.append(
      at,
      part.map(({ host, name, record }) => ({
        key: host === '' ? null : Buffer.from(host),
        schema: log.schemas.current(name),
        value: encodeRecord(name, record),
      })),
    );
    for await (const batch of log.read(at, offset, i + part.length)) {
      engine.push(batch);
      offset = batch.next;
    }
    const taken = engine.take();
    outputs.push(...taken.outputs);
    said.push(...taken.toSay);
    if (cut === undefined) continue;
    for (const snapshot of taken.snapshots) kept.set(snapshot.key.toString('hex'), snapshot);
    engine = start();
    for (const snapshot of kept.values()) engine.restore(snapshot);
  }
  const verdicts = decoded(outputs, 'verdicts', 'Verdict');
  return {
    verdicts,
    letters: decoded(outputs, 'dead-letters', 'DeadLetter'),
    said,
    engine,
    states: verdicts.map((verdict) => [verdict.state, ...reasonsOf(verdict)].join(' ')),
  };
};
