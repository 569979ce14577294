/**
 * The states of the parts of an instance, and how bad each of them is. Prompt and page take their
 * colours from here. A state that is a kind of trouble is as bad as that trouble is severe. A state
 * that is not named is ordinary. Pure, and apart from both, because the page has no other code of the
 * server.
 */

/** How bad a state is: `bad` needs a person, `warn` mends itself or was wanted. */
export type StateTone = 'good' | 'warn' | 'bad'

/** The parts, and their states. */
export const stateTones = {
  /** The worst of the shards of a member. */
  instance: {
    open: 'good',
    recovering: 'warn',
    degraded: 'warn',
    closed: 'bad',
    halted: 'bad',
    'refuses writes': 'bad',
    elsewhere: 'bad',
    down: 'bad',
  },
  /** A shard elsewhere is in order: only its owner says nothing now. */
  shard: {
    open: 'good',
    recovering: 'warn',
    down: 'bad',
    closed: 'bad',
    suspended: 'warn',
    'refuses writes': 'bad',
  },
  projection: {
    following: 'good',
    live: 'good',
    degraded: 'warn',
    suspended: 'warn',
    halted: 'bad',
    stopped: 'bad',
  },
  subscription: { running: 'good', stopped: 'bad' },
  replica: { following: 'good', waiting: 'warn', fenced: 'bad', halted: 'bad' },
  member: { owner: 'good', unsure: 'bad', ended: 'bad' },
  process: { suspended: 'warn', starting: 'warn', terminating: 'bad', down: 'bad' },
  entity: { blocked: 'bad' },
  /** Of a run that is over it is how it ended; so it is of a step. */
  run: {
    completed: 'good',
    ok: 'good',
    cancelled: 'warn',
    cancelling: 'warn',
    undoing: 'warn',
    blocked: 'bad',
    failed: 'bad',
    error: 'bad',
  },
  job: { done: 'good', dead: 'bad' },
  queue: { paused: 'warn', full: 'bad', overdue: 'warn' },
  schedule: { paused: 'warn', broken: 'bad' },
} as const satisfies Readonly<Record<string, Readonly<Record<string, StateTone>>>>

/** A condition of a queue that is not ordinary. */
export type QueueState = keyof (typeof stateTones)['queue']

/** The statuses of a run, in the order of its life. */
export const runStatuses = [
  ...(['waiting', 'running', 'cancelling', 'undoing', 'blocked'] as const),
  ...(['completed', 'failed', 'cancelled'] as const),
]

/** How bad this state of a part is; `undefined`: it is ordinary. */
export const toneOf = (part: keyof typeof stateTones, state: string): StateTone | undefined =>
  Object.entries(stateTones[part]).find(([name]) => name === state)?.[1]
