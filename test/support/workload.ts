import { closeSync, openSync, writeSync } from 'node:fs';

/** One session after another per user: a login, readings, actuations, a logout, each within its time. */
export const WORKLOAD_POLICY = `id: workload
binary: any
functions:
  login: { parameters: { user: clear } }
  actuate: { parameters: { user: clear, level: { type: int, release: clear } } }
  logout: { parameters: { user: clear } }
slice: { session: { login: user, actuate: user, logout: user } }
maxSlices: 64
afterViolation: stay
machine:
  id: workload
  initial: out
  context: { actuations: 0 }
  states:
    out:
      on: { login: { target: in, actions: { type: assign, params: { actuations: "0" } } } }
    in:
      initial: cool
      after: { 30000: late }
      on: { logout: out }
      states:
        cool:
          on: &actuate
            actuate:
              - guard: "args.level <= 40 && context.actuations < 20"
                target: "#workload.in.cool"
                actions: &count { type: assign, params: { actuations: "context.actuations + 1" } }
              - guard: "args.level <= 80 && context.actuations < 20"
                target: "#workload.in.hot"
                actions: *count
        hot:
          on: *actuate
    late:
      tags: [violation]
      on: { login: in, actuate: in, logout: out }
lateness: { within: 10s, events: 64, beyond: list }
`;

/** A stranger's choice that always comes out the same. Answers integers in [0, below). */
export const seededChoice = (seed: number): ((below: number) => number) => {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
};

export interface Workload {
  readonly seed: number;
  readonly events: number;
  readonly hosts: number;
  readonly processesPerHost: number;
  /** Of a thousand events, so many … */
  readonly perMille?: {
    /** … break the protocol or a bound, */
    readonly wrong?: number;
    /** … stand behind events that they came before, */
    readonly late?: number;
    /** … do not tell their level, */
    readonly unknown?: number;
    /** … come after a pause that no deadline outlives. */
    readonly pause?: number;
  };
}

const USERS = ['ann', 'bob', 'cyn'] as const;
const START = 1_700_000_000_000_000;

interface Session {
  open: boolean;
  actuations: number;
}

/** Native NDJSON in order of arrival, the same for the same arguments. */
export const writeWorkload = (file: string, workload: Workload): void => {
  const { wrong = 10, late = 10, unknown = 5, pause = 2 } = workload.perMille ?? {};
  const choose = seededChoice(workload.seed);
  const clocks = new Float64Array(workload.hosts).fill(START);
  const sessions = new Map<number, Session>();
  const out = openSync(file, 'w');
  let held: string[] = [];
  try {
    for (let i = 0; i < workload.events; i++) {
      const host = choose(workload.hosts);
      const process = choose(workload.processesPerHost);
      const user = choose(USERS.length);
      const key = (host * workload.processesPerHost + process) * USERS.length + user;
      const session = sessions.get(key) ?? { open: false, actuations: 0 };
      sessions.set(key, session);
      const oddity = choose(1000);
      const bad = oddity < wrong;
      const isPause = oddity >= wrong && oddity < wrong + pause;
      clocks[host]! += isPause ? 40_000_000 : 1_000 + choose(20_000);
      const name = bad && !session.open ? 'actuate' : next(session, choose);
      const parameters: Record<string, unknown> = { user: USERS[user] };
      if (name === 'actuate') {
        const isUnknown = oddity >= 500 && oddity < 500 + unknown;
        parameters['level'] = isUnknown ? null : bad ? 81 + choose(100) : choose(81);
      }
      const behind = oddity >= 900 && oddity < 900 + late ? 1_000 + choose(300_000) : 0;
      held.push(
        JSON.stringify({
          at: clocks[host]! - behind,
          receivedAt: clocks[host]!,
          host: `host-${host}`,
          process: `${100 + process}:${host}`,
          function: name,
          parameters,
        }),
      );
      if (held.length === 4096) {
        writeSync(out, `${held.join('\n')}\n`);
        held = [];
      }
    }
    if (held.length > 0) writeSync(out, `${held.join('\n')}\n`);
  } finally {
    closeSync(out);
  }
};

/** What a well-behaved session does now. */
const next = (session: Session, choose: (below: number) => number): string => {
  if (!session.open) {
    session.open = true;
    session.actuations = 0;
    return 'login';
  }
  if (session.actuations >= 18 || choose(8) === 0) {
    session.open = false;
    return 'logout';
  }
  session.actuations++;
  return 'actuate';
};
