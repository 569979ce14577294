/** The page of the events lists each with its fields. The compiler holds the list here to the types, and the test the page. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { RunFacts } from '../src/flow/index.ts'
import type { ProcessFacts, ShardFacts, SystemEvents } from '../src/index.ts'
import { cellsOf } from './support/evidence-table.ts'

type Facts<K extends keyof SystemEvents> = Parameters<SystemEvents[K]>[0]

/** The fields that the page names once for all events of their kind. */
type Shared<F> = F extends ProcessFacts
  ? keyof ProcessFacts
  : F extends ShardFacts
    ? keyof ShardFacts
    : F extends RunFacts
      ? keyof RunFacts
      : 'queue' | 'at'

const events: {
  readonly [K in keyof SystemEvents]: Readonly<Record<Exclude<keyof Facts<K>, Shared<Facts<K>>>, 1>>
} = {
  'process.started': { parent: 1 },
  'process.exited': { reason: 1 },
  'process.crashed': { reason: 1, state: 1, lastMessage: 1, ancestors: 1, mailbox: 1 },
  'process.restarted': { supervisor: 1, id: 1, reason: 1, restarts: 1 },
  'supervisor.report': { errorContext: 1, reason: 1, child: 1 },
  'supervisor.gave_up': { id: 1, reason: 1 },
  'supervisor.backed_off': { id: 1, reason: 1, waitMs: 1, row: 1 },
  'mailbox.high': { depth: 1, mailboxMax: 1 },
  'mailbox.long': { depth: 1, mailboxMax: 1 },
  'handler.slow': { message: 1, tookMs: 1 },
  'handler.pending': { message: 1, pendingMs: 1 },
  'loop.delayed': { delayMs: 1 },
  'machine.transition': { event: 1, from: 1, to: 1, status: 1 },
  'cluster.phase': { instance: 1, member: 1, phase: 1, epoch: 1 },
  'call.done': { message: 1, result: 1, tookMs: 1 },
  'turn.done': {
    entity: 1,
    kind: 1,
    seq: 1,
    what: 1,
    result: 1,
    waitMs: 1,
    ranMs: 1,
    durableMs: 1,
    lsn: 1,
  },
  'entity.woke': { entity: 1, blocked: 1 },
  'entity.ended': { entity: 1, reason: 1 },
  'entity.failed': { entity: 1, what: 1, tries: 1, retryAt: 1, error: 1 },
  'entity.parked': { entity: 1, what: 1, tries: 1, error: 1 },
  'entity.blocked': { entity: 1, error: 1 },
  'entity.refused': { entity: 1, what: 1, error: 1 },
  'entity.waits': { entity: 1, what: 1, error: 1 },
  'entity.rowsRemoved': { rows: 1 },
  'wal.commit': { frames: 1, bytes: 1, waitMs: 1, syncMs: 1, durableLsn: 1 },
  'wal.recovered': { lastLsn: 1, tail: 1, cutBytes: 1, copiedFrames: 1, remarks: 1 },
  'wal.rolled': {},
  'wal.poisoned': { reason: 1 },
  'applier.applied': { frames: 1, appliedLsn: 1, overlayKeys: 1, overlayBytes: 1 },
  'batcher.flushed': { namespace: 1, writes: 1, commands: 1, bytes: 1, queuedMs: 1, result: 1 },
  'gate.paused': { token: 1 },
  'gate.resumed': { token: 1 },
  'streams.written': { messages: 1, bytes: 1, refused: 1, tookMs: 1 },
  'streams.said': { messages: 1, bytes: 1 },
  'streams.tailed': { messages: 1, tookMs: 1 },
  'stream.created': { entity: 1, stream: 1 },
  'stream.closed': { entity: 1, stream: 1, messages: 1 },
  'stream.trimmed': { entity: 1, stream: 1, messages: 1 },
  'stream.removed': { entity: 1, stream: 1 },
  'expiry.removed': { keys: 1 },
  'blobs.stored': { blobs: 1, bytes: 1 },
  'blobs.swept': { segments: 1, cleared: 1, freedBytes: 1 },
  'blobs.corrupt': { evidence: 1 },
  'lmdb.flushed': {
    projectedLsn: 1,
    frames: 1,
    rows: 1,
    operations: 1,
    lag: 1,
    durationMs: 1,
    result: 1,
  },
  'lmdb.lag': {
    lag: 1,
    ageMs: 1,
    projectedLsn: 1,
    requestedLsn: 1,
    outbox: 1,
    outboxBytes: 1,
    operations: 1,
    tailing: 1,
  },
  'lmdb.mode': { from: 1, to: 1 },
  'lmdb.degraded': { reason: 1, failures: 1 },
  'lmdb.healed': {},
  'lmdb.suspended': { token: 1, owner: 1 },
  'lmdb.resumed': { held: 1 },
  'lmdb.discarded': { references: 1 },
  'lmdb.reconciled': { rows: 1, durationMs: 1 },
  'lmdb.unavailable': { request: 1, operations: 1, reason: 1 },
  'lmdb.setAside': { producer: 1, lsn: 1, reason: 1 },
  'projection.halted': { name: 1, reason: 1 },
  'snapshot.started': { reason: 1 },
  'snapshot.made': { lsn: 1, rows: 1, bytes: 1, tookMs: 1 },
  'snapshot.failed': { reason: 1, failures: 1 },
  'log.released': { segments: 1, bytes: 1, firstLsn: 1 },
  'journal.stopped': { name: 1, reason: 1 },
  'journal.replayed': { entries: 1, tookMs: 1 },
  'journal.saved': { lsn: 1, bytes: 1 },
  'replication.sent': { follower: 1, frames: 1, bytes: 1, lsn: 1 },
  'replication.away': { follower: 1, reason: 1 },
  'replication.refused': { follower: 1, state: 1, reason: 1 },
  'replication.back': { follower: 1 },
  'shard.recovering': { source: 1, count: 1, bytes: 1, bytesOfAll: 1, bytesPerSecond: 1 },
  'shard.down': { reason: 1 },
  'shard.reopened': {},
  'control.outcome': { request: 1, result: 1, tookMs: 1 },
  'clock.jumped': { jumpMs: 1, aheadMs: 1 },
  'flow.started': {},
  'flow.step': { key: 1, kind: 1, tries: 1, outcome: 1 },
  'flow.failed': { key: 1, tries: 1, retryAt: 1, error: 1 },
  'flow.ended': { end: 1, startedAt: 1 },
  'flow.blocked': { error: 1 },
  'queue.started': { id: 1, attempt: 1 },
  'queue.batch': { jobs: 1 },
  'queue.ended': { id: 1, attempt: 1, outcome: 1, error: 1 },
  'queue.failed': { id: 1, attempt: 1, retryAt: 1, error: 1 },
  'queue.overdue': { id: 1, attempt: 1 },
  'queue.limits': { limits: 1 },
  'queue.refused': { error: 1 },
}

/** The rows of events: the name, and the names in the second cell. */
const listed = readFileSync('docs/events.md', 'utf8')
  .split('\n')
  .map(cellsOf)
  .filter(([name = '']) => /^`\w+\.\w+`$/.test(name))
  .map(([name = '', fields = '']) => [name.slice(1, -1), fields.match(/\w+/g)?.sort() ?? []])

test('the page lists every event with its fields, and no other', () => {
  const all = Object.entries(events).map(([name, fields]) => [name, Object.keys(fields).sort()])
  expect(listed.toSorted()).toEqual(all.toSorted())
})
