/**
 * Kindnesses of simulated parts, each with the replacements that put it back, and with a planted fault that it hides: with the
 * part as it is a life among the seeds fails, and with the kind one all of them pass. `test/evidence/kindness.md` shows them.
 */
import type { probes } from './probe.ts'
import type { Replacement } from './trial.ts'

/** One kindness. */
export type Kindness = {
  /** Its name, as the table has it. */
  readonly name: string
  /** Puts it back. */
  readonly kind: readonly Replacement[]
  readonly fault: readonly Replacement[]
  readonly life: keyof typeof probes
  /** The first and the last seed. */
  readonly seeds: readonly [first: number, last: number]
}

const thread = 'src/testing/simulated/simulated-thread.ts'
const hosts = 'src/testing/simulated/inline-host.ts'
const projections = 'src/testing/simulated/memory-projection-store.ts'
const nasty = 'test/support/worlds/nasty-machine.ts'
const members = 'test/support/lives/member-life.ts'
const writer = 'src/actors/log/wal-writer.ts'
const watch = 'src/members/starting/member-watch.ts'

const immortal: Replacement = {
  file: thread,
  from: "  die(): void {\n    if (this.#state !== 'alive') return",
  to: "  die(): void {\n    if (this.#state !== 'dead') return",
}

const noTrouble = (name: string, from: string): Replacement => ({
  file: members,
  from: `${name}: () => ${from}`,
  to: `${name}: () => undefined`,
})

/** All that hide a fault. */
export const kindnesses: readonly Kindness[] = [
  {
    name: 'the thread of a log never dies',
    kind: [immortal],
    fault: [
      {
        file: writer,
        from: 'void host.died?.then((reason) => {',
        to: 'void (undefined as Promise<KeelsonError> | undefined)?.then((reason) => {',
      },
    ],
    life: 'threads',
    seeds: [1, 5],
  },
  {
    name: 'the thread of snapshots never dies',
    kind: [immortal],
    fault: [
      {
        file: 'src/actors/snapshots/shard-snapshots.ts',
        from: "isKeelsonError(error, 'SHARD_DOWN') && error.details.reason === 'thread'",
        to: 'false',
      },
    ],
    life: 'threads',
    seeds: [1, 5],
  },
  {
    name: 'the thread of blobs never dies',
    kind: [immortal],
    fault: [
      {
        file: 'src/actors/blobs/blob-store.ts',
        from: 'void host.died?.then(() => closed(state, opening))',
        to: 'void (undefined as Promise<unknown> | undefined)?.then(() => closed(state, opening))',
      },
    ],
    life: 'threads',
    seeds: [1, 3],
  },
  {
    name: 'a request for blobs keeps its memory',
    kind: [
      {
        file: hosts,
        from: 'run: (kind: BlobRequestKind, request: unknown) => run(kind, transferred(request)),',
        to: 'run: (kind: BlobRequestKind, request: unknown) => run(kind, request as never),',
      },
    ],
    fault: [
      {
        file: 'src/actors/blobs/blob-store.ts',
        from: 'const stored = state.shard.blobs.put(host, payloads)',
        to: `const stored = state.shard.blobs
    .put(host, payloads)
    .catch(async () => state.shard.blobs.put(await hostOf(state, context), payloads))`,
      },
    ],
    life: 'blobs',
    seeds: [12, 17],
  },
  {
    name: 'the memory of a commit stays with its sender',
    kind: [
      {
        file: hosts,
        from: '  return (isGiven === true ? { ...commit, spent: bytes } : commit) as never',
        to: '  return (isGiven === true ? { ...commit, spent: undefined } : commit) as never',
      },
      {
        file: hosts,
        from: '        : run(kind, transferred(request)),',
        to: `        : run(
            kind,
            (kind === 'commit' ? { ...(request as object), isGiven: false } : request) as never,
          ),`,
      },
    ],
    fault: [
      { file: writer, from: '  isRefusal,\n', to: '  decodeFrame,\n  isRefusal,\n' },
      {
        file: writer,
        from: '  turn.units = (turn.group.writes as readonly Append[]).map(({ units }) => units)',
        to: `  let end = 0
  turn.units = [...payloads.lengths].map(
    (length) => decodeFrame(payloads.bytes.subarray(end, (end += length))).units,
  )`,
      },
    ],
    life: 'store',
    seeds: [1, 4],
  },
  {
    name: 'memory that `peek` gave stays as it is',
    kind: [{ file: projections, from: '    this.#peeked?.value.bytes.fill(0xa5)\n', to: '' }],
    fault: [
      {
        file: 'src/actors/core/read-view.ts',
        from: 'return row === undefined ? this.#projection.get(key) : (row ?? undefined)',
        to: 'return row === undefined ? this.#projection.peek(key) : (row ?? undefined)',
      },
    ],
    life: 'entities',
    seeds: [1, 8],
  },
  {
    name: 'a commit takes its rows in one turn',
    kind: [{ file: projections, from: '      if (this.#pace.random() < 0.03) yield\n', to: '' }],
    fault: [
      {
        file: 'src/actors/projection/projection-writing.ts',
        from: "context.pipe(projection.commit(changes, position), 'committed')",
        to: `context.pipe(projection.commit(changes, position), 'committed')
  ;(frames?.changes as Map<string, unknown> | undefined)?.clear()`,
      },
    ],
    life: 'store',
    seeds: [1, 8],
  },
  {
    name: 'a commit is visible and answered at once',
    kind: [
      {
        file: projections,
        from: 'for (let turns = Math.floor(random() * (most + 1)); turns > 0; turns--)',
        to: 'for (let turns = 0 * most; turns > 0; turns--)',
      },
    ],
    // Of the two the applier takes the lesser.
    fault: [
      {
        file: 'src/actors/projection/projection-writing.ts',
        from: "context.pipe(projection.commit(changes, position), 'committed')",
        to: `context.pipe(projection.commit(changes, position), 'committed')
  if (frames) state.shard.projectedLsn = frames.lsn
  if (frames) Applier.projected(applierOf(state, context), frames.lsn)`,
      },
    ],
    life: 'store',
    seeds: [8, 10],
  },
  {
    name: 'nobody sets the clock',
    kind: [{ file: nasty, from: '  clock.set(Math.max(0, clock.now() + step))\n', to: '' }],
    fault: [
      {
        file: 'src/actors/core/shard-time.ts',
        from: 'if (Math.abs(jumpMs) < stepMinMs) return',
        to: 'if (Math.abs(jumpMs) >= 0) return',
      },
    ],
    life: 'blobs',
    seeds: [4, 7],
  },
  {
    name: 'a timer fires neither early nor late',
    kind: [{ file: nasty, from: 'if (ms <= 0) return ms', to: 'return ms' }],
    fault: [
      {
        file: 'src/actors/core/shard-time.ts',
        from: 'if (this.now() < wait.at) this.#arm(wait)',
        to: 'if (this.now() < wait.at - 3) this.#arm(wait)',
      },
    ],
    life: 'flows',
    seeds: [1, 30],
  },
  {
    name: 'the disk has room while a shard moves',
    kind: [{ file: nasty, from: '  disk.capacityBytes -= disk.freeBytes\n', to: '' }],
    fault: [
      {
        file: 'src/supervisors/tree/shard-reopening.ts',
        from: "if (phase.kind === 'down' && passes(phase.reason) && !shard.closing) {",
        to: "if (phase.kind === 'down' && passes(undefined) && !shard.closing) {",
      },
    ],
    life: 'folder',
    seeds: [104, 110],
  },
  {
    name: 'a process that is killed frees its locks at once',
    kind: [
      {
        file: 'test/support/worlds/folder-world.ts',
        from: 'if (dying?.member !== member) {',
        to: 'if (dying === undefined || dying) {',
      },
    ],
    // Looks at other times find the shard, too.
    fault: [
      { file: watch, from: 'const lookMs = 1_000', to: 'const lookMs = 10_000_000' },
      {
        file: watch,
        from: 'const hurriedMs = [0, 25, 100, 250, 250]',
        to: 'const hurriedMs = [0, 25]',
      },
    ],
    life: 'folder',
    seeds: [1, 4],
  },
  {
    name: 'the engine answers everything, once',
    kind: [
      {
        file: members,
        from: 'lostRequest: 0.02, lostAnswer: 0.04, late: 0.04, lateMs: 60, repeated: 0.04',
        to: 'lostRequest: 0, lostAnswer: 0, late: 0, lateMs: 0, repeated: 0',
      },
      noTrouble("'cut link'", 'member?.process.cut(ms)'),
      noTrouble('stop', 'member?.process.stop(ms)'),
      noTrouble("'engine restart'", 'this.engine.restart(ms)'),
      noTrouble('failover', 'this.#failOver(ms / 2)'),
    ],
    fault: [
      {
        file: 'src/members/engine-log/owners-appends.ts',
        from: 'calls.ask(() => log.append(group, features)),',
        to: `calls.ask(() =>
          log.append(group, features).catch((error) => {
            if (error.code !== 'UNKNOWN_OUTCOME') throw error
          }),
        ),`,
      },
    ],
    life: 'members',
    seeds: [1, 6],
  },
  {
    name: 'a file of an engine comes in one piece',
    kind: [
      {
        file: 'test/support/worlds/simulated-engine.ts',
        from: 'const pieceBytes = 4_096',
        to: 'const pieceBytes = 1 << 30',
      },
    ],
    fault: [
      {
        file: 'src/storage/ports/file-pieces.ts',
        from: '    offset += piece.length\n    unsynced',
        to: '    unsynced',
      },
    ],
    life: 'engine blobs',
    seeds: [1, 3],
  },
  {
    name: 'no member misreads',
    kind: [noTrouble('misreading', 'member && this.#misread(member.process, ms)')],
    fault: [
      {
        file: 'src/members/sharing/loss-witness.ts',
        from: `if (other && owns(shard)) await this.#mark(loss)
      else await setOnce(this.#parts, doubtEntry(shard), { ...loss, ...(proof ? { proof } : {}) })`,
        to: 'await this.#mark(loss)',
      },
    ],
    life: 'members',
    seeds: [5, 8],
  },
  {
    name: 'a link brings messages whole',
    kind: [
      {
        file: 'test/support/worlds/simulated-links.ts',
        from: 'if (this.#random === undefined || this.#random() < 0.5) return length',
        to: 'return length',
      },
    ],
    fault: [
      {
        file: 'src/members/links/link-frames.ts',
        from: 'at = this.#keep(bytes, at, max(), take)',
        to: 'at = bytes.length',
      },
    ],
    life: 'links',
    seeds: [1, 8],
  },
  {
    name: 'a power cut loses nothing',
    kind: [
      {
        file: 'src/testing/simulated/simulated-crash.ts',
        from: "if (unsynced !== 'seeded') return extreme(unsynced, stale)",
        to: "return extreme('kept', stale)",
      },
    ],
    fault: [
      {
        file: 'src/storage/segments/segment-appender.ts',
        from: '    file.sync()\n',
        to: '',
      },
    ],
    life: 'store',
    seeds: [1, 6],
  },
  {
    name: 'a folder is removed in one step',
    kind: [
      {
        file: 'src/testing/simulated/simulated-disk.ts',
        from: '[...node.names.keys()].sort()) this.remove(posix.join(path, name))',
        to: '[] as string[]) this.remove(name)',
      },
      {
        file: 'src/testing/simulated/simulated-names.ts',
        from: '[...node.names.keys()].sort()) this.remove(posix.join(path, name))',
        to: '[] as string[]) this.remove(name)',
      },
    ],
    fault: [
      {
        file: 'src/storage/log/log-creation.ts',
        from: '        if (disk.entry(dir)) removeLog(disk, dir)\n        if (highest) disk.remove(highest)\n',
        to: '        highest ? disk.remove(highest) : removeLog(disk, dir)\n',
      },
    ],
    life: 'creation',
    seeds: [12, 16],
  },
]
