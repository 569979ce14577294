/**
 * A log's life at random: appends, syncs, rolls, named snapshots, releases, closes, power cuts, kills, failing and full disks,
 * openings that are cut short. A model beside it knows what was handed in and what was acknowledged. One seed decides everything.
 */
import { seededRandom } from '../../../src/clock.ts'
import { isKeelsonError, type KeelsonError } from '../../../src/errors.ts'
import type { Log } from '../../../src/storage/log/log.ts'
import { DiskError } from '../../../src/storage/ports/disk.ts'
import type { NamedSnapshot } from '../../../src/storage/ports/named-snapshot.ts'
import { sparePreparation } from '../../../src/storage/ports/spare-file.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { HistoryModel } from '../models/history-model.ts'
import {
  commit,
  content,
  dir,
  fill,
  type LogWorld,
  name,
  newWorld,
  payload,
  readAll,
  release,
} from '../worlds/logs.ts'

type Frame = { readonly number: number; readonly size: number; lsn: number | undefined }

/** Refusals of a log that has no room for now, or whose disk made no spare segment. */
const passing = ['NO_SPACE', 'BUSY', 'READ_ONLY']

/** What a life came to, for a test to see that the interesting things did happen. */
export type LifeStory = {
  readonly seed: number
  openings: number
  acknowledged: number
  lost: number
  rolls: number
  poisonings: number
  tornTails: number
  refusals: number
  closes: number
  harms: number
  /** Spares made in the background, markers, checkpoints, named snapshots, and segments that were removed. */
  spares: number
  markers: number
  checkpoints: number
  names: number
  removals: number
}

/** Lives the life of `seed`. @throws Error with the seed when the log breaks a promise. */
export const liveOn = (seed: number, steps = 60, commits = false): LifeStory =>
  new Life(seed, commits).run(steps)

class Life {
  readonly #random: () => number
  readonly #world: LogWorld
  readonly #story: LifeStory
  /** What was promised about the chain of commitments; absent in a life without them. */
  readonly #history: HistoryModel | undefined
  /** All payloads appended since the last recovery, after those that it found; in order. */
  #frames: Frame[] = []
  /** How many of the frames must be there whatever happens. */
  #durable = 0
  /** How many must be there as long as the power stays: what was written survives its process. */
  #written = 0
  /** Up to here segments may have been removed, or may be one day. */
  #releasedLsn = 0
  /** The snapshots that the log names, oldest first. After a naming that failed, either list is right. */
  #named: readonly (readonly NamedSnapshot[])[] = [[]]
  /** A slot of the MANIFEST may be damaged, by a harm or a write that was cut off, since the last opening. */
  #isHarmed = false
  /** The spare that is being made in the background, one call to the disk after another. */
  #spare: Generator<void> | undefined
  #log: Log | undefined
  #failure: KeelsonError | undefined
  #number = 0
  #now = 1000
  #latest = 1000

  constructor(seed: number, commits: boolean) {
    this.#random = seededRandom(seed)
    const sectorBytes = this.#below(4) === 0 ? 4096 : 512
    const maxFileSize = sectorBytes === 512 ? 8 * 1024 : 32 * 1024
    const options = { maxFileSize, sectorBytes }
    this.#world = newWorld(commits ? { ...options, commitments: {} } : options, seed)
    this.#history = commits ? new HistoryModel(this.#world) : undefined
    this.#story = {
      seed,
      openings: 0,
      acknowledged: 0,
      lost: 0,
      rolls: 0,
      poisonings: 0,
      tornTails: 0,
      refusals: 0,
      closes: 0,
      harms: 0,
      spares: 0,
      markers: 0,
      checkpoints: 0,
      names: 0,
      removals: 0,
    }
  }

  run(steps: number): LifeStory {
    for (let step = 0; step < steps; step++) {
      if (this.#log) this.#step(this.#log)
      else this.#open()
    }
    this.#die('crash')
    while (!this.#log) this.#open()
    return this.#story
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #fail(what: string): never {
    throw new Error(`seed ${this.#story.seed}: ${what}`)
  }

  #step(log: Log): void {
    this.#stepSpare(log)
    const draw = this.#below(114)
    if (draw < 62) this.#commit(log)
    else if (draw >= 110) this.#name(log)
    else if (draw >= 106) this.#mark(log)
    else if (draw >= 103) this.#checkpoint(log)
    else if (draw >= 100) this.#release(log)
    else if (draw < 70) this.#sync(log)
    else if (draw < 75) this.#breakSomething()
    else if (draw < 78) this.#fillUp()
    else if (draw < 84) this.#compareNow(log)
    else if (draw < 88) this.#close(log)
    else if (draw < 94) this.#die('crash')
    else this.#die('kill')
  }

  #commit(log: Log): void {
    const frames = Array.from({ length: 1 + this.#below(5) }, (): Frame => {
      const size = 8 + Math.floor(this.#random() ** 3 * 1500)
      return { number: this.#number++, size, lsn: undefined }
    })
    const sync = this.#below(4) > 0
    this.#now += this.#below(50) - 10
    this.#latest = Math.max(this.#latest, this.#now)
    const before = this.#frames.length
    this.#frames.push(...frames)
    this.#attempt(() => {
      const payloads = frames.map(({ number, size }) => payload(number, size))
      const answer = commit(log, payloads, {
        now: this.#now,
        sync,
        projectedLsn: this.#below(this.#frames.length + 1),
      })
      this.#frames.length = before + answer.count
      for (const [index, lsn] of answer.lsns.entries()) {
        const frame = this.#frames[before + index]
        if (frame) frame.lsn = lsn
      }
      if (answer.refused) this.#story.refusals += 1
      if (answer.rolled) this.#story.rolls += 1
      this.#acknowledge(answer.durableLsn)
      if (sync && this.#durable !== this.#frames.length)
        this.#fail('a synced commit is not durable')
    })
  }

  /** Everything that has an LSN up to here is promised from now on. */
  #acknowledge(durableLsn: number): void {
    const durable = this.#frames.filter(({ lsn }) => lsn !== undefined && lsn <= durableLsn).length
    if (durable < this.#durable) this.#fail('the durable LSN went back')
    this.#story.acknowledged += durable - this.#durable
    this.#durable = durable
  }

  #sync(log: Log): void {
    this.#attempt(() => {
      this.#acknowledge(log.handle('sync', null).durableLsn)
      this.#history?.promise(log)
    })
  }

  /** In some lives there is a second thread that makes spares, now slower and now faster than the log. */
  #stepSpare(log: Log): void {
    if (this.#story.seed % 3 === 0) return
    for (let steps = this.#below(4); steps > 0; steps--) {
      const task = this.#spare ? undefined : log.beginSpare()
      if (task) this.#spare = sparePreparation(this.#world.disk, task)
      const spare = this.#spare
      if (!spare) return
      try {
        if (!spare.next().done) continue
        log.settleSpare()
        this.#story.spares += 1
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
        log.settleSpare(error)
      }
      this.#spare = undefined
    }
  }

  #mark(log: Log): void {
    this.#attempt(() => {
      const { written, durableLsn } = log.handle('mark', null)
      if (written) this.#story.markers += 1
      this.#acknowledge(durableLsn)
      if (this.#durable !== this.#frames.length) this.#fail('a marked log is not durable')
      if (log.handle('mark', null).written) this.#fail('a marker was marked')
    })
  }

  #checkpoint(log: Log): void {
    this.#attempt(() => {
      try {
        const opaque = payload(this.#number++, this.#below(600))
        const { lsn, coveredLsn, durableLsn } = log.handle('checkpoint', { opaque })
        if (durableLsn !== lsn || coveredLsn >= lsn) this.#fail('a checkpoint covers itself')
        this.#acknowledge(durableLsn)
        this.#story.checkpoints += 1
      } catch (error) {
        if (!isKeelsonError(error) || !passing.includes(error.code)) throw error
        // It may have synced nothing; it has written nothing.
        this.#acknowledge(log.handle('describe', null).durableLsn)
      }
    })
  }

  /** Names a snapshot anywhere in the log: of all that were named, the newest few stay. */
  #name(log: Log): void {
    const { durableLsn, segments } = log.handle('describe', null)
    const below = (segments[0]?.baseLsn ?? 1) - 1
    const lsn = below + this.#below(durableLsn - below + 1)
    const snapshot = { lsn, bytes: this.#number, sum: this.#below(2 ** 32) }
    const keep = 1 + this.#below(3)
    const named = this.#named.map((before) =>
      [...before.filter((each) => each.lsn !== lsn), snapshot]
        .sort((a, b) => a.lsn - b.lsn)
        .slice(-keep),
    )
    const before = this.#named
    this.#named = [...before, ...named]
    this.#attempt(() => {
      const { snapshots, checkpointLsn } = name(log, snapshot, keep)
      this.#checkNamed(snapshots, named)
      if (checkpointLsn < lsn) this.#fail('a named snapshot did not move the checkpoint')
      this.#story.names += 1
    })
  }

  /** The log names what was named last. */
  #checkNamed(
    found: readonly NamedSnapshot[],
    allowed: readonly (readonly NamedSnapshot[])[] = this.#named,
  ): void {
    const texts = allowed.map((each) => JSON.stringify(each))
    if (!texts.includes(JSON.stringify(found)))
      this.#fail(`it names ${JSON.stringify(found)} instead of ${texts.join(' or ')}`)
    // What a poisoned log says was perhaps not written.
    if (!this.#failure) this.#named = [found]
  }

  /** A pin, a checkpoint, the oldest snapshot and the caller's own word each hold segments back. */
  #release(log: Log): void {
    this.#attempt(() => {
      const { checkpointLsn, firstLsn, lastLsn, snapshots } = log.handle('state', null)
      const lsn = this.#below(lastLsn + 1)
      const from = firstLsn + this.#below(lastLsn - firstLsn + 2)
      const { pin } = log.handle('pin', { from })
      const oldest = snapshots[0]?.lsn ?? lastLsn
      const released = Math.min(lsn, checkpointLsn, oldest, from - 1)
      this.#releasedLsn = Math.max(this.#releasedLsn, released)
      try {
        this.#story.removals += release(log, lsn).removed
      } catch (error) {
        // What could not be removed is still part of the log, and the log goes on.
        if (!isKeelsonError(error) || error.details.reason !== 'disk') throw error
      }
      log.handle('unpin', { pin })
      this.#forget(log.handle('state', null).firstLsn)
    })
  }

  /** The log begins with `firstLsn` now: what was before must have been released. */
  #forget(firstLsn: number): void {
    const gone = this.#goneBefore(firstLsn)
    this.#frames.splice(0, gone)
    this.#durable -= gone
    this.#written -= Math.min(gone, this.#written)
  }

  #goneBefore(firstLsn: number): number {
    if (firstLsn - 1 > this.#releasedLsn)
      this.#fail(`released up to ${this.#releasedLsn}, and the log begins with ${firstLsn}`)
    return this.#frames.filter(({ lsn }) => lsn !== undefined && lsn < firstLsn).length
  }

  #close(log: Log): void {
    this.#attempt(() => {
      log.handle('close', { projectedLsn: this.#below(this.#frames.length + 1) })
      this.#durable = this.#frames.length
      this.#story.closes += 1
    })
    this.#die('kill')
  }

  /** A call that fails leaves the log poisoned, or refused with nothing changed. A poison stays. */
  #attempt(action: () => void): void {
    const failure = this.#failure
    try {
      action()
      if (failure) this.#fail('a poisoned log went on')
    } catch (error) {
      if (!isKeelsonError(error)) throw error
      if (failure && error !== failure) this.#fail('a poison gave another answer')
      if (error.code !== 'SHARD_DOWN') this.#fail(`unexpected ${error.code}: ${error.message}`)
      if (!failure) this.#story.poisonings += 1
      this.#failure = error
    }
  }

  #breakSomething(): void {
    const { disk } = this.#world
    const at = 1 + this.#below(6)
    const kind = this.#below(4)
    if (kind === 0) disk.inject({ at, operation: 'sync', fault: { kind: 'error' } })
    else if (kind === 1) disk.inject({ at, operation: 'write', fault: { kind: 'error' } })
    else if (kind === 2)
      disk.inject({ at, operation: 'write', fault: { kind: 'short', bytes: this.#below(2000) } })
    else disk.inject({ at, operation: changingOperations, fault: { kind: 'error' } })
  }

  #fillUp(): void {
    const { disk } = this.#world
    if (disk.capacityBytes === Number.POSITIVE_INFINITY) fill(disk)
    else disk.capacityBytes = Number.POSITIVE_INFINITY
  }

  #die(how: 'crash' | 'kill'): void {
    const { disk } = this.#world
    if (!this.#log || this.#failure) this.#isHarmed = true
    if (this.#log && !this.#failure) this.#written = this.#frames.length
    if (how === 'crash') this.#written = this.#durable
    this.#log = undefined
    this.#failure = undefined
    this.#spare = undefined
    disk.clearFaults()
    disk.capacityBytes = Number.POSITIVE_INFINITY
    if (how === 'crash') disk.crash()
    else disk.killProcess()
  }

  /** Opens, perhaps on a disk that fails or goes away on the way; then compares with the model. */
  #open(): void {
    const { disk } = this.#world
    const draw = this.#below(10)
    const at = 1 + this.#below(20)
    this.#harmManifest()
    if (draw === 0) disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
    if (draw === 1) disk.inject({ at, operation: changingOperations, fault: { kind: 'error' } })
    try {
      const { log, report, inspection } = this.#world.open()
      disk.clearFaults()
      this.#story.openings += 1
      if (report.tail === 'torn') this.#story.tornTails += 1
      this.#forget(report.firstLsn)
      const found = readAll(log, 1 + this.#below(4000), report.firstLsn)
      this.#compare(found, Math.max(this.#durable, this.#written))
      this.#adopt(found.length, report.lastLsn)
      if (inspection.lastLsn !== report.lastLsn) this.#fail('inspection and report differ')
      this.#checkNamed(inspection.snapshots)
      this.#isHarmed = false
      this.#checkNamed(log.handle('describe', null).snapshots)
      const lastTime = found.at(-1)?.time ?? 0
      // A naming wrote down the stamps of frames that were not synced.
      if (report.lastTime < lastTime || report.lastTime > this.#latest)
        this.#fail(`last stamp ${lastTime}, reported ${report.lastTime}`)
      this.#history?.opened(log)
      this.#log = log
    } catch (error) {
      if (!isKeelsonError(error)) throw error
      if (error.code !== 'SHARD_DOWN') this.#fail(`opening said ${error.code}: ${error.message}`)
      this.#die(draw === 0 ? 'crash' : 'kill')
    }
  }

  /** The MANIFEST is a hint: without it, or with one slot of it, a log that is otherwise whole loses nothing. */
  #harmManifest(): void {
    const { disk } = this.#world
    const path = `${dir}/MANIFEST`
    const draw = this.#below(20)
    if (draw > 1 || !disk.entry(path)) return
    this.#story.harms += 1
    if (draw === 0) disk.poke(path, 4096 * this.#below(2) + this.#below(512), Uint8Array.of(0x55))
    else {
      disk.remove(path)
      disk.syncFolder(dir)
    }
    // What is named survives the loss of one slot, of two that an opening has written since.
    if (draw === 1) this.#named = [[]]
    else if (this.#isHarmed) this.#named = [...this.#named, []]
    this.#isHarmed = true
  }

  /** What was recovered is durable from now on; what was not is gone for good. */
  #adopt(count: number, lastLsn: number): void {
    this.#story.lost += this.#frames.length - count
    this.#frames.length = count
    this.#durable = count
    this.#written = count
    for (const { lsn } of this.#frames)
      if (lsn !== undefined && lsn > lastLsn) this.#fail('a frame lies behind the end')
  }

  #compareNow(log: Log): void {
    const { segments, snapshots } = log.handle('describe', null)
    const firstLsn = segments[0]?.baseLsn ?? 1
    this.#checkNamed(snapshots)
    // A removal whose sync failed has removed something all the same, and a power cut may bring it back.
    const gone = this.#goneBefore(firstLsn)
    this.#compare(readAll(log, 1 + this.#below(4000), firstLsn), this.#durable - gone, gone)
  }

  /**
   * The log must hold a prefix of the appended payloads, in order, with at least the promised ones.
   */
  #compare(found: ReturnType<typeof readAll>, promised: number, gone = 0): void {
    if (found.length < promised)
      this.#fail(`${promised} frames are promised, ${found.length} are there`)
    if (found.length > this.#frames.length - gone) this.#fail('there is more than was handed in')
    let last = { lsn: 0, time: 0 }
    for (const [index, frame] of found.entries()) {
      const expected = this.#frames[gone + index]
      if (!expected || frame.content !== content(expected.number, expected.size))
        this.#fail(`frame ${index} is not the one that was handed in`)
      if (expected.lsn !== undefined && expected.lsn !== frame.lsn)
        this.#fail(`frame ${index} was acknowledged as ${expected.lsn} and is ${frame.lsn}`)
      if (frame.lsn <= last.lsn || frame.time < last.time) this.#fail('LSNs or stamps go back')
      expected.lsn = frame.lsn
      last = frame
    }
  }
}
