/**
 * A second thread reads part of a log, on real files: for damage of every kind the inspection says what it says without that
 * thread, word for word; so it does when the thread dies, and when both race.
 */
import { once } from 'node:events'
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { nodeDisk } from '../../dist/storage/disk/node-disk.js'
import { inspectLog } from '../../dist/storage/recovery/log-inspection.js'
import {
  noAssistant,
  type ScanAssistant,
  ScanBoard,
} from '../../dist/storage/recovery/scan-board.js'
import type { SealedSegment } from '../../dist/storage/recovery/segment-reading.js'
import { beginScan, threadAssistant } from '../../dist/storage/threads/scan-assistant.js'
import { seededRandom, virtualClock } from '../../src/clock.ts'
import { nodeDisk as sourceDisk } from '../../src/storage/disk/node-disk.ts'
import { createLog } from '../../src/storage/log/log.ts'
import type { LogOptions } from '../../src/storage/ports/log-host.ts'
import { commit, payload } from '../support/logs.ts'
import { saidBy } from '../support/scan-assistants.ts'
import { tempFolder } from '../support/temp-folder.ts'

const seed = Number(process.env.KEELSON_SEED ?? process.pid)

/** A log of several segments in a new folder, not closed. */
const filled = (options: LogOptions, frames: number, bytes: number): string => {
  const dir = join(tempFolder(), 'wal')
  const log = () => createLog(sourceDisk(), virtualClock(seed))
  log().handle('create', { dir, options })
  const inspection = log().handle('inspect', { dir, options, evidence: [] })
  const opened = log()
  opened.handle('open', { dir, options, inspection })
  for (let number = 1; number <= frames; number++) commit(opened, [payload(number, bytes)])
  opened.abandon()
  return dir
}

const segmentsIn = (dir: string): string[] =>
  readdirSync(dir)
    .filter((name) => name.endsWith('.wal'))
    .sort()
    .map((name) => join(dir, name))

const said = (dir: string, assistant?: ScanAssistant): string =>
  saidBy(() => inspectLog(nodeDisk(), dir, [], { readFrom: 1 }, assistant))

/** What an inspection would have read; `undefined` when it is refused before it reads. */
const sealedIn = (dir: string): readonly SealedSegment[] | undefined => {
  let found: readonly SealedSegment[] | undefined
  said(dir, (_, sealed) => {
    found = sealed
    return noAssistant(dir, sealed)
  })
  return found
}

/** What an inspection says for which a thread has read all that it could, but for the first `own` segments. */
const saidAfterThread = async (dir: string, own: number): Promise<string> => {
  const begun = beginScan(dir, sealedIn(dir) ?? [])
  if (!begun) throw new Error('there was no thread')
  begun.thread.ref()
  await once(begun.thread, 'exit')
  let answers = 0
  const verdict = said(dir, () => ({
    take: (index) => index < own,
    answer(index) {
      const answer = index < own ? undefined : begun.board.answer(index)
      if (answer) answers++
      return answer
    },
    end: () => begun.board.end(),
  }))
  if (!verdict.includes('"code"')) expect(answers).toBeGreaterThan(0)
  return verdict
}

/** Harms one file at a place that the seed chooses. */
const harms: Record<string, (path: string, random: () => number, other: string) => void> = {
  'a bit turned over': (path, random) =>
    changed(path, (bytes) => {
      const at = Math.floor(random() * bytes.length)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8))
    }),
  'a sector of zeros': (path, random) =>
    changed(path, (bytes) => void bytes.fill(0, ...sectorOf(bytes, random))),
  'a sector of noise': (path, random) =>
    changed(path, (bytes) => {
      const [from, to] = sectorOf(bytes, random)
      for (let at = from; at < to; at++) bytes[at] = Math.floor(random() * 256)
    }),
  'a cut': (path, random) => truncateSync(path, Math.floor(random() * readFileSync(path).length)),
  'the bytes of another segment': (path, random, other) => {
    const bytes = readFileSync(other)
    changed(path, (own) => void own.set(bytes.subarray(...sectorOf(bytes, random)), 4096))
  },
  'nothing in its place': (path) => rmSync(path),
}

const changed = (path: string, change: (bytes: Uint8Array) => void): void => {
  const bytes = readFileSync(path)
  change(bytes)
  writeFileSync(path, bytes)
}

const sectorOf = (bytes: Uint8Array, random: () => number): [number, number] => {
  const at = 512 * Math.floor((random() * bytes.length) / 512)
  return [at, at + 512]
}

describe('an inspection for which a thread has read', { timeout: 120_000 }, () => {
  const small: LogOptions = { maxFileSize: 8 * 1024, sectorBytes: 512 }

  test('says of a log that is whole what it says alone', async () => {
    const dir = filled(small, 16, 900)
    const alone = said(dir)
    const count = segmentsIn(dir).length - 1

    expect(count).toBeGreaterThan(4)
    expect(JSON.parse(alone).lastLsn).toBeGreaterThanOrEqual(16)
    for (const own of [0, 2, count - 1]) expect(await saidAfterThread(dir, own)).toBe(alone)
  })

  test.each(Object.keys(harms))('says the same after %s', async (kind) => {
    const sound = filled(small, 16, 900)
    const random = seededRandom(seed)
    const count = segmentsIn(sound).length
    for (let turn = 0; turn < 6; turn++) {
      const dir = join(tempFolder(), 'wal')
      cpSync(sound, dir, { recursive: true })
      const paths = segmentsIn(dir)
      const [at, other, own] = [count, count, count - 1].map((most) => Math.floor(random() * most))
      harms[kind]?.(paths[at ?? 0] ?? '', random, paths[other ?? 0] ?? '')
      const what = `${kind}, turn ${turn}, seed ${seed}`
      const alone = said(dir)
      if (sealedIn(dir)) expect(await saidAfterThread(dir, own ?? 0), what).toBe(alone)
      else expect(JSON.parse(alone).code, what).toBe('CORRUPT')
    }
  })

  test('says the same when the thread was ended, whatever it was at', async () => {
    const dir = filled(small, 16, 900)
    const alone = said(dir)
    for (let turn = 0; turn < 4; turn++) {
      const begun = beginScan(dir, sealedIn(dir) ?? [])
      if (!begun) throw new Error('there was no thread')
      if (turn > 1) await once(begun.thread, 'online')
      await begun.thread.terminate()
      // As if it had died with this one in its hands.
      if (turn % 2 === 1) begun.board.assist()

      expect(said(dir, () => begun.board)).toBe(alone)
    }
  })
})

test('an inspection and its assistant may race for each segment: the verdict is the same', () => {
  const dir = filled({ maxFileSize: 2 * 1024 * 1024, sectorBytes: 512 }, 40, 400_000)
  const alone = said(dir)
  expect(JSON.parse(alone).lastLsn).toBeGreaterThanOrEqual(40)
  for (let turn = 0; turn < 6; turn++) {
    let helped = 0
    const racing: ScanAssistant = (folder, sealed) => {
      const help = beginScan(folder, sealed)?.board ?? noAssistant(folder, sealed)
      return {
        take(index) {
          // Threads begin slowly: it is waited for at one segment, and from there on they race.
          if (index === turn) waitUntil(() => help.answer(sealed.length - 1) !== undefined)
          return help.take(index)
        },
        answer(index) {
          const answer = help.answer(index)
          if (answer) helped++
          return answer
        },
        end: () => help.end(),
      }
    }
    expect(said(dir, racing)).toBe(alone)
    expect(helped).toBeGreaterThan(0)
  }
})

/** Blocks this thread, as an inspection does. */
const waitUntil = (isThere: () => boolean): void => {
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  for (let left = 30_000; !isThere(); left--) {
    if (left === 0) throw new Error('the assistant never came')
    Atomics.wait(sleeper, 0, 0, 1)
  }
}

test('an assistant comes only where there is enough to read', () => {
  const dir = filled({ maxFileSize: 8 * 1024, sectorBytes: 512 }, 8, 900)
  const sealed = sealedIn(dir) ?? []
  const help = [threadAssistant(), threadAssistant(0)].map((assistant) => assistant(dir, sealed))

  expect(help[0]).not.toBeInstanceOf(ScanBoard)
  expect(help[1] instanceof ScanBoard).toBe(availableParallelism() > 1)
  for (const each of help) each.end()
})
